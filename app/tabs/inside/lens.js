/* The row of stages: what each layer would draw, with blenders between them. */

import { make, makePatch, rowsFor, setChildren, setText, setTitle } from "../../client/dom.js";
import { percent } from "../../client/numbers.js";
import { drawCode, outline, prepare } from "../../stepper/drawing.js";
import { retrievedAt } from "../../stepper/step.js";

const SIZE = 96;
const AROUND = 3; // rows and columns of the picture that are shown with a patch, see app/inside.py

/** What a stage is called. */
export function stageText({ layer, place }, last) {
  if (place === "start") return "before the first layer";
  if (place === "end") return layer === last ? `layer ${layer}: prediction` : `layer ${layer}`;
  return `layer ${layer}, ${place} the blender`;
}

/** The stages of one position as a list; patches are drawn when their pictures are here. */
export class Lens {
  /** @param {HTMLElement} list an `ol` */
  constructor(list) {
    this.list = list;
    this.items = [];
  }

  /**
   * Show what was answered; pictures: `{codes, corner, bitmap}`, or null before they are here.
   * @param {{stages: any[], code: number, step: number, recorded?: boolean}} answer
   */
  show({ stages, code, step, recorded }, trace, pictures, { colours, atlas }) {
    const last = Math.max(...stages.map(({ layer }) => layer));
    const rows = rowsFor(this.items, stages.map(({ layer, place }) => `${layer} ${place}`), () => this.make());
    setChildren(this.list, rows.map(({ item }) => item));
    stages.forEach((stage, i) => {
      const row = rows[i], { layer, place, codes: [first, second], chances, taken } = stage;
      const before = place === "after" ? stages[i - 1].codes[0] : first;
      Object.assign(row.item.dataset, { layer, place, code: first });
      row.item.classList.toggle("is-taken", first === code);
      row.item.classList.toggle("is-changed", before !== first);
      setText(row.name, stageText(stage, last) + (place === "after" ? this.blenderText(trace, step, before, first) : ""));
      setText(row.code, `code ${first}`);
      setText(row.chance, ` ${percent(chances[0])} %`);
      setText(row.taken, first === code ? "the code taken" : `taken: ${percent(taken)} %`);
      setTitle(row.item, second === undefined ? "" : `Next: code ${second}, ${percent(chances[1])} %`);
      if (recorded) drawCode(prepare(row.patch, SIZE, SIZE), { trace, step, atlas }, first, 0, 0, SIZE, SIZE);
      else this.draw(row.patch, first, step, trace.grid, pictures, colours);
    });
  }

  /** What a blender did, in words. */
  blenderText(trace, step, before, after) {
    const fed = retrievedAt(trace, step) ? "" : ", nothing looked up";
    return `${fed}${before === after ? "" : ": another code"}`;
  }

  make() {
    const item = make("li", "in-stage"), patch = makePatch("in-patch"), name = make("span", "in-name");
    const code = make("b"), chance = make("span"), taken = make("span", "in-taken"), line = make("span");
    line.append(code, chance);
    item.append(name, patch, line, taken);
    return { item, patch, name, code, chance, taken };
  }

  /** A code in its place; plain until its picture is here. */
  draw(canvas, code, step, grid, pictures, colours) {
    const context = prepare(canvas, SIZE, SIZE), place = pictures ? pictures.codes.indexOf(code) : -1;
    if (place < 0) return;
    const piece = pictures.bitmap.height, cell = SIZE / AROUND, [top, left] = pictures.corner;
    context.imageSmoothingEnabled = false;
    context.drawImage(pictures.bitmap, place * piece, 0, piece, piece, 0, 0, SIZE, SIZE);
    outline(context, (step % grid.width - left) * cell, (Math.floor(step / grid.width) - top) * cell, cell, cell, colours.cursor);
  }
}
