/*
 * Runs side by side: pictures, readings and a map of differing codes, all at one position.
 *
 * It takes updates (see CompareData in compare.py): small ones while the runs are being drawn together, then one that names
 * a file for each run, the same that the stepper fetches. After that, stepping makes no request.
 */

import { hideButton, offerAgain, partsOf, setText } from "../../client/dom.js";
import { lifetimeOf, onThemeChange, until } from "../../client/lifetime.js";
import { Newest } from "../../client/newest.js";
import { doAgain, Patience, SILENT } from "../../client/patience.js";
import { plural, short } from "../../client/numbers.js";
import { say } from "../../client/speech.js";
import { Asking } from "../../share/asking.js";
import {
  boxOf, cividis, coloursOf, drawGrid, drawOverlay, drawPaper, drawPatches, drawRest, drawScale, outline, prepare,
} from "../../stepper/drawing.js";
import { placeAt } from "../../stepper/step.js";
import {
  bitmapFromBase64, closeTrace, decodeSource, finiteRange, loadTrace, PictureOfOneFile,
} from "../../stepper/trace.js";
import { differencesOf } from "./differences.js";
import { LETTERS } from "../../client/letters.js";
import { makePicture } from "./picture.js";
import { RunReading } from "./reading.js";

const DIGIT_CELL = 13;
const TICK_MARGIN = 8;
const SPEAK_AFTER_MS = 350;
const OVERLAYS = {
  entropy: { of: (trace) => trace.arrays.entropy.filter((_, i) => i % 3 === 2), meaning: "nats, of what was drawn from" },
  kl: { of: (trace) => trace.arrays.kl, meaning: "nats, between the distributions without and with look-up" },
  nearest: { of: (trace) => trace.arrays.nearest, meaning: "squared L2 to the nearest neighbour" },
};

