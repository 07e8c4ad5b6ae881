/* What the stage shows of its recordings, moment by moment; it asks nothing of anybody. */

import { make, partsOf, setText } from "../client/dom.js";
import { changesOf } from "./data.js";
import { paintAlone, paintDrawing, paintSource, paintSquare } from "./paint.js";
import { momentOf, planOf } from "./player.js";
import { TEMPLATE } from "./template.js";

const CHANCES = ["model", "lookup", "mixed"];

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** What is to be known of a recording; anew: whether a debugger that can draw it anew is behind the stage. */
function honestly(run, total, anew) {
  const off = run.name === "off", followed = run.name === "strong" ? ", as “Follow one picture”" : "";
  const said = off ? "" : `Look-ups changed ${run.changed} of ${total} patches; ${Math.round(100 * run.share)} % of this picture is taken over, patch by patch, from the one beside it. `;
  if (!anew) return `${said}This is a recording; step through it to see every patch${off ? "" : ", and from where it came"}.`;
  return off ? "This is a recording of the engine on this page; the debugger draws it anew in a second."
    : `${said}The page shows from where. This is a recording of its engine; the debugger draws it anew in a second${followed}.`;
}

/** The elements of a stage, with nothing in them yet. */
export function makeRoot(tag) {
  const root = /** @type {any} */ (make(tag));
  Object.assign(root, { id: "stage", tabIndex: -1 });
  root.append(...new DOMParser().parseFromString(TEMPLATE, "text/html").body.children);
  return root;
}

export class Stage {
  /**
   * @param {HTMLElement} root as `makeRoot` makes it
   * @param {object} example as `loadExample` loads it
   * @param {boolean} [anew] whether a debugger that can draw anew is behind it
   */
  constructor(root, example, anew = true) {
    this.root = root;
    this.anew = anew;
    this.example = example;
    this.parts = partsOf(root, "", "sg");
    this.grid = example.grid;
    this.total = example.grid.width * example.grid.height;
    this.run = example.runs.at(-1);
    this.alone = example.runs[0];
    this.plan = [];
    this.listen();
    this.choose(this.run);
    this.sizes = new ResizeObserver(() => this.show(this.position, this.moment));  // the same moment, in another size
    this.sizes.observe(this.parts.row);
  }

  /** Show another recording, at its most telling change; of the model alone, at its end. */
  choose(run) {
    this.stop();
    this.run = run;
    this.changes = changesOf(run);
    for (const button of this.parts.strengths.children) button.setAttribute("aria-checked", String(button.dataset.run === run.name));
    this.parts["off-here"].hidden = run.name !== "strong";
    setText(this.parts.honest, honestly(run, this.total, this.anew));
    this.parts.line.max = String(this.total - 1);
    this.show(run.start, { whole: true });
    this.drawTicks();
  }

  listen() {
    const { play, line, strengths } = this.parts;
    strengths.append(...this.example.runs.map((run) => {
      const button = make("button", "", run.label);
      Object.assign(button, { type: "button" });
      button.setAttribute("role", "radio");
      button.dataset.run = run.name;
      button.addEventListener("click", () => this.choose(run));
      return button;
    }));
    strengths.addEventListener("keydown", (event) => this.moveStrength(event));
    play.addEventListener("click", () => (this.frame ? this.stop() : this.play()));
    line.addEventListener("input", () => { this.stop(); this.show(Number(line.value)); });
  }

  /** Arrow keys go through the strengths, as through radios. */
  moveStrength(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const { runs } = this.example, next = runs[(runs.indexOf(this.run) + by + runs.length) % runs.length];
    this.choose(next);
    this.parts.strengths.querySelector(`[data-run=${next.name}]`).focus();
  }

  /* ---- playing */

