/* The line under the prompt. */

import { partsOf, setText } from "./client/dom.js";

/** Returns what shows a hint; an empty one hides the line. */
export function mount({ element }) {
  const { hint } = partsOf(element);
  return (value) => {
    const text = value?.text || "";
    setText(hint, text);
    hint.hidden = !text;
  };
}
