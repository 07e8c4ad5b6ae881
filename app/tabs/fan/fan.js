/*
 * Ways of going on from one patch: pictures that fill while they are drawn together.
 *
 * It takes updates (see FanData in fan.py), whose picture holds all pictures in one row. A click on a finished one
 * triggers "open" with the id of its run and the position.
 */

import { make, makePatch, setText } from "../../client/dom.js";
import { lifetimeOf, onThemeChange } from "../../client/lifetime.js";
import { percent, plural } from "../../client/numbers.js";
import { say } from "../../client/speech.js";
import { boxOf, coloursOf, drawPaper, drawPatches, outline, prepare } from "../../stepper/drawing.js";
import { Together } from "../../together.js";

const TILE = 136, SWATCH = 22;

class Fan extends Together {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {(event: string, data: object) => void} trigger tells the server
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, trigger, signal) {
    super(element, "fn-", "#fan");
    this.trigger = trigger;
    this.parts.marks.addEventListener("change", () => this.draw());
    this.root.addEventListener("keydown", (event) => this.press(event));
    onThemeChange(signal, () => this.draw());
    this.setState("idle", 0);
  }

  begins(update) {
    return update.labels.length > 0;
  }

  finished(shown) {
    return shown.ways.length;
  }

  build({ labels, own }) {
    this.tiles = labels.map((label, place) => this.makeTile(label, place, place === own));
    this.parts.ways.replaceChildren(...this.tiles.map(({ item }) => item));
    this.parts.body.hidden = false;
    this.parts.guide.hidden = true;
  }

  makeTile(label, place, own) {
    const item = make("li"), button = make("button", "fn-tile"), canvas = makePatch(), words = make("span", "fn-words");
    const head = make("b"), swatch = makePatch("fn-swatch"), note = make("small");
    head.append(swatch, make("span", "", label));
    words.append(head, note);
    Object.assign(button, { type: "button", disabled: true });
    button.classList.toggle("is-own", own);
    button.append(canvas, words);
    button.addEventListener("click", () => this.open(place));
    item.append(button);
    return { item, button, canvas, swatch, note, label };
  }

  open(place) {
    const way = this.shown?.ways[place];
    if (!way) return;
    this.tiles.forEach(({ button }, i) => button.classList.toggle("is-open", i === place));
    this.trigger("open", { run: way.id, step: this.shown.position });
  }

  /** Progress, and what the finished pictures say. */
  describe() {
    const { prompt, position, steps, height, width, ways, own, state, sentence } = this.shown, total = height * width;
    setText(this.parts.title, `${prompt}, from position ${position} on`);
    setText(this.parts.summary, ways.length ? sentence : `${steps} of ${total} patches of ${plural(this.tiles.length, "picture")}`);
    if (state !== "streaming" && ways.length) say(sentence);
    this.parts.progress.style.transform = `scaleX(${state === "streaming" ? steps / total : 0})`;
    this.tiles.forEach(({ button, note, label }, i) => {
      const way = ways[i];
      button.disabled = !way;
      const said = way ? this.noteWords(way, label, i === own) : "";
      setText(note, said);
      button.setAttribute("aria-label", way ? `Open ${label}: ${said}` : label);
    });
  }

  noteWords(way, label, own) {
    const code = label === `code ${way.code}` ? "" : `code ${way.code}, `;
    const later = way.later ? `${way.differs.length} of ${way.later} later differ` : "nothing later";
    return `${code}${percent(way.chance)} %\n${later}${own ? "\nas in the picture above" : ""}`;
  }

  /** Arrows move between the pictures. */
  press(event) {
    const here = this.tiles.findIndex(({ button }) => button === event.target), move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (here < 0 || !move) return;
    this.tiles[here + move]?.button.focus();
    event.preventDefault();
    event.stopPropagation();
  }

  /** Each picture as far as it is drawn, with the patch from which the ways part. */
  draw() {
    if (!this.shown) return;
    const { sheet, counts, height, width, position, ways } = this.shown, grid = { height, width }, cell = TILE / width;
    const colours = coloursOf(this.root), size = sheet ? sheet.width / this.tiles.length : 0, side = size / width;
    this.tiles.forEach(({ canvas, swatch }, i) => {
      const context = prepare(canvas, TILE, Math.round(cell * height));
      const steps = counts[i] ?? 0;
      drawPaper(context, grid, cell, steps, colours);
      if (!sheet) return;
      drawPatches(context, sheet, grid, cell, steps, [i * size, 0, size]);
      if (this.parts.marks.checked) this.drawMarks(context, ways[i]?.differs ?? [], grid, cell, colours);
      outline(context, ...boxOf(position, grid, cell), colours.cursor);
      const [row, col] = [Math.floor(position / width), position % width];
      prepare(swatch, SWATCH, SWATCH).drawImage(sheet, i * size + col * side, row * side, side, side, 0, 0, SWATCH, SWATCH);
    });
  }

  drawMarks(context, differs, grid, cell, colours) {
    for (const p of differs) {
      const [x, y, width, height] = boxOf(p, grid, cell);
      context.fillStyle = "#fff";
      context.fillRect(x + width / 2 - 2.5, y + height / 2 - 2.5, 5, 5);
      context.fillStyle = colours.flip;
      context.fillRect(x + width / 2 - 1.5, y + height / 2 - 1.5, 3, 3);
    }
  }
}

/** Make the fan; returns what takes its updates. */
export function mount({ element, trigger }) {
  const fan = new Fan(element, trigger, lifetimeOf(element));
  return (update) => fan.receive(update);
}
