/* Pictures that are drawn together, as the tabs show that draw many: what comes from the server, and what state that makes. */

import { hideButton, offerAgain, partsOf, setText } from "./client/dom.js";
import { Newest } from "./client/newest.js";
import { doAgain, Patience, SILENT } from "./client/patience.js";
import { say } from "./client/speech.js";
import { bitmapFromBase64 } from "./stepper/trace.js";

/**
 * A tab of many pictures. One that extends it says `begins(update)`, whether an update has pictures, and `finished(shown)`,
 * how many can be opened; it has `build(update)`, `describe()` and `draw()`.
 */
export class Together {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {string} prefix of its parts
   * @param {string} host selector of the component, which other parts of the page find it by
   */
  constructor(element, prefix, host) {
    this.parts = partsOf(element, prefix);
    this.root = this.parts.root;
    this.host = /** @type {any} */ (element.closest(host)) || this.root;
    this.host.loupe = this;
    this.newest = new Newest();
    this.patience = new Patience(() => this.fail(SILENT));
    this.shown = null;
    this.tiles = [];
  }

  /** Take one update; older ones are dropped. What was there before stays until the new pictures have begun. */
  async receive(update) {
    if (!this.newest.take(update)) return;
    this.patience.heard(update.state === "streaming");
    const sheet = update.picture ? await bitmapFromBase64(update.picture) : null;
    if (!this.newest.is(update)) return sheet?.close();
    this.showMessage(update.message);
    if (!this.begins(update)) return this.rest(update.state);
    if (this.shown?.run !== update.run) this.build(update);
    this.shown?.sheet?.close();
    this.shown = { ...update, sheet };
    this.describe();
    this.setState(update.state, update.steps);
    this.draw();
  }

  /** What was asked for did not come about, and no answer will say so. */
  fail(message, again = "") {
    this.patience.heard(false);
    this.showMessage(message);
    this.rest("error");
    if (again) offerAgain(this.parts.again, () => doAgain(again));
  }

  showMessage(message) {
    setText(this.parts.notice, message);
    this.parts.notice.hidden = !message;
    if (message) say(message);
    hideButton(this.parts.again, this.parts.root);
  }

  /** A state in which what was there before stays; finished pictures can still be opened after an error. */
  rest(state) {
    this.setState(state === "error" && this.shown && this.finished(this.shown) ? "ready" : state, this.shown?.steps || 0);
  }

  setState(state, steps) {
    for (const node of [this.root, this.host]) Object.assign(node.dataset, { state, steps, pictures: this.tiles.length });
  }

  /* ---- what each has of its own */

  /** @param {object} _update @returns {boolean} */
  begins(_update) { throw new Error("begins: say whether an update has pictures"); }

  /** @param {object} _shown @returns {number} */
  finished(_shown) { throw new Error("finished: say how many pictures can be opened"); }

  /** @param {object} _update */
  build(_update) { throw new Error("build: make the elements of the pictures"); }

  describe() { throw new Error("describe: say how far it is"); }

  draw() { throw new Error("draw: draw the pictures"); }
}