class Compare {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {(event: string, data: object) => void} trigger tells the server
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, trigger, signal) {
    this.trigger = trigger;
    this.parts = partsOf(element, "cp-");
    this.root = this.parts.root;
    this.host = /** @type {any} */ (element.closest("#compare")) || this.root;
    this.newest = new Newest();
    this.patience = new Patience(() => this.fail(SILENT));
    this.host.loupe = this;
    this.runs = [];
    this.traces = [];
    this.differences = null;
    this.drawing = null;
    this.step = -1;
    this.whole = false; // all of the pictures is seen, until one moves
    this.overlayName = "differences";
    this.atlas = null;
    this.patches = new PictureOfOneFile();
    this.map = makePicture("", "Map of differing codes", null);
    this.map.item.classList.add("cp-map");
    this.colours = coloursOf(this.root);
    this.asking = new Asking(this.parts.save, this.parts.told, signal);
    this.parts.save.addEventListener("click", () => this.save());
    this.listen();
    this.watch(signal);
    this.setState("idle");
  }

  /* ---- updates from the server */

  /** Take one update; older ones are dropped. */
  async receive(update) {
    if (!this.newest.take(update)) return;
    this.patience.heard(update.state === "streaming");
    await this.follow(update);
  }

  /** Show what an update brings; where that fails, the visitor can try again. */
  async follow(update) {
    try {
      if (update.state === "streaming") await this.showProgress(update);
      else if (update.state === "error") this.showMessage(update.message, this.traces.length ? "ready" : "error");
      else await this.showRuns(update);
    } catch (error) {
      if (!this.newest.is(update)) return;
      this.showMessage(`The pictures could not be shown (${error instanceof Error ? error.message : error}).`, "error");
      offerAgain(this.parts.again, () => this.follow(update));
    }
  }

  /** The runs are being drawn: show what there is so far. What was there before stays until they have begun. */
  async showProgress(update) {
    const sheet = update.picture ? await bitmapFromBase64(update.picture) : null;
    if (!this.newest.is(update)) return sheet?.close();
    this.showMessage(update.message, "streaming");
    if (!update.labels.length) return;
    const grid = { height: update.height, width: update.width };
    if (!this.drawing || this.drawing.run !== update.run) this.build(update.labels, null);
    this.drop();
    this.drawing = { run: update.run, sheet, grid, steps: update.steps, counts: update.counts };
    setText(this.parts.title, update.prompt);
    setText(this.parts.summary, `${update.steps} of ${grid.width * grid.height} patches of each`);
    this.setStep(update.steps - 1);
  }

  /** The runs are finished: fetch their traces and stand where the last comparison stood, at first where they part. */
  async showRuns(update) {
    const [traces, atlas] = await Promise.all([
      Promise.all(update.runs.map(({ file }) => loadTrace(file))), this.patches.load(update.atlas)]);
    if (!this.newest.is(update)) return traces.forEach(closeTrace);
    if (new Set(traces.map(({ grid }) => `${grid.height} ${grid.width}`)).size > 1) throw new Error("their grids differ");
    const step = this.traces.length ? this.step : -1;
    this.drop();
    Object.assign(this, { runs: update.runs, traces, atlas, differences: differencesOf(traces) });
    this.build(update.runs.map(({ label }) => label), update.runs);
    setText(this.parts.title, update.prompt || "Different prompts");
    this.summarise();
    this.showMessage(update.message, "ready");
    this.choose(this.overlayName);
    this.whole = step < 0;
    const last = this.differences.total - 1;
    this.setStep(step < 0 ? this.differences.places[0] ?? last : Math.min(step, last));
  }

  /** Free what was shown before. */
  drop() {
    this.drawing?.sheet?.close();
    this.traces.forEach(closeTrace);
    Object.assign(this, { drawing: null, traces: [], runs: [] });
  }

  /** Make the elements of some runs; those that are finished can be opened. */
  build(labels, runs) {
    this.pictures = labels.map((label, i) => makePicture(LETTERS[i], label, runs && (() => this.trigger("open", { run: runs[i].id }))));
    this.readings = runs ? labels.map((_, i) => new RunReading(LETTERS[i])) : [];
    this.parts.runs.replaceChildren(...[...this.pictures, this.map].map(({ item }) => item));
    this.parts.readings.replaceChildren(...this.readings.map(({ item }) => item));
    this.root.style.setProperty("--cp-columns", labels.length + 1);
    this.parts.body.hidden = false;
    this.parts.guide.hidden = true;
    this.measure();
  }

  /** Ask for all of them as one picture. */
  save() {
    this.asking.begin("the picture");
    this.trigger("save", { runs: this.runs.map(({ id }) => id), columns: this.runs.length });
  }

  /** How much the runs differ, in words. */
  summarise() {
    const { total, places, changed, distinct } = this.differences;
    setText(this.parts.summary, places.length
      ? `codes differ at ${places.length} of ${plural(total, "position")}, first at ${placeAt(this.traces[0].grid, places[0])}` : "the same codes everywhere");
    this.pictures.forEach(({ count }, i) => {
      const differing = changed[i].reduce((sum, flag) => sum + flag, 0), { steps } = this.traces[i];
      setText(count, i ? `${plural(differing, "code")} ${differing === 1 ? "differs" : "differ"} from A` : "what the others are compared with");
      count.title = `of ${plural(steps, "position")}`;
    });
    const most = Math.max(...distinct);
    const counts = Array.from({ length: Math.max(most - 1, 0) }, (_, i) => [i + 2, distinct.filter((n) => n === i + 2).length]);
    setText(this.map.count, most > 1 ? counts.map(([n, cells]) => `${n} codes: ${plural(cells, "position")}`).join(", ") : "one code everywhere");
  }

  /** What was asked for did not come about, and no answer will say so. */
  fail(message, again = "") {
    this.asking.end({ name: "", problem: message });
    this.patience.heard(false);
    this.showMessage(message, this.traces.length ? "ready" : "error");
    if (again) offerAgain(this.parts.again, () => doAgain(again));
  }

  /* ---- state that the outside can see */

  setState(state) {
    const known = { state, runs: this.runs.map(({ id }) => id).join(" "), steps: this.traces.length ? this.differences.total : this.drawing?.steps ?? 0 };
    for (const node of [this.root, this.host]) Object.assign(node.dataset, known);
    this.parts.save.hidden = !this.runs.length;
    for (const name of ["previous", "next", "scrub"]) this.parts[name].disabled = !this.traces.length;
    for (const name of ["back", "on"]) this.parts[name].disabled = !this.traces.length || !this.differences.places.length;
    for (const { button } of this.pictures || []) button.disabled = !this.traces.length;
  }

  showMessage(message, state) {
    setText(this.parts.notice, message || "");
    this.parts.notice.hidden = !message;
    if (message) say(message);
    this.setState(state);
    hideButton(this.parts.again, this.parts.scrub);
  }

  setStep(step) {
    this.step = step;
    for (const node of [this.root, this.host]) node.dataset.step = step;
    this.draw();
  }

  /* ---- moving */

  /** Go to a position (clamped) of all pictures. */
  go(step) {
    this.whole = false;
    if (this.traces.length) this.setStep(Math.min(Math.max(step, 0), this.differences.total - 1));
  }

  /** Go to the next position where codes differ; at the last one, to the first. */
  goOn() {
    const { places } = this.differences;
    if (places.length) this.go(places.find((p) => p > this.step) ?? places[0]);
  }

  /** The same, backwards. */
  goBack() {
    const { places } = this.differences;
    if (places.length) this.go(places.findLast((p) => p < this.step) ?? places.at(-1));
  }

  /* ---- events */

  listen() {
    const { previous, next, back, on, scrub } = this.parts;
    previous.addEventListener("click", () => this.go(this.step - 1));
    next.addEventListener("click", () => this.go(this.step + 1));
    back.addEventListener("click", () => this.goBack());
    on.addEventListener("click", () => this.goOn());
    scrub.addEventListener("input", () => this.go(Number(scrub.value)));
    this.root.addEventListener("keydown", (event) => this.press(event));
    for (const type of ["pointerdown", "pointermove"]) this.parts.runs.addEventListener(type, (event) => this.pick(event));
    for (const radio of this.root.querySelectorAll("[name=cp-overlay]")) radio.addEventListener("change", () => this.choose(radio.value));
  }

  /** Follow what is around it, until it goes; then its pictures are freed. */
  watch(signal) {
    until(signal, new ResizeObserver(() => this.measure())).observe(this.root);
    onThemeChange(signal, () => { this.colours = coloursOf(this.root); this.draw(); });
    signal.addEventListener("abort", () => { clearTimeout(this.speaking); this.drop(); });
  }

  /** Read the sizes that drawing depends on; not while drawing, where it would force a layout. */
  measure() {
    const width = (node) => node?.clientWidth || 0;
    this.sizes = { picture: width(this.parts.runs.firstChild), strip: width(this.parts.readings.firstChild), bar: width(this.parts.ticks.parentElement) };
    this.draw();
  }

  /** Go to the cell under the pointer. */
  pick(event) {
    const canvas = event.target;
    if (canvas.tagName !== "CANVAS" || !this.traces.length || (event.type === "pointermove" && event.buttons !== 1)) return;
    const box = canvas.getBoundingClientRect(), { width, height } = this.traces[0].grid;
    const col = Math.floor(((event.clientX - box.left) / box.width) * width);
    const row = Math.floor(((event.clientY - box.top) / box.height) * height);
    if (col >= 0 && row >= 0 && col < width && row < height) this.go(row * width + col);
  }

  /** Arrows, Home, End; n and p for differences. */
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.type === "radio" || !this.traces.length) return;
    const { width } = this.traces[0].grid;
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width, PageUp: -width, PageDown: width, Home: -Infinity, End: Infinity };
    if (event.key in moves) this.go(this.step + moves[event.key]);
    else if (event.key === "n") this.goOn();
    else if (event.key === "p") this.goBack();
    else return;
    event.preventDefault();
  }

  /** Choose an overlay by name; its colours have one range for all pictures. */
  choose(name) {
    this.overlayName = name;
    const { of, meaning } = OVERLAYS[name] || {};
    const values = of && this.traces.map(of);
    const range = values && finiteRange(values.flatMap((array) => [...array]));
    this.overlays = range && values.map((array) => ({ values: array, range: [Math.min(0, range[0]), range[1]] }));
    setText(this.parts.low, range ? short(Math.min(0, range[0])) : "");
    setText(this.parts.high, range ? short(range[1]) : "");
    setText(this.parts.meaning, name === "differences" ? "Marked: the code is not that of A" : name === "none" ? "" : range ? meaning : "None of these runs has it");
    this.parts.scale.hidden = !range;
    if (range) drawScale(this.parts.scale);
    this.draw();
  }

  /* ---- drawing the current position */

  /** Draw in the next frame, once, however many changes come before it. */
  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.render(); });
  }

  render() {
    const { width } = this.drawing?.grid || this.traces[0]?.grid || {};
    if (!width || !this.sizes?.picture) return;
    const cell = this.sizes.picture / width;
    this.parts.readings.hidden = this.parts.shared.hidden = !this.traces.length;
    if (this.drawing) return this.renderDrawing(cell);
    this.traces.forEach((trace, i) => { this.renderPicture(trace, i, cell); this.renderReading(trace, i); });
    this.renderMap(cell);
    this.renderTransport();
    this.speak();
  }

  /** A cleared canvas of the size of a picture. */
  paper(canvas, grid, cell, shown) {
    const context = prepare(canvas, Math.round(cell * grid.width), Math.round(cell * grid.height));
    drawPaper(context, grid, cell, shown, this.colours);
    return context;
  }

  renderDrawing(cell) {
    const { grid, sheet, steps, counts } = this.drawing, size = sheet ? sheet.width / this.pictures.length : 0;
    this.pictures.forEach(({ canvas }, i) => {
      const count = counts[i] ?? 0, context = this.paper(canvas, grid, cell, count);
      if (sheet) drawPatches(context, sheet, grid, cell, count, [i * size, 0, size]);
      drawGrid(context, grid, cell, this.colours);
    });
    this.paper(this.map.canvas, grid, cell, 0);
    for (const { count } of [...this.pictures, this.map]) setText(count, "");
    setText(this.parts.where, `${steps} of ${grid.width * grid.height}`);
  }

  renderPicture(trace, i, cell) {
    const { grid } = trace, { canvas } = this.pictures[i], shown = this.whole ? trace.steps : Math.min(this.step + 1, trace.steps);
    const context = this.paper(canvas, grid, cell, trace.steps);
    if (shown < trace.steps) drawRest(context, trace.drawn, grid, cell, shown);
    drawPatches(context, trace.drawn, grid, cell, shown);
    drawGrid(context, grid, cell, this.colours);
    if (this.overlayName === "differences") this.drawMarks(context, this.differences.changed[i], grid, cell);
    else if (this.overlays) drawOverlay(context, this.overlays[i], grid, cell, shown, this.colours);
    outline(context, ...boxOf(this.step, grid, cell), this.colours.cursor);
    canvas.setAttribute("aria-label", `${LETTERS[i]}, ${this.runs[i].label}, up to ${placeAt(grid, this.step)}`);
  }

  /** A dot in every cell that is flagged, fainter where the position is still to come. */
  drawMarks(context, flags, grid, cell) {
    flags.forEach((flag, p) => {
      if (!flag) return;
      const [x, y, width, height] = boxOf(p, grid, cell), size = Math.max(4, Math.round(cell * 0.34));
      const [left, top] = [x + Math.round((width - size) / 2), y + Math.round((height - size) / 2)];
      context.globalAlpha = p <= this.step ? 1 : 0.35;
      context.fillStyle = "#fff";
      context.fillRect(left - 1, top - 1, size + 2, size + 2);
      context.fillStyle = this.colours.query;
      context.fillRect(left, top, size, size);
    });
    context.globalAlpha = 1;
  }

  /** How many different codes each position has, in colour and, where there is room, as a number. */
  renderMap(cell) {
    const { distinct } = this.differences, { grid } = this.traces[0], most = this.traces.length;
    const context = this.paper(this.map.canvas, grid, cell, 0);
    context.font = `${Math.round(cell * 0.62)}px "IBM Plex Mono", monospace`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    distinct.forEach((count, p) => {
      if (count < 2) return;
      const [x, y, width, height] = boxOf(p, grid, cell), share = most > 2 ? 0.25 + 0.75 * (count - 2) / (most - 2) : 0.75;
      context.globalAlpha = p <= this.step ? 1 : 0.4;
      context.fillStyle = cividis(share);
      context.fillRect(x, y, width, height);
      if (cell < DIGIT_CELL) return;
      context.fillStyle = share > 0.55 ? "#000" : "#fff";
      context.fillText(String(count), x + width / 2, y + height / 2 + 1);
    });
    context.globalAlpha = 1;
    outline(context, ...boxOf(this.step, grid, cell), this.colours.cursor);
    this.map.canvas.setAttribute("aria-label", `Map of differing codes: ${this.map.count.textContent}`);
  }

  renderTransport() {
    const { scrub, where } = this.parts, { total } = this.differences, { grid } = this.traces[0];
    scrub.max = total - 1;
    scrub.value = this.step;
    scrub.style.setProperty("--lp-filled", `${(100 * this.step) / Math.max(total - 1, 1)}%`);
    scrub.setAttribute("aria-valuetext", `position ${this.step}, ${placeAt(grid, this.step)}`);
    setText(where, `${this.step} / ${total - 1}`);
    this.renderTicks();
    const seeds = [...new Set(this.traces.map(({ settings }) => settings.seed))], rules = new Set(this.traces.map(({ rule }) => rule));
    const shared = rules.size > 1 ? "They were drawn by different rules, so their luck differs."
      : seeds.length === 1 ? `The same luck, of seed ${seeds[0]}, drew all of them.` : `Other seeds, other luck: ${seeds.join(", ")}.`;
    setText(this.parts.shared, `Position ${this.step}, ${placeAt(grid, this.step)}. ${shared}`);
  }

  /** A line above the bar at every position where codes differ. */
  renderTicks() {
    const { places, total } = this.differences, { bar } = this.sizes;
    const context = prepare(this.parts.ticks, bar, 8);
    context.fillStyle = this.colours.query;
    for (const p of places) context.fillRect(TICK_MARGIN + (p / Math.max(total - 1, 1)) * (bar - 2 * TICK_MARGIN) - 0.5, 0, 1.25, 8);
  }

  renderReading(trace, i) {
    const { step } = this, differs = this.differences.changed[i][step] === 1;
    const verdict = i === 0 ? "" : step >= this.traces[0].steps ? "A is not drawn here" : differs ? "differs from A" : "as A";
    const view = { trace, step, atlas: this.atlas, colours: this.colours, stripWidth: this.sizes.strip, wanted: (image) => this.showSource(trace, image) };
    this.readings[i].show(view, verdict, differs);
  }

  /** Decode a source picture that is on view, and draw again when it is there. */
  async showSource(trace, image) {
    if (trace.asked.has(image)) return;
    await decodeSource(trace, image);
    if (this.traces.includes(trace) && trace.bitmaps[image]) this.draw();
  }

  /** Say the current position once it has stood still for a moment. */
  speak() {
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      if (!this.traces.length) return;
      const codes = this.traces.map(({ arrays, steps }, i) => `${LETTERS[i]} ${this.step < steps ? `code ${arrays.code[this.step]}` : "not drawn"}`);
      say(`Position ${this.step}, ${placeAt(this.traces[0].grid, this.step)}. ${codes.join(", ")}.`);
    }, SPEAK_AFTER_MS);
  }
}

/** Make the comparison; returns what takes its updates. */
export function mount({ element, trigger }) {
  const compare = new Compare(element, trigger, lifetimeOf(element));
  return (update) => compare.receive(update);
}
