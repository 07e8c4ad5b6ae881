/* The nearest neighbours beside the picture, each in its whole source, and the line from there to the patch. */

import { make, setText, setTitle } from "../client/dom.js";
import { percent, short } from "../client/numbers.js";
import { continuesFully, continuesText } from "./chains.js";
import { boxOf, outline, prepare } from "./drawing.js";
import { captionOf } from "./sources.js";
import { reasonAt, retrievedAt } from "./step.js";

const SHOWN = 3;
const SIZE = 116;
const EDGE = 12;

/**
 * Ranks of the neighbours to show at a step: the nearest few, and as the last one the nearest that says what was taken,
 * if none of those does.
 */
export function nearestOf(trace, step) {
  const { near_image: images, near_code: codes, code } = trace.arrays, width = trace.shown.neighbours;
  const said = Array.from({ length: width }, (_, rank) => images[step * width + rank] >= 0 && codes[step * width + rank] === code[step]);
  const voter = said.indexOf(true), ranks = Array.from({ length: Math.min(SHOWN, width) }, (_, rank) => rank);
  return voter >= SHOWN ? [...ranks.slice(0, -1), voter] : ranks;
}

function makeSource() {
  const item = make("li"), canvas = make("canvas"), caption = make("p", "lp-caption"), numbers = make("p", "lp-card-numbers");
  const distance = make("span"), share = make("span"), chain = make("p", "lp-chain");
  canvas.setAttribute("role", "img");
  numbers.append(distance, share);
  item.append(canvas, numbers, caption, chain);
  return { item, canvas, caption, distance, share, chain };
}

/** Shows the nearest neighbours of a step. */
export class Nearest {
  /** @param {Object<string, any>} parts the template's elements by their data-part */
  constructor(parts) {
    this.parts = parts;
    this.sources = Array.from({ length: SHOWN }, makeSource);
    this.parts.nearest.replaceChildren(...this.sources.map(({ item }) => item));
    this.voter = null;
  }

  /** @param {object} view as the sections of the stepper take it */
  show(view) {
    const { trace, step } = view, here = retrievedAt(trace, step);
    this.parts.nearest.hidden = !here;
    this.parts.none.hidden = here;
    setText(this.parts.none, here ? "" : `No look-up here: ${reasonAt(trace, step)}. The model draws this patch alone.`);
    this.voter = null;
    if (!here) return;
    nearestOf(trace, step).forEach((rank, i) => this.showSource(this.sources[i], view, step * trace.shown.neighbours + rank, rank));
  }

  showSource(source, view, at, rank) {
    const { trace: { arrays, sources, grid, bitmaps, context: around }, step, colours, wanted } = view, image = arrays.near_image[at];
    const { item, canvas, caption, distance, share, chain } = source;
    item.hidden = !(image >= 0);
    if (item.hidden) return;
    const about = sources[image], [row, col, code] = [arrays.near_row[at], arrays.near_col[at], arrays.near_code[at]];
    const context = prepare(canvas, SIZE, SIZE), cell = SIZE / grid.width, bitmap = bitmaps[image];
    if (bitmap) context.drawImage(bitmap, 0, 0, SIZE, SIZE);
    else wanted(image);
    context.strokeStyle = colours.query;
    context.lineWidth = 1;
    for (const [down, right] of around) context.strokeRect((col + right) * cell + 0.5, (row + down) * cell + 0.5, cell - 1, cell - 1);
    outline(context, ...boxOf(row * grid.width + col, grid, cell), colours.retrieval);
    canvas.setAttribute("aria-label", `${about.caption}, row ${row}, column ${col}: code ${code} came next`);
    setText(caption, about.caption);
    setTitle(caption, `${captionOf(about)}, ${about.source}, image ${about.image}, row ${row}, column ${col}`);
    setText(distance, `${rank + 1}. d ${short(arrays.near_distance[at])}`);
    setText(share, `${percent(arrays.near_share[at])} %`);
    setText(chain, continuesText(view.trace, at));
    setTitle(chain, continuesFully(view.trace, at));
    const same = code === arrays.code[step];
    item.classList.toggle("is-taken", same);
    if (same && !this.voter) this.voter = { source, x: (col + 0.5) / grid.width, y: (row + 0.5) / grid.height };
  }

  /** Read where things are; not while drawing, where it would force a layout. */
  measure() {
    const { bench, frame } = this.parts, area = bench.getBoundingClientRect();
    const placeOf = (node) => {
      const { left, top, width } = node.getBoundingClientRect();
      return width ? { left: left - area.left, top: top - area.top, right: left + width - area.left } : null;
    };
    this.stage = placeOf(frame);
    for (const source of this.sources) source.place = placeOf(source.canvas) ?? source.place;
  }

  /**
   * A line from the cell of the nearest neighbour shown that says what was taken to the cell on the canvas; none where
   * no such neighbour is shown, or where they do not stand beside each other.
   * @param {number} x of the middle of the cell on the canvas, in its pixels
   * @param {number} y
   */
  drawTether(x, y) {
    const { tether } = this.parts, { voter, stage } = this, place = voter?.source.place;
    const beside = Boolean(place && stage && place.left > stage.right);
    tether.style.display = beside ? "" : "none";
    if (!beside) return;
    const height = place.top + voter.y * SIZE, [right, down] = [stage.left + x, stage.top + y];
    const edge = stage.right + EDGE;  // up to here it keeps its height, and so clear of what is written below the pictures
    const path = `M${place.left + voter.x * SIZE} ${height} H${edge} C${edge - 80} ${height} ${right + 70} ${down} ${right} ${down}`;
    for (const line of tether.children) line.setAttribute("d", path);
  }
}
