/* How a picture goes on from its sources: which neighbours continue those of the patch before, and the chains they make. */

import { plural } from "../client/numbers.js";
import { boxOf } from "./drawing.js";
import { drawBorders, numberOf, offsetText, sourceName } from "./sources.js";
import { retrievedAt } from "./step.js";

const WAYS = ["", "left", "above", "left and above"];
const ANSWERED = [
  "",
  "",
  "What continues the sources beside it bounded the search: the same neighbours.",
  "Nothing was searched: what continues the sources beside it named the context. The same neighbours.",
  "Nothing was searched: what continues the sources beside it was taken for the answer. Nearer patches may be missing.",
];
const CHAIN = "#d55e00"; // Okabe-Ito

/** Whether a trace file tells of chains; older ones do not. */
export const knowsChains = (trace) => "chain" in trace.arrays;

/** Which way neighbour number `at` of a trace continues another one, in words; empty where it continues none. */
export const wayOf = (trace, at) => (knowsChains(trace) ? WAYS[trace.arrays.near_way[at]] : "");

/** How long a neighbour's chain is up to here, in a few words; empty where it continues none. */
export const continuesText = (trace, at) => (wayOf(trace, at) && `chain of ${trace.arrays.near_chain[at]}`);

/** The same with what it continues, in a sentence. */
export const continuesFully = (trace, at) => (wayOf(trace, at)
  && `${plural(trace.arrays.near_chain[at], "connected patch", "connected patches")} up to here had this source at this offset; continues ${wayOf(trace, at)}`);

/**
 * The chain that leads at a step, as far as it is drawn there: its cells that are connected with the step's patch.
 * @returns {?{about: object, offset: number[], cells: number[], taken: Set<number>}} null where none leads
 */
export function chainAt(trace, step) {
  const number = knowsChains(trace) ? trace.arrays.chain[step] : -1;
  if (number < 0) return null;
  const { chain_ends: ends, chain_cells: every, chain_taken: same } = trace.arrays, [place, offset] = trace.chains[number];
  const first = number ? ends[number - 1] : 0, open = new Set(), taken = new Set();
  for (let i = first; i < ends[number]; i++) {
    if (every[i] > step) continue;
    open.add(every[i]);
    if (same[i]) taken.add(every[i]);
  }
  const cells = connected(step, open, trace.grid.width);
  return { about: trace.sources[place], offset, cells, taken: new Set(cells.filter((cell) => taken.has(cell))) };
}

/** The cells of a set that are connected with one of them through edges; they are taken out of it. */
function connected(first, open, width) {
  const part = [first];
  open.delete(first);
  for (let i = 0; i < part.length; i++) {
    const cell = part[i], column = cell % width;
    const beside = [cell - width, ...(column ? [cell - 1] : []), ...(column < width - 1 ? [cell + 1] : []), cell + width];
    for (const near of beside) if (open.delete(near)) part.push(near);
  }
  return part;
}

/** What a step continues, in a sentence or two; empty where nothing was looked up, or the trace does not tell. */
export function continuedText(trace, step) {
  if (!knowsChains(trace) || !retrievedAt(trace, step)) return "";
  const { continuing, found, follow } = trace.arrays, chain = chainAt(trace, step);
  const count = continuing[step] ? `${continuing[step]} of ${plural(found[step], "neighbour")} continue one of the patch to the left or above.`
    : "No neighbour continues one of the patch to the left or above.";
  const longest = chain ? ` The longest chain with the taken code: ${chainText(chain)}.` : "";
  return [count + longest, ANSWERED[follow ? follow[step] : 0]].filter(Boolean).join(" ");
}

/** A chain in words. */
export const chainText = ({ about, offset, cells, taken }) => `${plural(cells.length, "patch", "patches")} from ${sourceName(about)} `
  + `(${offsetText(offset)}), its code taken in ${taken.size}`;

/** Outline the chain that leads at a step, with a dot where its picture's code was taken. */
export function drawChain(context, trace, step, grid, cell) {
  const chain = chainAt(trace, step);
  if (!chain) return;
  const cells = new Set(chain.cells);
  drawBorders(context, numberOf(grid, (p) => Number(cells.has(p))), grid, cell, CHAIN);
  for (const p of chain.taken) {
    const [x, y, width, height] = boxOf(p, grid, cell);
    context.beginPath();
    context.arc(x + width / 2, y + height / 2, Math.max(1.5, width * 0.12), 0, 2 * Math.PI);
    context.fillStyle = CHAIN;
    context.fill();
    context.lineWidth = 1;
    context.strokeStyle = "#fff";
    context.stroke();
  }
}
