/*
 * The verdict on a picture that was read: in words, by row, and by patch. It takes a ReadingData (reading.py). The maps follow
 * the stepper, and a click on a cell moves it; no request is made.
 */

import { make, partsOf, setText } from "../../client/dom.js";
import { lifetimeOf, onThemeChange } from "../../client/lifetime.js";
import { pageStepper } from "../../client/page.js";
import { boxOf, cividis, drawPatches, outline, prepare } from "../../stepper/drawing.js";
import { bitmapFromBase64, finiteRange } from "../../stepper/trace.js";
import { changesOf, extentOf, rowMeans, shade, signed } from "./changes.js";
import { drawKey, drawRows } from "./rows.js";

const SIDE = 240, MAP = 176;

class Verdict {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, signal) {
    this.parts = partsOf(element, "", "wm");
    this.taken = 0;
    /** @type {any} */
    this.value = null;
    /** @type {ImageBitmap | null} */
    this.picture = null;
    document.addEventListener("loupe:step", () => this.value && this.draw(), { capture: true, signal });
    onThemeChange(signal, () => this.value && this.draw());
  }

  get loupe() {
    return pageStepper();
  }

  /** Take a message; what was there stays until something new has come of a reading. */
  async show(value) {
    if (!value) return;
    const taken = ++this.taken, { root, progress } = this.parts;
    setText(progress, value.state === "reading" ? `Reading, patch ${value.steps}` : value.message);
    progress.setAttribute("aria-live", value.state === "reading" ? "off" : "polite");
    if (value.state !== "ready") {
      root.dataset.state = value.state;
      return;
    }
    const picture = await bitmapFromBase64(value.picture);
    if (taken !== this.taken) return picture.close();
    this.picture?.close();
    Object.assign(this, { value, picture });
    this.build();
    root.dataset.state = "ready";
  }

  /** All that does not follow the stepper. */
  build() {
    const { value, parts } = this, [alone, ...others] = value.methods, { height, width } = value;
    parts.body.hidden = false;
    setText(parts.verdict, value.sentence);
    setText(parts.about, value.about);
    setText(parts.prompt, `Read as “${value.prompt}”`);
    this.changes = others.map((method) => changesOf(alone.surprise, method.surprise));
    this.extent = extentOf(this.changes.flat());
    const rows = value.methods.map(({ name, surprise }) => ({ name, means: rowMeans(surprise, width) }));
    drawRows(parts.rows, rows, SIDE * height / width);
    drawKey(parts.key, value.methods.map(({ name }) => name));
    this.fillTable(rows);
    this.range = finiteRange(alone.surprise) || [0, 1];
    this.maps = value.methods.map((method, i) => this.makeMap(method, i - 1));
    parts.maps.replaceChildren(...this.maps.map(({ figure }) => figure));
    setText(parts.worse, `more surprising, ${this.extent.toFixed(1)} nats and over`);
    setText(parts.better, `less surprising, ${this.extent.toFixed(1)} nats and over`);
    const bar = parts.bar.getContext("2d");
    for (let x = 0; x < 256; x++) {
      Object.assign(bar, { fillStyle: shade((x - 127.5) / 127.5) });
      bar.clearRect(x, 0, 1, 1);
      bar.fillRect(x, 0, 1, 1);
    }
    this.draw();
  }

  /** A map with its caption: of the surprise itself for the model (change -1), of the change for a method. */
  makeMap(method, change) {
    const figure = make("figure", "wm-map"), canvas = make("canvas"), words = make("figcaption");
    const said = change < 0 ? "surprise itself: light is high" : this.countWords(this.changes[change]);
    words.append(make("b", "", method.name), make("span", "", ` ${method.nats.toFixed(3)}${change < 0 ? "" : ` (${signed(method.change)})`}`), make("small", "", said));
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${method.name}, ${method.nats.toFixed(3)} nats a code; ${said}`);
    canvas.addEventListener("pointerdown", (event) => this.pick(event, canvas));
    figure.append(canvas, words);
    return { figure, canvas };
  }

  countWords(changes) {
    const less = changes.filter((change) => change < -0.1).length, more = changes.filter((change) => change > 0.1).length;
    return `${less} patches less surprising, ${more} more (by over 0.1)`;
  }

  /** The means of every row as a table. */
  fillTable(rows) {
    const head = make("tr");
    head.append(make("th", "", "Row"), ...rows.map(({ name }) => Object.assign(make("th", "", name), { scope: "col" })));
    const lines = rows[0].means.map((_, row) => {
      const line = make("tr");
      line.append(Object.assign(make("th", "", String(row)), { scope: "row" }), ...rows.map(({ means }) => make("td", "", means[row].toFixed(3))));
      return line;
    });
    this.parts.table.replaceChildren(head, ...lines);
  }

  /** Move the stepper to the cell under the pointer, if this picture is what it shows. */
  pick(event, canvas) {
    const box = canvas.getBoundingClientRect(), { height, width } = this.value;
    const col = Math.floor(((event.clientX - box.left) / box.width) * width), row = Math.floor(((event.clientY - box.top) / box.height) * height);
    const here = Math.min(Math.max(row, 0), height - 1) * width + Math.min(Math.max(col, 0), width - 1);
    if (this.isShown()) this.loupe.move(here);
    else this.point(here);
  }

  isShown() {
    return this.loupe?.trace?.id === this.value.run;
  }

  /** Another picture is in the stepper: say the figures of a cell all the same. */
  point(here) {
    this.pointed = here;
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.render());
  }

  render() {
    const { value, parts } = this, step = this.isShown() ? this.loupe.step : this.pointed ?? -1;
    const grid = { height: value.height, width: value.width }, cell = SIDE / value.width;
    drawPatches(prepare(parts.picture, SIDE, Math.round(cell * value.height)), this.picture, grid, cell, value.codes.length);
    this.maps.forEach(({ canvas }, i) => this.drawMap(canvas, i - 1, grid, step));
    const here = step >= 0 && step < value.codes.length;
    setText(parts.here, here ? this.hereWords(step) : "Click a patch for its figures.");
  }

  drawMap(canvas, change, grid, step) {
    const cell = MAP / grid.width, context = prepare(canvas, MAP, Math.round(cell * grid.height)), [low, high] = this.range;
    drawPatches(context, this.picture, grid, cell, this.value.codes.length);
    Object.assign(context, { globalCompositeOperation: "saturation", fillStyle: "#808080" });  // the picture in greys
    context.fillRect(0, 0, MAP, cell * grid.height);
    Object.assign(context, { globalCompositeOperation: "source-over", fillStyle: "rgb(255 255 255 / 0.35)" });
    context.fillRect(0, 0, MAP, cell * grid.height);
    const values = change < 0 ? this.value.methods[0].surprise : this.changes[change];
    values.forEach((value, p) => {
      context.fillStyle = change < 0 ? cividis((value - low) / (high - low || 1)) : shade(-value / this.extent);
      context.fillRect(...boxOf(p, grid, cell));
    });
    if (step >= 0 && step < values.length) outline(context, ...boxOf(step, grid, cell), "#12181e");
  }

  hereWords(step) {
    const [alone, ...others] = this.value.methods;
    const said = others.map(({ name, surprise }) => `${name} ${surprise[step].toFixed(2)} (${signed(surprise[step] - alone.surprise[step], 2)})`);
    return `Position ${step}: ${alone.name} ${alone.surprise[step].toFixed(2)} nats, ${said.join(", ")}.`;
  }
}

/** Make the verdict; returns what takes its values. */
export function mount({ element }) {
  const verdict = new Verdict(element, lifetimeOf(element));
  return (value) => verdict.show(value);
}
