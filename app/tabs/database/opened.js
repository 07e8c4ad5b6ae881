/* The opened picture: its grid, what is known of it, and what this run used it for. */

import { make, onPress, setText } from "../../client/dom.js";
import { percent, plural } from "../../client/numbers.js";
import { pageStepper } from "../../client/page.js";
import { boxOf, drawCode, drawGrid, outline, prepare } from "../../stepper/drawing.js";
import { drawBorders, numberOf } from "../../stepper/sources.js";
import { bitmapFromBase64 } from "../../stepper/trace.js";

const SIDE = 320, LISTED = 40;
const USED = "#e69f00";

export class Opened {
  /**
   * @param {Object<string, any>} parts of the tab
   * @param {{look: (image: number, position: number) => void, like: (image: number) => void}} acts
   */
  constructor(parts, acts) {
    this.parts = parts;
    this.acts = acts;
    this.image = this.portrait = this.around = this.bitmap = null;
    this.at = -1;
    this.colours = {};
    const { picture } = parts;
    picture.addEventListener("pointermove", (event) => this.point(this.cellUnder(event)));
    picture.addEventListener("pointerleave", () => this.point(-1));
    picture.addEventListener("click", (event) => this.acts.look(this.image, this.cellUnder(event)));
    picture.addEventListener("keydown", (event) => this.press(event));
    onPress(parts.like, () => this.acts.like(this.image));
  }

  close() {
    this.image = null;
    this.parts.portrait.hidden = true;
    delete this.parts.opened.dataset.image;
    setText(this.parts.caption, "No picture is open");
    setText(this.parts.about, "Open one from the map or from what was found, and see its grid and what this run used it for.");
  }

  /** Show a picture; around: grid, context, whether all its codes are known, and the run with what narrowed its look-ups. */
  async show(portrait, around) {
    const turn = this.turn = {};
    const bitmap = portrait.picture ? await bitmapFromBase64(portrait.picture) : null;
    if (turn !== this.turn) return bitmap?.close();
    this.bitmap?.close();
    Object.assign(this, { portrait, around, bitmap, image: portrait.image, at: -1 });
    this.grid = { height: around.grid[0], width: around.grid[1] };
    const { parts } = this, { caption, style, source, licence, image } = portrait;
    parts.portrait.hidden = false;
    setText(parts.caption, caption);
    setText(parts.about, [`#${image}`, style && `style ${style}`, source && `from ${source}`, licence,
      around.knows ? "" : "The codes at its edges are not known: they are shown as those beside them"].filter(Boolean).join(" · "));
    this.showUses();
    this.point(-1, true);
    this.draw();
    parts.opened.dataset.image = String(image);
    return undefined;
  }

  /* ---- what this run used it for */

  showUses() {
    const { used } = this.portrait, { run, filters } = this.around, { parts } = this;
    this.usesOf = new Map();
    for (const use of used ?? []) this.usesOf.set(use.cell, [...(this.usesOf.get(use.cell) ?? []), use]);
    parts.uses.replaceChildren();
    if (!run || !used) return setText(parts.used, "No run in the stepper looked up in this database: draw one to see what it used this picture for.");
    if (!used.length) return setText(parts.used, `This run retrieved nothing from this picture.${filters.length ? ` It looked up with ${filters.join(" and ")}.` : ""}`);
    const steps = pageStepper()?.trace?.steps ?? 1, share = used.reduce((sum, use) => sum + use.share, 0) / steps;
    const positions = new Set(used.map(({ position }) => position)).size, taken = new Set(used.filter((use) => use.taken).map(({ position }) => position)).size;
    setText(parts.used, `This run retrieved from it at ${plural(positions, "patch").replace("patchs", "patches")}: ${percent(share)} % of ${run.mixes ? "all that its codes were drawn from" : "the compatibility in the last blender"}. `
      + `At ${taken} of them an entry of it holds the code that was taken; those cells are outlined. What the run did not use is faded.`);
    const listed = used.toSorted((a, b) => b.share - a.share || a.rank - b.rank).slice(0, LISTED);
    parts.uses.replaceChildren(...listed.map((use) => this.makeUse(use)));
    if (used.length > LISTED) parts.uses.append(make("li", "db-note", `and ${used.length - LISTED} more with smaller shares`));
    return undefined;
  }

