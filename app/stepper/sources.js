/* The source images of a picture: what a trace says of them, their colours, the overlay that shows them. */

import { make } from "../client/dom.js";
import { percent } from "../client/numbers.js";
import { boxOf } from "./drawing.js";

const SOURCE_COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00"]; // Okabe-Ito
const OTHER_SOURCE = "#8893a0";

/** Colour of a listed source by its rank from 0; grey beyond the largest few. */
export const sourceColour = (rank) => SOURCE_COLOURS[rank] || OTHER_SOURCE;

/** The sources of a trace, by rank, with what is known of each. */
export function sourcesOf(trace) {
  const { listed, places } = trace.provenance;
  return listed.map((figures, rank) => ({ ...figures, rank, place: places[rank], about: trace.sources[places[rank]] }));
}

/** Share of the taken code's probability that a source brought; rank `listed.length` stands for all others together. */
const creditAt = (trace, step, rank) => trace.arrays.credit[step * (trace.provenance.listed.length + 1) + rank] / trace.fraction;

/** The cell in a listed source that most of it came from; -1 for none. */
export const originAt = (trace, step, rank) => trace.arrays.origin[step * trace.provenance.listed.length + rank];

/** What a source shows and its style, of which it may have none. */
export const captionOf = ({ caption, style }) => [caption, style].filter(Boolean).join(", ");

/** A source in words. */
export const sourceName = (about) => `${captionOf(about)} #${about.image}`;

/** Rows and columns as words: where something is, seen from here. */
export function offsetText([down, right]) {
  const parts = [[down, "down", "up"], [right, "right", "left"]].filter(([by]) => by)
    .map(([by, ahead, back]) => `${Math.abs(by)} ${by > 0 ? ahead : back}`);
  return parts.join(", ") || "same place";
}

/** How much each position owes to one source, or to the one that it owes most; -1 where to none. */
export function sourceValues(trace, focus) {
  return Float32Array.from({ length: trace.steps }, (_, step) => {
    const rank = focus >= 0 ? focus : trace.arrays.owner[step];
    const credit = rank >= 0 ? creditAt(trace, step, rank) : 0;
    return credit > 0 ? credit : -1;
  });
}

/**
 * Colour the cells by source, stronger with the credit, and number those of the largest few.
 * @param {number} focus rank of the only source to show, -1 for all
 */
export function drawSources(context, trace, focus, grid, cell, shown) {
  const values = sourceValues(trace, focus);
  context.font = `600 ${Math.max(8, Math.round(cell * 0.36))}px "IBM Plex Sans", system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  values.forEach((value, p) => {
    if (value < 0) return;
    const rank = focus >= 0 ? focus : trace.arrays.owner[p];
    const [x, y, width, height] = boxOf(p, grid, cell);
    context.globalAlpha = (0.18 + 0.47 * value) * (p < shown ? 1 : 0.35);
    context.fillStyle = sourceColour(rank);
    context.fillRect(x, y, width, height);
    context.globalAlpha = p < shown ? 1 : 0.35;
    if (rank < SOURCE_COLOURS.length && cell >= 14) drawNumber(context, rank + 1, x + width / 2, y + height / 2);
  });
  context.globalAlpha = 1;
}

/** A number that shows on any picture. */
function drawNumber(context, number, x, y) {
  context.lineWidth = 2.5;
  context.lineJoin = "round";
  context.strokeStyle = "rgb(255 255 255 / 0.85)";
  context.strokeText(number, x, y + 0.5);
  context.fillStyle = "#18212b";
  context.fillText(number, x, y + 0.5);
}

/** Lines between cells of different numbers, which `number` tells by row and column, also outside of the grid. */
export function drawBorders(context, number, grid, cell, colour) {
  context.beginPath();
  for (let row = 0; row <= grid.height; row++) {
    for (let col = 0; col <= grid.width; col++) {
      const [x, y] = [Math.round(col * cell), Math.round(row * cell)];
      if (number(row, col) !== number(row - 1, col)) { context.moveTo(x, y); context.lineTo(Math.round((col + 1) * cell), y); }
      if (number(row, col) !== number(row, col - 1)) { context.moveTo(x, y); context.lineTo(x, Math.round((row + 1) * cell)); }
    }
  }
  for (const [width, style] of [[2.75, "rgb(255 255 255 / 0.85)"], [1.5, colour]]) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.stroke();
  }
}

/** A number for every cell, from a function of its position; 0 outside of the grid. */
export const numberOf = (grid, at) => (row, col) => (
  row < 0 || col < 0 || row >= grid.height || col >= grid.width ? 0 : at(row * grid.width + col));

/** Lines around the copied regions, as far as they are drawn. */
export function drawRegions(context, trace, grid, cell, shown) {
  drawBorders(context, numberOf(grid, (p) => (p < shown ? trace.arrays.copied[p] : 0)), grid, cell, "#18212b");
}

/** A colour and its number, as an element. */
export function makeSourceKey(rank) {
  const key = make("i", "lp-source-key", rank < SOURCE_COLOURS.length ? String(rank + 1) : "");
  key.style.background = sourceColour(rank);
  return key;
}

/** The key of the overlay: the largest few sources with their patches, the rest, and what is outlined. */
export function sourceKeys(trace) {
  const sources = sourcesOf(trace), { others, copying } = trace.provenance;
  const items = sources.slice(0, SOURCE_COLOURS.length).filter(({ patches }) => patches).map(({ rank, about, patches }) => {
    const item = make("li");
    item.append(makeSourceKey(rank), make("span", "", sourceName(about)), make("b", "", String(patches)));
    return item;
  });
  const rest = sources.slice(SOURCE_COLOURS.length).reduce((sum, { patches }) => sum + patches, others.patches);
  if (rest) {
    const item = make("li");
    item.append(makeSourceKey(SOURCE_COLOURS.length), make("span", "", "other sources"), make("b", "", String(rest)));
    items.push(item);
  }
  if (copying.largest) {
    const item = make("li");
    item.append(make("i", "lp-region-key"), make("span", "", "copied regions, the largest"), make("b", "", String(copying.largest)));
    items.push(item);
  }
  return items;
}

/** What the overlay says of one position. */
export function sourceTextAt(trace, step, focus) {
  const about = trace.provenance.mixes ? "of the taken code’s probability" : "of the compatibility, with the taken code";
  const owner = trace.arrays.owner[step], rank = focus >= 0 ? focus : owner;
  const credit = rank >= 0 ? creditAt(trace, step, rank) : 0;
  const copied = trace.arrays.copied[step] ? `; in copied region ${trace.arrays.copied[step]}` : "";
  const meaning = `Coloured by source, stronger with its share ${about}.`;
  if (rank < 0) return `${meaning} Here no source has 1 %${copied}.`;
  const name = rank < trace.provenance.listed.length ? sourceName(sourcesOf(trace)[rank].about) : "a source that is not listed";
  return `${meaning} Here ${percent(credit)} % from ${name}${copied}.`;
}
