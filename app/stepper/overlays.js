/* The overlays: what each shows of a trace, and in words. */

import { plural, short } from "../client/numbers.js";
import { chainAt, chainText, knowsChains } from "./chains.js";
import { sourceTextAt } from "./sources.js";
import { differsAt, flipAt, largestShares, movedText, NOT_RECORDED, shiftAt } from "./step.js";
import { finiteRange } from "./trace.js";

/** Why an overlay says nothing about a trace; empty when it does. */
export function whyNoOverlay(trace, name) {
  if (["none", "entropy", "surprise"].includes(name)) return "";
  if (name === "branch") return "parent" in trace.arrays ? "" : "This run is not a branch of another";
  if (!trace.retrieves) return "This run looked nothing up";
  if (name === "source" && !trace.provenance.listed.length) return "Nothing that was looked up took part in this run";
  if (name === "chain" && !knowsChains(trace)) return "Which neighbours continue others is not known of this run";
  if (name === "chain" && !trace.chains.length) return "No neighbour with a taken code continues another one in this run";
  if (["fit", "share"].includes(name) && !trace.blenders.length) return "This run had no blenders: choose a method with FAiD";
  if (["flips", "kl"].includes(name) && !trace.flips_known) return `What look-ups changed was ${NOT_RECORDED}`;
  return "";
}

/** The most that mixing can move a distribution, in words; empty where nothing bounds it, or the trace does not say. */
const ceilingText = ({ kl_ceiling }) => (kl_ceiling ? `, at most ${short(kl_ceiling)}: -ln(1 - λ) at the full λ` : "");

/** How long the leading chain of each position was there; none where none leads. */
const chainValues = ({ arrays, steps }) => Float32Array.from({ length: steps }, (_, p) => (arrays.chain[p] < 0 ? NaN : arrays.chain_size[p]));

/** What is outlined at a step. */
function chainLegend(trace, step) {
  const chain = chainAt(trace, step);
  return chain ? `Outlined up to here: ${chainText(chain)} (dots).` : "Here none.";
}

/** The values that an overlay shows, with their range, meaning and unit; null for none. */
export function overlayOf(trace, name) {
  if (name === "none") return null;
  if (name === "source") return { sources: true, range: [0, 1] };
  const { entropy, kl, nearest, surprise, faid_fit } = trace.arrays, every = Array.from({ length: trace.steps }, (_, p) => p);
  const overlay = {
    entropy: () => ({ values: entropy.filter((_, i) => i % 3 === 2), text: "entropy of what was drawn from, in nats", unit: "nats" }),
    kl: () => ({ values: kl, text: `${movedText(trace)}, in nats${ceilingText(trace)}`, unit: "nats" }),
    nearest: () => ({ values: nearest, text: "squared L2 distance of the nearest neighbour", unit: "" }),
    fit: () => ({ values: faid_fit, text: `mean compatibility of the neighbours in the last blender, of layer ${trace.blenders.at(-1)}`, unit: "", range: [0, 1] }),
    share: () => ({ values: largestShares(trace), text: "most that a blender adds, in % of the hidden state", unit: "%" }),
    chain: () => ({ values: chainValues(trace), chains: true, text: "length of the longest chain with the taken code, in patches", unit: "" }),
    surprise: () => ({ values: surprise.filter((_, i) => i % 2 === 1), text: "-ln of the code's probability at temperature 1, in nats", unit: "nats" }),
    flips: () => ({ values: Uint8Array.from(every, (p) => Number(flipAt(trace, p)) + 2 * Number(shiftAt(trace, p))), marks: "flip", text: "where look-ups changed the code" }),
    branch: () => ({ values: Uint8Array.from(every, (p) => Number(differsAt(trace, p))), marks: "difference", text: "codes that differ from the run that this one branched from" }),
  }[name]();
  const [low, high] = finiteRange(overlay.values) || [0, 0];
  return { range: [Math.min(0, low), high], ...overlay };
}

/** What an overlay says of its trace and of one position; focus: rank of the only source shown, -1 for all. */
export function legendText(trace, overlay, step, focus) {
  if (overlay.sources) return sourceTextAt(trace, step, focus);
  const { values, marks, text, unit } = overlay;
  const here = Number.isFinite(values[step]) ? `${short(values[step])} ${unit || ""}`.trim() : "none";
  if (overlay.chains) return `${text}. ${chainLegend(trace, step)}`;
  if (!marks) return `${text}; here ${here}`;
  const marked = [...values].map((value, p) => (value % 2 ? p : -1)).filter((p) => p >= 0);
  const given = marks === "flip" ? marked.filter((p) => !trace.arrays.drawn[p]).length : 0;
  const rings = values.filter((value) => value > 1).length, would = given ? `; ${given} in hindsight, of codes that were not drawn` : "";
  const shifts = rings ? `; ${plural(rings, "ring")}: shifts, where the blenders alone changed it` : "";
  return `${plural(marked.length - given, marks)}: marked patches, ${text}${would}${shifts}`;
}