  /** One use as a button that steps there. */
  makeUse(use) {
    const item = make("li"), button = make("button", "db-use");
    button.type = "button";
    button.dataset.position = String(use.position);
    button.append(make("b", "", `patch ${use.position}`), document.createTextNode(`${this.placeOf(use.cell)} · neighbour ${use.rank + 1} · `),
      make("b", "", `${percent(use.share)} %`), make("span", "", use.taken ? "its code was taken" : ""));
    button.title = `Step to patch ${use.position}: distance ${use.distance.toFixed(3)}, code ${use.code}`;
    button.addEventListener("click", () => { pageStepper()?.move(use.position); pageStepper()?.goHere(); });
    for (const name of ["pointerenter", "focus"]) button.addEventListener(name, () => this.point(use.cell));
    item.append(button);
    return item;
  }

  placeOf = (cell) => `from row ${Math.floor(cell / this.grid.width)}, column ${cell % this.grid.width}`;

  /* ---- the canvas */

  draw() {
    if (this.frame || this.image === null) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; if (this.image !== null) this.paint(); });
  }

  paint() {
    const { grid, bitmap, portrait } = this, cell = SIDE / grid.width, height = Math.round(cell * grid.height);
    const context = prepare(this.parts.picture, SIDE, height), stepper = pageStepper();
    if (bitmap) context.drawImage(bitmap, 0, 0, SIDE, height);
    else portrait.codes.forEach((code, p) => drawCode(context, { trace: null, step: -1, atlas: stepper?.atlas ?? null }, code, ...boxOf(p, grid, cell)));
    drawGrid(context, grid, cell, { grid: "rgb(128 128 128 / 0.3)" });
    if (this.usesOf.size) this.paintUses(context, cell);
    if (this.at >= 0) this.paintContext(context, cell);
  }

  /** Pale what the run did not use, the less the larger its share; a line around the cells whose code was taken. */
  paintUses(context, cell) {
    const { grid, usesOf } = this, count = grid.width * grid.height;
    const shares = Array.from({ length: count }, (_, p) => Math.max(-1, ...(usesOf.get(p) ?? []).map(({ share }) => share)));
    const most = Math.max(1e-9, ...shares);
    context.fillStyle = this.colours.paper || "#ffffff";
    shares.forEach((share, p) => {
      context.globalAlpha = share < 0 ? 0.8 : 0.62 * (1 - Math.sqrt(share / most));
      context.fillRect(...boxOf(p, grid, cell));
    });
    context.globalAlpha = 1;
    drawBorders(context, numberOf(grid, (p) => Number((usesOf.get(p) ?? []).some(({ taken }) => taken))), grid, cell, USED);
  }

  /** The cell under the pointer with its context. */
  paintContext(context, cell) {
    const { grid, at } = this, row = Math.floor(at / grid.width), col = at % grid.width;
    for (const [down, right] of this.around.context.offsets) {
      const [r, c] = [row + down, col + right];
      if (r >= 0 && c >= 0 && c < grid.width) outline(context, ...boxOf(r * grid.width + c, grid, cell), this.colours.query || "#b0407c", [3, 2]);
    }
    outline(context, ...boxOf(at, grid, cell), "#18212b");
  }

  cellUnder(event) {
    const box = this.parts.picture.getBoundingClientRect(), { width, height } = this.grid;
    const col = Math.floor(((event.clientX - box.left) / box.width) * width), row = Math.floor(((event.clientY - box.top) / box.height) * height);
    return Math.min(Math.max(row, 0), height - 1) * width + Math.min(Math.max(col, 0), width - 1);
  }

  point(cell, again = false) {
    if (cell === this.at && !again) return;
    this.at = cell;
    setText(this.parts.cell, cell < 0 ? "Click a cell: where else does its neighbourhood stand?" : this.describe(cell));
    this.draw();
  }

  describe(cell) {
    const uses = this.usesOf.get(cell) ?? [], { width } = this.grid;
    const where = `row ${Math.floor(cell / width)}, column ${cell % width}: code ${this.portrait.codes[cell]}`;
    if (!uses.length) return `${where}.`;
    const best = uses.reduce((one, other) => (other.share > one.share ? other : one));
    return `${where}. Retrieved at ${uses.length === 1 ? "patch" : `${uses.length} patches, most at`} ${best.position}: neighbour ${best.rank + 1}, ${percent(best.share)} %.`;
  }

  /** Arrow keys go from cell to cell; Enter looks up the one they are at. */
  press(event) {
    const { width, height } = this.grid, moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if ((event.key === "Enter" || event.key === " ") && this.at >= 0) this.acts.look(this.image, this.at);
    else if (event.key in moves) this.point(this.at < 0 ? 0 : Math.min(Math.max(this.at + moves[event.key], 0), width * height - 1));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
