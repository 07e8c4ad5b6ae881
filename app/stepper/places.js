/* Places of a trace to jump to. */

import { whyNoOverlay } from "./overlays.js";
import { differsAt, flipAt } from "./step.js";

/**
 * The positions that a jump goes through, ascending.
 * @param {string} kind flip, kl (at or over a threshold in nats), copied (the first position of each copied region),
 *   code (positions with that code) or branch (codes that differ from the parent's)
 * @param {number} value the threshold or the code
 */
export function placesOf(trace, kind, value) {
  const { kl, code, copied } = trace.arrays, met = new Set();
  const wanted = {
    flip: (p) => flipAt(trace, p),
    kl: (p) => kl[p] >= value,
    code: (p) => code[p] === value,
    branch: (p) => differsAt(trace, p),
    copied: (p) => copied?.[p] > 0 && !met.has(copied[p]) && met.add(copied[p]),
  }[kind];
  return Array.from({ length: trace.steps }, (_, p) => p).filter(wanted);
}

/** Why a trace has no places of a kind; empty when it may have some. */
export function whyNoJump(trace, kind, value) {
  if (kind === "code") return Number.isNaN(value) ? "Type a code to look for" : "";
  if (kind === "copied") return "copied" in trace.arrays ? "" : "Which regions were copied is not known of this run";
  return whyNoOverlay(trace, { flip: "flips", kl: "kl", branch: "branch" }[kind]);
}

/** The first of some ascending places behind `from`, or before it; around the ends. Undefined when there is none. */
export function nextPlace(places, from, backwards) {
  return backwards ? places.findLast((p) => p < from) ?? places.at(-1) : places.find((p) => p > from) ?? places[0];
}
