/* The settings of a run as a list. */

import { make } from "../client/dom.js";

/** List the prompt and all settings of a trace, in the place of those of another one. */
export function showSettings(list, { prompt, settings }) {
  list.replaceChildren(...Object.entries({ prompt, ...settings }).map(([name, value]) => {
    const pair = make("div");
    pair.append(make("dt", "", name), make("dd", "", Array.isArray(value) ? value.join(", ") || "all" : String(value)));
    return pair;
  }));
}
