/* A line that says something of the prompt or of the settings, and may offer another prompt. */

import { partsOf, setText } from "./client/dom.js";
import { writePrompt } from "./client/prompt.js";

/** Returns what shows a hint: a text, which hides the line where it is empty, and a prompt to take instead. */
export function mount({ element }) {
  const { hint, use } = partsOf(element);
  use.addEventListener("click", () => writePrompt(use.dataset.prompt));
  return (value) => {
    const text = value?.text || "", other = value?.instead || "";
    setText(hint, text);
    setText(use, `Use “${other}”`);
    use.dataset.prompt = other;
    hint.hidden = !text;
    use.hidden = !other;
  };
}
