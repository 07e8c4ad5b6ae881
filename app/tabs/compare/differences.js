/* Where runs differ. */

/** Where codes differ: how many different ones each position has, and for each trace whether its own is not the first's. */
export function differencesOf(traces) {
  const total = Math.max(...traces.map((trace) => trace.steps));
  const at = (p) => traces.filter((trace) => p < trace.steps).map((trace) => trace.arrays.code[p]);
  const distinct = Uint8Array.from({ length: total }, (_, p) => new Set(at(p)).size);
  const [{ arrays: { code }, steps }] = traces;
  const changed = traces.map((trace) => Uint8Array.from({ length: total }, (_, p) => (
    Number(p < steps && p < trace.steps && trace.arrays.code[p] !== code[p]))));
  const places = [...distinct.keys()].filter((p) => distinct[p] > 1);
  return { total, distinct, changed, places };
}
