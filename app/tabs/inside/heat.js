/* Attention drawn on the picture, and summed up in numbers: functions of what they are given. */

import { boxOf, drawPaper, drawPatches, outline, prepare } from "../../stepper/drawing.js";
import { contextAt, retrievedAt } from "../../stepper/step.js";

const HEAT = "rgb(232 89 12)", GREY = "rgb(128 128 128)";
const VEIL = 0.3, STRONGEST = 0.92;

/** The context that was looked up at a step; empty where nothing was. */
export const contextOf = (trace, step) => (retrievedAt(trace, step) ? contextAt(trace, step).filter((p) => p >= 0) : []);

/**
 * The picture before a step in grey, each patch the more orange the more it is looked at; the strongest one is full.
 * @param {HTMLCanvasElement} canvas
 * @param {{trace: any, step: number, cells: number[], colours: any, side: number}} view cells: weights of the patches before
 */
export function drawHeat(canvas, { trace, step, cells, colours, side }) {
  const { grid } = trace, cell = side / grid.width, height = Math.round(cell * grid.height);
  const context = prepare(canvas, side, height), most = Math.max(...cells, 0) || 1;
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, side, height);
  drawPatches(context, trace.drawn, grid, cell, step);
  context.globalCompositeOperation = "saturation"; // which takes the colours out, so that heat shows on all of them
  context.fillStyle = GREY;
  context.fillRect(0, 0, side, height);
  context.globalCompositeOperation = "source-over";
  context.globalAlpha = VEIL;
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, side, height);
  context.fillStyle = HEAT;
  cells.forEach((weight, p) => {
    context.globalAlpha = STRONGEST * (weight / most);
    context.fillRect(...boxOf(p, grid, cell));
  });
  context.globalAlpha = 1;
  drawPaper(context, grid, cell, step, colours);
  for (const p of contextOf(trace, step)) outline(context, ...boxOf(p, grid, cell), colours.query, [3, 2]);
  outline(context, ...boxOf(step, grid, cell), colours.cursor);
}

/** The sum of some weights. */
export const sum = (weights) => weights.reduce((total, weight) => total + weight, 0);

/** The patches with the largest weights, as [position, weight], the largest first. */
export function mostOf(cells, count) {
  const pairs = cells.map((weight, p) => /** @type {[number, number]} */ ([p, weight]));
  return pairs.sort(([, a], [, b]) => b - a).slice(0, count).filter(([, weight]) => weight > 0);
}
