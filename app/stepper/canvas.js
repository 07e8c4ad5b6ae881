/* The picture on its canvas: what is drawn so far, what is still to come, an overlay, the position and its context. */

import { drawChain } from "./chains.js";
import { boxOf, drawGrid, drawOverlay, drawPaper, drawPatches, drawRest, outline, prepare } from "./drawing.js";
import { drawRegions, drawSources } from "./sources.js";
import { contextAt, retrievedAt } from "./step.js";

/**
 * Paint a picture; without a trace it is one that is being drawn.
 * @param {HTMLCanvasElement} canvas
 * @param {object} stage picture, grid, cell (its size), trace, step, steps (how many there are), shown (how many of them
 *   are to be seen), overlay, focus (rank of the only source that it shows, or -1), colours
 */
export function paint(canvas, stage) {
  const { picture, grid, cell, trace, step, steps, shown, overlay, colours } = stage;
  const context = prepare(canvas, Math.round(cell * grid.width), Math.round(cell * grid.height));
  if (trace && shown < steps) drawRest(context, picture, grid, cell, shown);
  drawPaper(context, grid, cell, trace ? steps : shown, colours);
  if (picture) drawPatches(context, picture, grid, cell, shown);
  drawGrid(context, grid, cell, colours);
  if (!trace) return;
  if (overlay) paintOverlay(context, stage);
  const looked = retrievedAt(trace, step) ? contextAt(trace, step).filter((p) => p >= 0) : [];
  for (const p of looked) outline(context, ...boxOf(p, grid, cell), colours.query, [3, 2]);
  outline(context, ...boxOf(step, grid, cell), colours.cursor);
}

function paintOverlay(context, { trace, overlay, focus, step, grid, cell, shown, colours }) {
  if (!overlay.sources) drawOverlay(context, overlay, grid, cell, shown, colours);
  if (overlay.chains) drawChain(context, trace, step, grid, cell);
  if (!overlay.sources) return;
  drawSources(context, trace, focus, grid, cell, shown);
  drawRegions(context, trace, grid, cell, shown);
}
