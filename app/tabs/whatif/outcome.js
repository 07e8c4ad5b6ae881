/*
 * What came of a branch: its picture beside that of the run that it came from, with the patches that differ outlined.
 *
 * The stepper has the branch; the run that it came from is asked for once, when a branch is shown while this is in sight.
 */

import { partsOf, setText } from "../../client/dom.js";
import { onThemeChange, until } from "../../client/lifetime.js";
import { plural } from "../../client/numbers.js";
import { find, pageStepper } from "../../client/page.js";
import { say } from "../../client/speech.js";
import { prepare } from "../../stepper/drawing.js";
import { bitmapFromBase64 } from "../../stepper/trace.js";
import { bordersOf } from "./borders.js";

/** In how many patches a branch differs, in a sentence. */
export function outcomeText(differing, both, total) {
  const of = both < total ? `the ${plural(both, "patch", "patches")} that both have` : plural(total, "patch", "patches");
  if (!differing) return `None of ${of} differs from the run it came from.`;
  return `${differing} of ${of} ${differing === 1 ? "differs" : "differ"} from the run it came from.`;
}

export class Outcome {
  /**
   * @param {Element} element the panel's
   * @param {(run: string) => Promise<any>} ask asks the server for the run that a branch came from
   * @param {AbortSignal} signal aborts when the panel goes
   */
  constructor(element, ask, signal) {
    this.parts = partsOf(element, "", "wo");
    this.ask = ask;
    this.asked = "";
    this.told = null;
    this.picture = null;
    this.waits = this.seen = false;
    this.parts.both.addEventListener("click", () => find("#rail")?.rail?.compare([this.told.parent, this.told.run]));
    until(signal, new ResizeObserver(() => this.draw())).observe(this.parts.pictures);
    onThemeChange(signal, () => requestAnimationFrame(() => this.draw()));
    document.addEventListener("loupe:trace", () => this.arrive(), { capture: true, signal });
    signal.addEventListener("abort", () => this.picture?.close());
  }

  /** A branch was asked for here: it is shown, and said, when it is drawn. */
  expect() {
    this.waits = true;
    this.parts.root.hidden = false;
    this.parts.root.setAttribute("aria-busy", "true");
    setText(this.parts.text, "Drawing the rest with the change…");
  }

  /** The stepper shows a trace: another one, or the same again where nothing came of what was asked for. */
  arrive() {
    const { trace } = pageStepper();
    if (!this.waits || trace.id !== this.asked) return this.follow();
    this.waits = false;
    if (this.told) this.show(trace);
    else this.hide();
  }

  /** The tab came into sight, or went out of it. */
  see(seen) {
    this.seen = seen;
    if (seen) this.follow();
  }

  /** Another trace may be in the stepper: ask what it came from. */
  async follow() {
    const trace = pageStepper()?.trace;
    if (!this.seen || !trace || trace.id === this.asked) return;
    this.asked = trace.id;
    if (!("parent" in trace.arrays)) return this.hide();
    let told;
    try { told = await this.ask(trace.id); } catch { told = { error: "no answer" }; }
    if (this.asked !== trace.id) return;
    if (told.error) return this.hide();
    const picture = await bitmapFromBase64(told.picture);
    if (this.asked !== trace.id || pageStepper()?.trace !== trace) return picture.close();
    this.picture?.close();
    Object.assign(this, { told, picture });
    this.show(trace);
  }

  hide() {
    this.parts.root.removeAttribute("aria-busy");
    delete this.parts.root.dataset.run;
    this.parts.root.hidden = true;
    this.waits = false;
    this.told = null;
  }

  show(trace) {
    const { root, text, name, both } = this.parts, { told } = this, total = trace.grid.width * trace.grid.height;
    root.hidden = false;
    root.removeAttribute("aria-busy");
    both.hidden = false;
    this.parts.pictures.hidden = false;
    setText(name, told.name);
    setText(text, outcomeText(told.places.length, told.both, total));
    this.draw();
    root.dataset.run = told.run;
    if (!this.waits) return;
    this.waits = false;
    root.scrollIntoView({ block: "nearest" });
    say(text.textContent);
  }

  draw() {
    const loupe = pageStepper(), trace = loupe?.trace;
    if (!this.told || trace?.id !== this.told.run) return;
    const side = Math.floor(this.parts.before.parentElement.clientWidth), cell = side / trace.grid.width;
    for (const [canvas, picture] of /** @type {const} */ ([[this.parts.before, this.picture], [this.parts.after, trace.drawn]])) {
      const context = prepare(canvas, side, Math.round(cell * trace.grid.height));
      context.drawImage(picture, 0, 0, side, cell * trace.grid.height);
      this.outline(context, trace.grid, cell, loupe.colours);
    }
  }

  /** A line around the patches that differ, which shows on any picture and leaves them to be seen. */
  outline(context, grid, cell, colours) {
    const borders = bordersOf(this.told.places, grid).map(([from, to]) => [corner(from, grid, cell), corner(to, grid, cell)]);
    for (const [width, colour] of /** @type {const} */ ([[3, "rgb(255 255 255 / 0.85)"], [1.5, colours.query]])) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.beginPath();
      for (const [from, to] of borders) { context.moveTo(...from); context.lineTo(...to); }
      context.stroke();
    }
  }
}

/**
 * Where a corner of the grid is on the canvas; those at its edge are moved inside.
 * @returns {[number, number]}
 */
function corner([col, row], grid, cell) {
  const inside = (place, count) => Math.min(Math.max(Math.round(place * cell), 1), Math.round(count * cell) - 1);
  return [inside(col, grid.width), inside(row, grid.height)];
}
