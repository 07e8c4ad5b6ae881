/* What a trace says of one step. */

import { plural, short } from "../client/numbers.js";

export const NOT_RECORDED = "not recorded; turn on “Also record each position without look-up” and draw again";

/** Whether the step asked the database. */
export const retrievedAt = (trace, step) => trace.arrays.reason[step] < 0;

/** Why the step did not. */
export const reasonAt = (trace, step) => trace.reasons[trace.arrays.reason[step]] || "nothing was looked up";

/** Whether retrieval changed the code: with the same luck another one, had nothing been retrieved. False as well where that was not recorded. */
export const flipAt = (trace, step) => trace.arrays.pick[step] !== trace.arrays.without[step];

/** Whether the blenders by themselves, with nothing retrieved, changed the code; false as well where that was not recorded. */
export const shiftAt = (trace, step) => trace.arrays.drawn[step] === 1 && trace.arrays.without[step] !== trace.arrays.alone[step];

/** Who decided the code of a step, in words; empty where it was drawn. */
export function decidedAt(trace, step) {
  if (trace.arrays.drawn[step]) return "";
  return step < trace.given ? "given by the picture" : "chosen by hand";
}

/** Whether the blenders took part in a step. */
export const blendersAt = (trace, step) => trace.blenders.length > 0 && trace.arrays.faid_on[step] === 1;

/** Whether a code differs from the one of the run that this one branched from. */
export const differsAt = (trace, step) => "parent" in trace.arrays && trace.arrays.parent[step] !== trace.arrays.code[step];

/** What a code is compared with, in words: the same step, had nothing been retrieved there. */
export const withoutAt = (trace, step) => (blendersAt(trace, step) ? "with nothing looked up" : "without look-up");

/** What a code is compared with, as the one who takes it. */
export const otherAt = (trace, step) => (blendersAt(trace, step) ? "the model with nothing looked up" : "the model alone");

/** What the divergence of a trace is between, as a formula. */
export const movedText = (trace) => (trace.blenders.length ? `KL(nothing looked up ‖ ${trace.mixes ? "mix" : "model"})` : "KL(model ‖ mix)");

/** Which distributions a trace has, in the order in which they follow from each other, the retrieved one apart. */
export function distributionsOf(trace) {
  const blended = trace.mixes || !trace.blenders.length;
  return ["unblended", "blank", "model", "retrieval", "blended"].filter((kind) => (
    ["unblended", "blank"].includes(kind) ? `top_${kind}` in trace.arrays : kind !== "blended" || blended));
}

/* ---- its blenders, numbered from 0, as the features of its neighbours are */

/** A compatibility or a cosine of a feature in a blender, by the name of its array. */
export const featureAt = (trace, name, step, blender, feature) =>
  trace.arrays[name][(step * trace.blenders.length + blender) * trace.shown.features + feature] / trace.fraction;

/** How many of the shown features came from neighbours. */
export const presentAt = (trace, step) => Math.min(trace.arrays.faid_present[step], trace.shown.features);

/** How much a blender adds at a step, relative to the hidden state. */
export const shareAt = (trace, step, blender) => trace.arrays.faid_share[step * trace.blenders.length + blender];

/** The largest share that a blender adds at each step, in percent. */
export function largestShares(trace) {
  return Float32Array.from({ length: trace.steps }, (_, step) => 100 * Math.max(...trace.blenders.map((_, blender) => shareAt(trace, step, blender))));
}

/** The feature that fits best in the last blender, as [feature, compatibility]; null without neighbours. */
export function bestFeatureAt(trace, step) {
  const last = trace.blenders.length - 1;
  const scores = Array.from({ length: presentAt(trace, step) }, (_, i) => featureAt(trace, "faid_compatibility", step, last, i));
  const best = scores.indexOf(Math.max(...scores));
  return best < 0 ? null : [best, scores[best]];
}

/** Positions of the context cells of a step, in the order of the query; -1 where the context leaves the grid. */
export function contextAt(trace, step) {
  const { width } = trace.grid;
  const [row, col] = [Math.floor(step / width), step % width];
  return trace.context.map(([down, right]) => {
    const [r, c] = [row + down, col + right];
    return r >= 0 && c >= 0 && c < width ? r * width + c : -1;
  });
}

/** Where a step is, in words. */
export const placeAt = (grid, step) => `row ${Math.floor(step / grid.width)}, column ${step % grid.width}`;

/** A step in a sentence or two, for screen readers; words: what its patch looks like. */
export function spokenAt(trace, step, words) {
  const { code, without, alone, found, nearest } = trace.arrays;
  const about = retrievedAt(trace, step)
    ? `${plural(found[step], "neighbour")}, the nearest at distance ${short(nearest[step])}.`
    : `No look-up: ${reasonAt(trace, step)}.`;
  const shift = shiftAt(trace, step) ? ` Shift: without the blenders code ${alone[step]}.` : "";
  const flip = (flipAt(trace, step) && trace.arrays.drawn[step] ? ` Flip: ${withoutAt(trace, step)} code ${without[step]}.` : "") + shift;
  const decided = decidedAt(trace, step);
  return `Position ${step}, ${placeAt(trace.grid, step)}. Code ${code[step]}, ${words}${decided && `, ${decided}`}. ${about}${spokenBlendersAt(trace, step)}${flip}`;
}

/** The blenders of a step in a sentence, nothing for a run without them. */
function spokenBlendersAt(trace, step) {
  if (!blendersAt(trace, step)) return "";
  const best = bestFeatureAt(trace, step), last = trace.blenders.at(-1);
  return best ? ` Best compatibility ${best[1].toFixed(2)}, neighbour ${best[0] + 1}, in layer ${last}.`
    : ` The blenders ran with a blank feature, compatibility ${featureAt(trace, "faid_compatibility", step, trace.blenders.length - 1, 0).toFixed(2)} in layer ${last}.`;
}
