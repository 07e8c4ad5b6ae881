/* Number fields: a decimal comma is a point, and what a field does not take is said below it, in the browser's words. */

import { say } from "../client/speech.js";

const NUMBER = "input[type=number]", STAY_MS = 4000;
const SEEDS = { min: 0, max: 2 ** 32 - 1 };  // Gradio is not told: it would refuse them in words of its own

/** Why a field does not take what was typed; steps between whole numbers are the only ones that must be kept. */
function whyNot(field) {
  if (field.closest("#seed")) Object.assign(field, SEEDS);
  const { valid, badInput, rangeUnderflow, rangeOverflow, stepMismatch } = field.validity;
  const refused = badInput || rangeUnderflow || rangeOverflow || (stepMismatch && Number(field.step || 1) % 1 === 0);
  return !valid && refused ? field.validationMessage : "";
}

/**
 * Let writing the value that a field has already be nothing. Gradio writes back what was typed, a little later; when "1."
 * stands in the field by then, whose value is 1, that would take the point away and put the caret in front: 1.5 became 51.
 */
function keepTyped(field) {
  if (Object.hasOwn(field, "value")) return;
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  Object.defineProperty(field, "value", {
    configurable: true,
    get,
    set(value) { if (String(value ?? "") !== get.call(this)) set.call(this, value); },
  });
}

/** Type a point for a comma. */
function typePoint(event) {
  if (!/^[^.,]*,[^.,]*$/.test(event.data ?? "")) return;
  event.preventDefault();
  document.execCommand("insertText", false, event.data.replace(",", "."));  // the one way that leaves Undo intact
}

/** Says what is wrong with a field, in an element of its own that is placed below the field. */
class Judge {
  /** @param {HTMLElement} said */
  constructor(said) {
    this.said = said;
    this.field = null;
  }

  /** Say what is wrong with a field, or stop saying so. */
  judge(field) {
    const reason = field.isConnected ? whyNot(field) : "";
    if (reason) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    if (!reason && this.field !== field) return;
    const { said } = this, box = field.getBoundingClientRect();
    this.field = field;
    if (reason) say(reason);
    Object.assign(said, { textContent: reason, hidden: !reason });
    said.style.top = `${box.bottom + scrollY + 4}px`;
    said.style.left = `${Math.max(8, Math.min(box.left + scrollX, document.documentElement.clientWidth - said.offsetWidth - 8))}px`;
  }

  /** A field was left a while ago: the widget may have mended its value, and what was said of it has been read. */
  leave(field) {
    this.judge(field);
    if (this.field === field && document.activeElement !== field) this.said.hidden = true;
  }
}

/**
 * Watch the number fields of the page.
 * @param {AbortSignal} signal ends it
 * @param {HTMLElement} said takes what is said of a field
 */
export function watchNumbers(signal, said) {
  const judge = new Judge(said), options = { capture: true, signal };
  const ofNumbers = (act) => (event) => event.target instanceof Element && event.target.matches(NUMBER) && act(event);
  document.body.append(said);  // it is placed by the page
  signal.addEventListener("abort", () => said.remove());
  document.addEventListener("focusin", ofNumbers(({ target }) => keepTyped(target)), options);
  document.addEventListener("beforeinput", ofNumbers(typePoint), options);
  document.addEventListener("input", ofNumbers(({ target }) => judge.judge(target)), options);
  document.addEventListener("focusout", ofNumbers(({ target }) => setTimeout(() => judge.leave(target), STAY_MS)), options);
}
