/*
 * A sweep: a table of pictures over two settings, which fills while they are drawn together.
 *
 * It takes updates (see SweepData in sweep.py), whose picture holds all pictures in the rows of the table. A click
 * on a finished one triggers "open" with the id of its run.
 */

import { make, makePatch, setText } from "../../client/dom.js";
import { lifetimeOf, onThemeChange, until } from "../../client/lifetime.js";
import { plural } from "../../client/numbers.js";
import { say } from "../../client/speech.js";
import { Asking } from "../../share/asking.js";
import { coloursOf, drawPaper, drawPatches, prepare } from "../../stepper/drawing.js";
import { Together } from "../../together.js";

const [SMALLEST, LARGEST] = [52, 128];
const BESIDE = 84;
const GAP = 10;

class Sweep extends Together {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {(event: string, data: object) => void} trigger tells the server
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, trigger, signal) {
    super(element, "sw-", "#sweep");
    this.trigger = trigger;
    this.opened = -1;
    this.room = 0;
    this.asking = new Asking(this.parts.save, this.parts.told, signal);
    this.parts.save.addEventListener("click", () => this.save());
    this.root.addEventListener("keydown", (event) => this.press(event));
    onThemeChange(signal, () => this.draw());
    until(signal, new ResizeObserver(() => { this.room = this.root.clientWidth - BESIDE; this.draw(); })).observe(this.root);
    this.setState("idle", 0);
  }

  begins(update) {
    return update.across.length > 0;
  }

  finished(shown) {
    return shown.ids.length;
  }

  fail(message, again) {
    this.asking.end({ name: "", problem: message });
    super.fail(message, again);
  }

  /** Make the table with its headings. */
  build({ across, down }) {
    const head = make("tr"), corner = make("td");
    head.append(corner, ...across.map((text) => Object.assign(make("th", "", text), { scope: "col" })));
    this.parts.head.replaceChildren(head);
    this.tiles = [];
    this.opened = -1;
    this.parts.rows.replaceChildren(...down.map((text) => {
      const row = make("tr");
      row.append(Object.assign(make("th", "", text), { scope: "row" }), ...across.map((name) => this.makeTile(`${name}, ${text}`)));
      return row;
    }));
    this.parts.body.hidden = false;
    this.parts.guide.hidden = true;
  }

  makeTile(name) {
    const cell = make("td"), button = make("button", "sw-tile"), canvas = makePatch(), note = make("small");
    const place = this.tiles.length;
    Object.assign(button, { type: "button", disabled: true, title: name });
    button.append(canvas, note);
    button.addEventListener("click", () => this.open(place));
    cell.append(button);
    this.tiles.push({ button, canvas, note, name });
    return cell;
  }

  open(place) {
    const id = this.shown?.ids[place];
    if (!id) return;
    this.opened = place;
    this.mark();
    this.trigger("open", { run: id });
  }

  /** Ask for all of them as one picture. */
  save() {
    this.asking.begin("the picture");
    this.trigger("save", { runs: this.shown.ids, columns: this.shown.across.length });
  }

  /** Progress, and what the finished pictures say. */
  describe() {
    const { prompt, steps, height, width, ids, changed, state } = this.shown, total = height * width;
    setText(this.parts.title, prompt);
    setText(this.parts.summary, ids.length ? `${plural(ids.length, "picture")}; below each, how many of its ${steps} codes differ from those of the first`
      : `${steps} of ${total} patches of ${plural(this.tiles.length, "picture")}`);
    if (state !== "streaming" && ids.length) say(this.parts.summary.textContent);
    this.parts.save.hidden = !ids.length;
    setText(this.parts.told, "");
    this.parts.progress.style.transform = `scaleX(${state === "streaming" ? steps / total : 0})`;
    this.tiles.forEach(({ button, note, name }, i) => {
      button.disabled = !ids.length;
      setText(note, ids.length ? (i ? String(changed[i]) : "first") : "");
      button.setAttribute("aria-label", ids.length ? `Open ${name}; ${plural(changed[i], "code")} other than the first` : name);
    });
  }

  mark() {
    this.tiles.forEach(({ button }, i) => button.classList.toggle("is-open", i === this.opened));
  }

  /** Arrows move between the pictures. */
  press(event) {
    const here = this.tiles.findIndex(({ button }) => button === event.target);
    const columns = this.shown?.across.length;
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (here < 0 || !(event.key in moves)) return;
    this.tiles[here + moves[event.key]]?.button.focus();
    event.preventDefault();
  }

  /** Each picture as far as it is drawn. */
  draw() {
    if (!this.shown || this.room <= 0) return;
    const { sheet, across, down, counts, height, width } = this.shown, grid = { height, width };
    const colours = coloursOf(this.root), size = sheet ? sheet.width / across.length : 0;
    const tile = Math.floor(Math.min(Math.max(this.room / across.length - GAP, SMALLEST), LARGEST)), cell = tile / width;
    this.tiles.forEach(({ canvas }, i) => {
      const context = prepare(canvas, tile, Math.round(cell * height));
      const steps = counts[i] ?? 0;
      drawPaper(context, grid, cell, steps, colours);
      if (sheet) drawPatches(context, sheet, grid, cell, steps, [(i % across.length) * size, Math.floor(i / across.length) * (sheet.height / down.length), size]);
    });
  }
}

/** Make the sweep; returns what takes its updates. */
export function mount({ element, trigger }) {
  const sweep = new Sweep(element, trigger, lifetimeOf(element));
  return (update) => sweep.receive(update);
}
