/*
 * The tab "Sources": which source images shaped the picture in the stepper, and what is copied.
 *
 * Everything is read from the trace that the stepper holds: nothing is asked of the server.
 */

import { make, makePatch, partsOf, setText, setTitle } from "../../client/dom.js";
import { lifetimeOf, onThemeChange } from "../../client/lifetime.js";
import { percent, plural } from "../../client/numbers.js";
import { pageStepper } from "../../client/page.js";
import { boxOf, outline, prepare } from "../../stepper/drawing.js";
import {
  drawBorders, makeSourceKey, numberOf, offsetText, originAt, sourceColour, sourceName, sourcesOf, sourceValues,
} from "../../stepper/sources.js";
import { placeAt } from "../../stepper/step.js";
import { decodeSource } from "../../stepper/trace.js";

const SIDE = 232;
const THUMB = 34;

class Sources {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, signal) {
    this.parts = partsOf(element);
    this.chosen = 0;
    this.rows = [];
    this.follow(signal);
    this.parts.picture.addEventListener("pointerdown", (event) => this.pick(event));
    this.build();
  }

  /** The stepper of the page. */
  get stepper() {
    return pageStepper();
  }

  get trace() {
    return this.stepper?.trace;
  }

  /** Follow the stepper for as long as this panel is on the page. */
  follow(signal) {
    const listen = (name, act) => document.addEventListener(name, act, { capture: true, signal });
    listen("loupe:trace", () => { this.chosen = 0; this.build(); });
    listen("loupe:focus", () => { if (this.stepper.focus >= 0) this.chosen = this.stepper.focus; this.show(); });
    listen("loupe:step", () => this.draw());
    onThemeChange(signal, () => this.draw());
  }

  /** Everything anew, for another trace. */
  build() {
    const { trace } = this;
    const any = Boolean(trace && trace.provenance.listed.length);
    this.parts.body.hidden = !any;
    this.parts.empty.hidden = any;
    this.parts.panel.dataset.state = any ? "ready" : "empty";
    if (trace && !any) setText(this.parts.empty, "This run looked nothing up: no source shaped it. Choose a method that does, and draw again.");
    if (!any) return;
    this.sources = sourcesOf(trace);
    this.buildList();
    this.buildCopying();
    this.show();
  }

  /* ---- the list */

  buildList() {
    const { trace, sources, parts } = this, { others, mixes } = trace.provenance;
    const head = mixes ? ["share of the mix", "taken codes"] : ["compatibility", "with the code"];
    const meanings = mixes
      ? ["Share of the mix, over all positions, that came from this source; the rest is the model’s", "Share of the probability of the codes that were taken that came from this source"]
      : ["Share of the compatibility in the last blender, over all positions", "The same, of neighbours with the code that was taken"];
    ["head-mass", "head-credit"].forEach((name, i) => { setText(parts[name], head[i]); setTitle(parts[name], meanings[i]); });
    const owners = sources.filter(({ patches }) => patches).length + others.owners;
    const patches = sources.reduce((sum, source) => sum + source.patches, others.patches);
    setText(parts.summary, `${plural(owners, "picture")} shaped ${patches} of ${trace.steps} patches`);
    this.rows = sources.map((source) => this.makeRow(source));
    parts.rows.replaceChildren(...this.rows.map(({ item }) => item));
    parts.others.hidden = !others.images;
    setText(parts.others, `${plural(others.images, "other picture")}: ${percent(others.mass)} % of the ${head[0]}, ${percent(others.credit)} % of the ${mixes ? "taken codes" : "compatibility with the code"}, ${others.patches} patches`);
    for (const row of this.rows) this.drawThumb(row);
  }

  makeRow(source) {
    const item = make("li"), button = make("button", "so-row");
    button.type = "button";
    const key = makeSourceKey(source.rank), thumb = makePatch("so-thumb"), name = make("span", "so-name");
    name.append(make("b", "", source.about.caption), make("small", "", `${source.about.style} · #${source.about.image}`));
    const bar = make("i", "so-bar");
    bar.style.transform = `scaleX(${source.mass / (this.sources[0].mass || 1)})`;
    const mass = this.makeNumber(`${percent(source.mass)} %`, `of the ${this.parts["head-mass"].textContent},`);
    mass.append(bar);
    const credit = this.makeNumber(`${percent(source.credit)} %`, `${this.parts["head-credit"].textContent},`);
    button.append(key, thumb, name, mass, credit, this.makeNumber(String(source.patches), "patches"));
    button.title = `${source.about.source}, image ${source.about.image}`;
    button.addEventListener("click", () => this.stepper.focusSource(this.stepper.focus === source.rank ? -1 : source.rank));
    item.append(button);
    return { item, button, thumb, source };
  }

  /** A number of a row, with what it counts for screen readers. */
  makeNumber(text, unit) {
    const number = make("span", "so-number", text);
    number.append(make("span", "so-hidden", ` ${unit}`));
    return number;
  }

  async drawThumb({ thumb, source }) {
    const bitmap = await this.bitmapOf(source.place);
    const context = prepare(thumb, THUMB, THUMB);
    if (bitmap) context.drawImage(bitmap, 0, 0, THUMB, THUMB);
  }

  /** The picture of a source; null when it has none, or when another trace has come. */
  async bitmapOf(place) {
    const { trace } = this;
    if (!trace) return null;
    await decodeSource(trace, place);
    for (let turns = 0; turns < 100 && trace === this.trace && !trace.bitmaps[place] && trace.asked.has(place); turns++) {
      await new Promise((done) => setTimeout(done, 20)); // the stepper is decoding it
    }
    return trace === this.trace ? trace.bitmaps[place] : null;
  }

  /* ---- copying */

  buildCopying() {
    const { trace, parts } = this, { copying, references, regions, places } = trace.provenance;
    /** @type {[string, (value: number) => string, string][]} */
    const figures = [["largest", String, ""], ["share", percent, " %"], ["sources", String, ""]];
    const named = { real: references.find(({ model }) => !model), model: references.find(({ model }) => model) };
    for (const [name, text, unit] of figures) {
      setText(parts[name], text(copying[name]) + unit);
      for (const [kind, reference] of Object.entries(named)) {
        parts[`${name}-${kind}`].replaceChildren(...(reference ? this.range(reference[name], text, unit) : [document.createTextNode("–")]));
      }
    }
    setText(parts["head-real"], "held-out real");
    setText(parts["head-model"], "model alone");
    setText(parts.note, this.noteOn(named.real));
    parts["regions-head"].hidden = !regions.length;
    parts.regions.replaceChildren(...regions.map((region, i) => {
      const item = make("li"), button = make("button", "so-region", "");
      button.type = "button";
      button.title = "Go to the first patch of this region";
      button.append(make("b", "", String(region.size)), document.createTextNode(
        ` patches from ${sourceName(trace.sources[places[region.place]])}: ${offsetText(region.offset)}`));
      button.addEventListener("click", () => this.stepper.move(trace.arrays.copied.indexOf(i + 1)));
      item.append(button);
      return item;
    }));
  }

  /** The middle of a reference, and the range of most pictures. */
  range([low, middle, high], text, unit) {
    return [make("b", "", text(middle) + unit), make("small", "", `${text(low)}–${text(high)}`)];
  }

  noteOn(reference) {
    if (!reference) return "What these figures are for pictures that are no copies was not measured with this database.";
    const { pictures, n_neighbours, caption_filter, position_weight, same } = reference;
    const how = `K ${n_neighbours || "all"}, ${caption_filter ? `caption filter ${caption_filter}` : "no caption filter"}${position_weight ? `, position term ${position_weight}` : ""}`;
    return `Median and 10–90 % range of ${pictures} pictures each: real ones that the database holds no variant of, and ones that the model drew without look-up, looked up in this database ${same ? "as in this run" : "in the measured way that is most like this run"} (${how}).`;
  }

  /* ---- the pair of pictures */

  /** The chosen source, which the stepper may have changed. */
  show() {
    if (!this.trace || !this.rows.length) return;
    for (const { button, source } of this.rows) {
      button.setAttribute("aria-pressed", String(source.rank === this.stepper.focus));
      button.classList.toggle("is-shown", source.rank === this.chosen);
    }
    const { about, patches, mass, credit, rank } = this.sources[this.chosen];
    this.parts.chosen.replaceChildren(makeSourceKey(rank), document.createTextNode(sourceName(about)));
    const share = this.trace.provenance.mixes ? `${percent(mass)} % of the mix and ${percent(credit)} % of the taken codes`
      : `${percent(mass)} % of the compatibility`;
    setText(this.parts.story, `${share} came from it. It has the largest part in ${patches === 1 ? "one patch" : `${patches} patches`}${this.commonOffset()}.`);
    this.draw();
  }

  /** At which offset most of what the source shaped lies, in words. */
  commonOffset() {
    const { trace, chosen } = this, counts = new Map();
    for (let step = 0; step < trace.steps; step++) {
      if (trace.arrays.owner[step] !== chosen) continue;
      const offset = this.offsetAt(step).join();
      counts.set(offset, (counts.get(offset) || 0) + 1);
    }
    const [most, count] = [...counts].sort((a, b) => b[1] - a[1])[0] || [];
    return count > 1 ? `, of which ${count} come from one offset (${offsetText(most.split(",").map(Number))})` : "";
  }

  /**
   * From a patch to its origin in the chosen source, in rows and columns.
   * @returns {[number, number]}
   */
  offsetAt(step) {
    const { width } = this.trace.grid, origin = originAt(this.trace, step, this.chosen);
    return [Math.floor(origin / width) - Math.floor(step / width), (origin % width) - (step % width)];
  }

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.paint(); });
  }

  async paint() {
    const { trace, stepper, chosen } = this;
    if (!trace || !this.rows.length) return;
    const bitmap = await this.bitmapOf(this.sources[chosen].place);
    if (trace !== this.trace || chosen !== this.chosen) return;
    const { grid } = trace, cell = SIDE / grid.width, height = Math.round(cell * grid.height);
    const values = sourceValues(trace, chosen), { cursor } = stepper.colours;
    const left = prepare(this.parts.picture, SIDE, height), right = prepare(this.parts.source, SIDE, height);
    left.drawImage(trace.drawn, 0, 0, SIDE, height);
    if (bitmap) right.drawImage(bitmap, 0, 0, SIDE, height);
    for (const context of [left, right]) this.veil(context, height);
    const origins = this.origins(values);
    values.forEach((value, step) => value > 0 && this.reveal(left, trace.drawn, boxOf(step, grid, cell), value));
    if (bitmap) for (const [origin, value] of origins) this.reveal(right, bitmap, boxOf(origin, grid, cell), value);
    const colour = sourceColour(chosen);
    drawBorders(left, numberOf(grid, (p) => Number(trace.arrays.owner[p] === chosen)), grid, cell, colour);
    drawBorders(right, numberOf(grid, (p) => Number(origins.has(p))), grid, cell, colour);
    outline(left, ...boxOf(stepper.step, grid, cell), cursor);
    const origin = originAt(trace, stepper.step, chosen);
    if (origin >= 0) outline(right, ...boxOf(origin, grid, cell), cursor);
    this.describe(values, origin);
  }

  /** Pale what is not highlighted. */
  veil(context, height) {
    context.globalAlpha = 0.72;
    context.fillStyle = document.body.classList.contains("dark") ? "#12181e" : "#ffffff";
    context.fillRect(0, 0, SIDE, height);
    context.globalAlpha = 1;
  }

  /** The cells of the chosen source that patches came from, with the largest share of each. */
  origins(values) {
    const largest = new Map();
    values.forEach((value, step) => {
      const origin = originAt(this.trace, step, this.chosen);
      if (value > 0 && origin >= 0) largest.set(origin, Math.max(value, largest.get(origin) || 0));
    });
    return largest;
  }

  /** A patch as it is, the more so the more of it came from the source. */
  reveal(context, bitmap, [x, y, width, height], value) {
    const [across, down] = [bitmap.width / SIDE, bitmap.height / context.canvas.clientHeight];
    context.globalAlpha = 0.35 + 0.65 * value;
    context.drawImage(bitmap, x * across, y * down, width * across, height * down, x, y, width, height);
    context.globalAlpha = 1;
  }

  describe(values, origin) {
    const { trace, stepper, parts } = this, { about } = this.sources[this.chosen];
    const shaped = values.filter((value) => value > 0).length;
    parts.picture.setAttribute("aria-label", `The picture, with the ${shaped} patches that ${sourceName(about)} had a part in`);
    parts.source.setAttribute("aria-label", `${sourceName(about)}, with the cells that they came from`);
    setText(parts.here, origin < 0 ? `Position ${stepper.step}: nothing came from this source.`
      : `Position ${stepper.step}: ${percent(values[stepper.step])} % came from ${placeAt(trace.grid, origin)} of this source (${offsetText(this.offsetAt(stepper.step))}).`);
  }

  /** Go to the patch under the pointer. */
  pick(event) {
    const { grid } = this.trace, box = this.parts.picture.getBoundingClientRect();
    const col = Math.floor(((event.clientX - box.left) / box.width) * grid.width);
    const row = Math.floor(((event.clientY - box.top) / box.height) * grid.height);
    if (col >= 0 && row >= 0 && col < grid.width && row < grid.height) this.stepper.move(row * grid.width + col);
  }
}

/** Make the panel. */
export function mount({ element }) {
  new Sources(element, lifetimeOf(element));
}
