/* How the stage plays: a position for every moment, slow where a look-up is to be seen. */

const RUN_MS = 4600, FLY_MS = 750, HOLD_MS = 650, BACK_MS = 700;

/**
 * The parts of a play: runs between positions, and at each telling change a patch that flies over, and a rest.
 * @param {number} total positions
 * @param {number[]} telling positions to be slow at, in order
 * @param {number} start where it ends up standing
 * @returns {{kind: string, from: number, to: number, begins: number, takes: number}[]}
 */
export function planOf(total, telling, start) {
  const parts = [];
  let at = 0, begins = 0;
  const add = (kind, to, takes) => {
    parts.push({ kind, from: at, to, begins, takes });
    [at, begins] = [to, begins + takes];
  };
  for (const position of telling) {
    add("run", position, (RUN_MS * (position - at)) / total);
    add("fly", position, FLY_MS);
    add("hold", position, HOLD_MS);
  }
  add("run", total - 1, (RUN_MS * (total - 1 - at)) / total);
  add("hold", total - 1, BACK_MS);
  parts.push({ kind: "end", from: start, to: start, begins, takes: 0 });
  return parts;
}

/** Where a play is after some milliseconds: the position, and how far a patch has flown (1: it is there). */
export function momentOf(plan, elapsed) {
  const part = plan.findLast(({ begins }) => begins <= elapsed) ?? plan[0]; // a frame may be older than the start
  const share = part.takes ? Math.min(1, Math.max(0, elapsed - part.begins) / part.takes) : 1;
  return {
    position: Math.round(part.from + (part.to - part.from) * share),
    flown: part.kind === "fly" ? share : 1,
    ended: part.kind === "end",
  };
}