  /** Play from the first patch; where motion is not wanted, only the last picture. */
  play() {
    if (calm()) return this.show(this.run.start, { whole: true });
    this.plan = planOf(this.total, this.run.telling, this.run.start);
    const begun = performance.now();
    this.root.dataset.playing = "true";
    this.parts.play.setAttribute("aria-label", "Pause");
    const tick = (now) => {
      const { position, flown, ended } = momentOf(this.plan, now - begun);
      if (ended) return this.stop(true);
      this.show(position, { flown });
      this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  /** Stand still; at the end of a play, at the most telling change. */
  stop(ended = false) {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.parts.play.setAttribute("aria-label", "Play");
    this.parts.flying.hidden = true;
    this.root.dataset.playing = "false";
    if (ended) this.show(this.run.start, { whole: true });
  }

  /* ---- showing one moment */

  /**
   * @param {number} position
   * @param {{whole?: boolean, flown?: number}} [moment] whole: all of the picture is seen; flown: how far the patch is on its way
   */
  show(position, moment = {}) {
    const { whole = false, flown = 1 } = this.moment = moment;
    const { run, grid, parts, example } = this, shown = whole ? this.total : position + (flown < 1 ? 0 : 1), from = run.from[position];
    this.position = position;
    paintAlone(parts.alone, this.alone.picture, grid, shown);
    paintDrawing(parts.drawing, run.picture, grid, shown, position, from && example.context);
    parts.drawing.setAttribute("aria-label", `The pizza that it draws with look-ups, at patch ${position + 1} of ${this.total}`);
    this.showSource(from);
    setText(parts.where, `patch ${position + 1} of ${this.total}`);
    parts.line.value = String(position);
    parts.line.setAttribute("aria-valuetext", `patch ${position + 1}${this.changes.includes(position) ? ", changed by a look-up" : ""}`);
    this.showPatch(position);
    this.showArrow(position, from, flown);
    Object.assign(this.root.dataset, { position, whole });
  }

  showSource(from) {
    const { parts, example, run } = this, off = run.name === "off";
    parts.source.closest("figure").classList.toggle("is-off", off);
    const source = example.sources[from ? from[0] : 0];
    paintSource(parts.source, source.picture, this.grid, from ? from[1] : -1, example.context);
    parts.source.setAttribute("aria-label", `The picture that it looks at: ${source.caption}`);
    setText(parts.caption, off ? "nothing" : source.caption);
    setText(parts.pictures, off ? "Look-ups are off." : `Of ${example.pictures} pictures, the one whose caption fits best. Yellow: what came next there.`);
  }

  showPatch(position) {
    const { parts, run, example, grid } = this, changed = run.tiles[position], from = run.from[position];
    const taken = run.taken[position], other = run.other[position];
    parts["alone-choice"].hidden = !changed;
    if (changed) {
      paintSquare(parts["alone-tile"], run.sheet, example.columns, changed[1]);
      this.showChances("alone", other);
    }
    paintSquare(parts["taken-tile"], run.picture, grid.width, position);
    setText(parts["taken-said"], changed ? "the look-up said" : !from ? "the model's own patch" : "the patch that was taken");
    this.showChances("taken", taken);
    setText(parts.verdict, changed ? "The look-up changed this patch." : run.name === "off" ? "No look-ups: the model decides alone." : from ? "With or without the look-up, this patch is the same." : "No look-up here: nothing lies around this patch yet.");
  }

  /** Bars and percentages of a patch: under the model or the look-up, and in the mix. */
  showChances(who, chances) {
    CHANCES.forEach((kind, i) => {
      const bar = this.parts[`${who}-${kind}`];
      if (!bar) return;
      bar.style.transform = `scaleX(${(chances[i] / 100).toFixed(3)})`;
      const value = chances[i] >= 0.5 || !chances[i] ? `${chances[i].toFixed(0)} %` : "<1 %";
      setText(this.parts[`${who}-${kind}-text`], kind === "mixed" ? `${value} in the mix${who === "taken" ? ", taken" : ""}` : `${value} ${kind === "model" ? "of the model" : "of the look-up"}`);
    });
  }

  /** The arrow from the source's cell to the picture's, and the patch on its way. */
  showArrow(position, from, flown) {
    const { arrow, row, drawing, source, flying } = this.parts, says = from && this.run.says[position];
    const area = row.getBoundingClientRect(), to = drawing.getBoundingClientRect(), base = source.getBoundingClientRect();
    const beside = says && base.left > to.right - 4;
    arrow.style.display = beside ? "" : "none";
    flying.hidden = !(says && flown < 1);
    if (!says) return;
    const at = (box, cell) => {
      const side = box.width / this.grid.width;
      return [box.left - area.left + (cell % this.grid.width + 0.5) * side, box.top - area.top + (Math.floor(cell / this.grid.width) + 0.5) * side];
    };
    const [x0, y0] = at(base, from[1]), [x1, y1] = at(to, position), sag = 60 + Math.abs(x0 - x1) / 8;
    const c = [[x0 - (x0 - x1) / 3, Math.max(y0, y1) + sag], [x1 + (x0 - x1) / 3, Math.max(y0, y1) + sag]];
    const path = `M${x0} ${y0} C${c[0].join(" ")} ${c[1].join(" ")} ${x1} ${y1}`;
    const [halo, line, point] = arrow.children;
    for (const each of [halo, line]) each.setAttribute("d", path);
    const angle = Math.atan2(y1 - c[1][1], x1 - c[1][0]), tip = (turn, length) => `${x1 - length * Math.cos(angle + turn)} ${y1 - length * Math.sin(angle + turn)}`;
    point.setAttribute("d", `M${x1} ${y1} L${tip(0.4, 13)} L${tip(-0.4, 13)} Z`);
    if (flown >= 1) return;
    const t = flown * flown * (3 - 2 * flown), s = 1 - t;
    const along = (i) => s ** 3 * [x0, y0][i] + 3 * s * s * t * c[0][i] + 3 * s * t * t * c[1][i] + t ** 3 * [x1, y1][i];
    paintSquare(flying, this.example.sources[from[0]].picture, this.grid.width, from[1]);
    flying.style.transform = `translate(${along(0) - 15}px, ${along(1) - 15}px)`;
  }

  /** A mark on the line for each change. */
  drawTicks() {
    const { ticks } = this.parts, context = ticks.getContext("2d"), density = window.devicePixelRatio || 1;
    Object.assign(ticks, { width: Math.round(ticks.clientWidth * density), height: Math.round(ticks.clientHeight * density) });
    context.fillStyle = getComputedStyle(ticks).color;
    for (const position of this.changes) {
      const x = ((8 * density) + (position / (this.total - 1)) * (ticks.width - 16 * density));
      context.fillRect(Math.round(x - density), 0, Math.max(1.5 * density, 1), ticks.height);
    }
  }
}
