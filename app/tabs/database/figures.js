/* Figures of a database: its size, its codes by frequency, and the contexts that repeat. */

import { make, makePatch, setText, showPairs } from "../../client/dom.js";
import { percent } from "../../client/numbers.js";
import { prepare } from "../../stepper/drawing.js";

const SWATCH = 32, CELL = 22, CURVE_HEIGHT = 64;
const number = (n) => n.toLocaleString("en");

/** The size of a database, as names and values. */
export function sizesOf(list, overview) {
  const { size, entries, sampled, codes, repeats, styles, context, grid } = overview;
  const some = sampled < size ? ` in a sample of ${number(sampled)}` : "";
  const border = context.border === "zero" ? "edges too" : "not at the edges";
  list.replaceChildren();
  showPairs(list, [
    ["pictures", number(size), "Source pictures that can be looked up"],
    ["entries", number(entries), "Patches that can be retrieved, each with the context before it"],
    [`different contexts${some}`, number(repeats.distinct), "Contexts with different codes"],
    [`codes in use${some}`, `${number(codes.used)} of ${number(codes.size)}`, "Codes of the codebook that stand in at least one cell"],
    ["context", `${context.offsets.length} codes, ${border}`, "The neighbourhood that an entry is looked up by"],
    ["grid", `${grid[0]} × ${grid[1]}`, "Rows and columns of patches"],
    ...styles.slice(0, 8).map(([name, count]) => [`in the style ${name}${some}`, number(count), "Pictures of this style"]),
  ]);
}

/** Codes and contexts of an overview; look: called with a context whose places are wanted. */
export function showFigures(parts, { overview, tiles }, look) {
  const { codes, repeats } = overview;
  const some = overview.sampled < overview.size ? ` in a sample of ${number(overview.sampled)} of ${number(overview.size)} pictures` : "";
  setText(parts["codes-said"], `${number(codes.cells)} cells${some}: half of them hold one of the ${number(codes.half)} most frequent codes. `
    + (tiles ? `Each swatch is cut from a real picture: of all cells with the code in ${number(overview.looked_at)} pictures, the one nearest to their mean. Elsewhere it looks different.` : "This database has no pictures to show them in."));
  drawCurve(parts.curve, codes.curve, parts.root);
  parts.curve.setAttribute("aria-label", `Cells by code, from the most frequent code to the rarest: from ${number(codes.curve[0])} to ${number(codes.curve.at(-1))}`);
  parts.codes.replaceChildren(...codes.most.map(([code, count, tile]) => makeCode(tiles, overview.columns, code, count, codes.cells, tile)));
  setText(parts["repeats-said"], repeats.repeated
    ? `${number(repeats.repeated)} of ${number(repeats.distinct)} different contexts${some} occur more than once; ${percent(repeats.covered / repeats.entries)} % of the entries have such a context. The most frequent ones${overview.context.border === "zero" ? " (grey: outside of the picture)" : ""}, with what followed:`
    : `No context${some} occurs more than once.`);
  parts.repeats.replaceChildren(...repeats.frequent.map((one) => makeRepeat(tiles, overview, one, look)));
}

/** Draw tile number `tile` of a sheet; a hatched square stands for a missing one. */
function drawTile(context, tiles, columns, tile, x, y, size) {
  context.fillStyle = "rgb(128 128 128 / 0.3)";
  if (!tiles || tile < 0) return context.fillRect(x, y, size, size);
  const side = tiles.width / columns;
  return context.drawImage(tiles, (tile % columns) * side, Math.floor(tile / columns) * side, side, side, x, y, size, size);
}

function makeCode(tiles, columns, code, count, cells, tile) {
  const item = make("li", "db-code"), canvas = makePatch();
  drawTile(prepare(canvas, SWATCH, SWATCH), tiles, columns, tile, 0, 0, SWATCH);
  const share = `${percent(count / cells)} %`;
  item.append(canvas, make("b", "", String(code)), make("span", "", number(count)), make("small", "", share));
  return item;
}

/** Steps of how many cells each code has, from the most frequent one, on a scale of square roots. */
function drawCurve(canvas, curve, root) {
  const width = canvas.parentElement.clientWidth, height = CURVE_HEIGHT, context = prepare(canvas, width, height), most = Math.sqrt(curve[0] || 1);
  context.fillStyle = getComputedStyle(root).getPropertyValue("--lp-model").trim();
  context.beginPath();
  context.moveTo(0, height);
  curve.forEach((count, at) => {
    const top = height - (height * Math.sqrt(count)) / most;
    context.lineTo((at * width) / curve.length, top);
    context.lineTo(((at + 1) * width) / curve.length, top);
  });
  context.lineTo(width, height);
  context.fill();
}

function makeRepeat(tiles, overview, one, look) {
  const item = make("li", "db-repeat"), button = make("button", "db-context");
  button.type = "button";
  button.setAttribute("aria-label", `Context of codes ${one.codes.join(", ")}: where does it stand?`);
  button.append(drawContext(tiles, overview, one));
  button.addEventListener("click", () => look(one));
  const words = make("span", "db-words"), followers = make("span", "db-followers");
  words.append(make("b", "", `${number(one.count)} entries`), make("small", "", `in ${number(one.images)} picture${one.images === 1 ? "" : "s"}`));
  followers.append(...one.followers.map(([code, count, tile]) => {
    const follower = make("span"), canvas = makePatch();
    drawTile(prepare(canvas, CELL, CELL), tiles, overview.columns, tile, 0, 0, CELL);
    follower.title = `code ${code} came next ${number(count)} times`;
    follower.append(canvas, make("small", "", `${percent(count / one.count)} %`));
    return follower;
  }));
  const rest = one.different - one.followers.length;
  if (rest > 0) followers.append(make("small", "", `and ${number(rest)} other code${rest === 1 ? "" : "s"}`));
  item.append(button, words, followers);
  return item;
}

/** The cells of a context around the hole that is filled next. */
function drawContext(tiles, overview, { tiles: cells }) {
  const { offsets, radius } = overview.context, side = (2 * radius + 1) * CELL, tall = (radius + 1) * CELL;
  const canvas = makePatch(), context = prepare(canvas, side, tall);
  offsets.forEach(([down, right], i) => drawTile(context, tiles, overview.columns, cells[i], (right + radius) * CELL, (down + radius) * CELL, CELL));
  context.setLineDash([3, 2]);
  context.strokeStyle = "#d55e00";
  context.lineWidth = 1.5;
  context.strokeRect(radius * CELL + 1, radius * CELL + 1, CELL - 2, CELL - 2);
  context.setLineDash([]);
  return canvas;
}
