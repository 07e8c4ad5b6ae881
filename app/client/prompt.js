/* The field that says what to draw, which is Gradio's. */

/** The field; null before it is there. */
export const promptField = () => /** @type {HTMLTextAreaElement | null} */ (document.querySelector("#prompt textarea, #prompt input"));

/** Put a text into it, as if it were typed. */
export function writePrompt(text) {
  const field = promptField();
  if (!field) return;
  field.value = text;
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  field.focus();
}
