/* Asks the server for what this page missed: the picture that is being drawn, or that was finished meanwhile. */

import { lifetimeOf } from "../client/lifetime.js";
import { find } from "../client/page.js";

/** Make it: the stepper says when it has to ask. */
export function mount({ element, trigger }) {
  document.addEventListener("loupe:missed", () => {
    trigger("follow", { known: [...(find("#rail")?.rail?.runs.keys() ?? [])] });
  }, { signal: lifetimeOf(element), capture: true });
}
