/* The buttons and letters that jump to the next place of a kind, or to the one before. */

import { setText, setTitle } from "../client/dom.js";
import { nextPlace, placesOf, whyNoJump } from "./places.js";

const KEYS = { f: "flip", n: "flip", p: "flip", k: "kl", c: "copied", d: "branch", s: "code" };

/** Whether a letter jumps. */
export const isJump = (letter) => letter in KEYS;

export class Jumps {
  /**
   * @param {HTMLElement} root of the stepper, where the buttons are
   * @param {Object<string, any>} parts the template's elements by their data-part
   * @param {() => number} here where the stepper stands
   * @param {(step: number) => void} go moves it
   */
  constructor(root, parts, here, go) {
    this.fields = { kl: parts["jump-kl"], code: parts["jump-code"] };
    this.buttons = /** @type {HTMLButtonElement[]} */ ([...root.querySelectorAll("[data-jump]")]);
    this.here = here;
    this.go = go;
    this.trace = null;
    this.places = {};
    for (const button of this.buttons) {
      button.dataset.meaning = button.title;
      button.addEventListener("click", (event) => this.jump(button.dataset.jump, event.shiftKey));
    }
    for (const [kind, field] of Object.entries(this.fields)) {
      field.addEventListener("input", () => this.trace && this.offer(this.trace));
      field.addEventListener("keydown", (event) => event.key === "Enter" && this.jump(kind, event.shiftKey));
    }
  }

  /** Count the places of a trace that each jump goes through, and say why where there are none; null is no trace. */
  offer(trace) {
    this.trace = trace;
    for (const button of this.buttons) {
      const kind = button.dataset.jump, value = this.valueOf(kind), missing = trace && whyNoJump(trace, kind, value);
      const places = this.places[kind] = trace && !missing ? placesOf(trace, kind, value) : [];
      button.disabled = !places.length;
      if (!trace) continue;
      setText(button.querySelector("b"), missing ? "" : String(places.length));
      setTitle(button, missing || button.dataset.meaning);
    }
  }

  /** The threshold or the code that a jump asks for; NaN without one. */
  valueOf(kind) {
    return kind in this.fields ? this.fields[kind].valueAsNumber : NaN;
  }

  /** Go to the next place of a kind, or to the one before. */
  jump(kind, backwards) {
    const place = this.trace && nextPlace(this.places[kind], this.here(), backwards);
    if (place !== undefined && place !== null) this.go(place);
  }

  /** Jump by a letter; p goes back, and s goes to the field of the code while that is empty. */
  press(letter, shift) {
    if (letter === "s" && Number.isNaN(this.valueOf("code"))) return this.fields.code.focus();
    this.jump(KEYS[letter], letter === "p" || shift);
  }
}
