/* Files that are asked of the server: a button is busy until its file is there, or cannot be made. */

import { setText } from "../client/dom.js";
import { say } from "../client/speech.js";

const SAVED = "loupe:saved";

/** A file was saved, or why not. */
export function tellSaved(name, problem) {
  document.dispatchEvent(new CustomEvent(SAVED, { detail: { name, problem } }));
}

/** Asks for files, one at a time, and says what became of it. */
export class Asking {
  /**
   * @param {HTMLElement} button is busy meanwhile
   * @param {HTMLElement} told shows what became of it
   * @param {AbortSignal} signal ends it
   */
  constructor(button, told, signal) {
    this.button = button;
    this.told = told;
    this.busy = false;
    document.addEventListener(SAVED, (event) => this.end(/** @type {CustomEvent} */ (event).detail), { signal });
  }

  /** Begin: the file is on its way. */
  begin(what) {
    this.busy = true;
    this.button.setAttribute("aria-busy", "true");
    this.tell(`Making ${what}…`);
  }

  /** It is there, or why not. */
  end({ name, problem }) {
    if (!this.busy) return;
    this.busy = false;
    this.button.setAttribute("aria-busy", "false");
    this.tell(problem || `Saved ${name}.`);
    this.told.dataset.saved = name;
  }

  /** Show and say something. */
  tell(text) {
    setText(this.told, text);
    if (text) say(text);
  }
}
