import assert from "node:assert/strict";
import { test } from "node:test";

import { chainAt, continuedText, continuesFully, continuesText } from "../../app/stepper/chains.js";
import { legendText, overlayOf, whyNoOverlay } from "../../app/stepper/overlays.js";
import { small } from "./packed.js";

/** Of six positions in two rows, 2 and 4 are a chain that 5 joins; at 5 another code was taken than the source's. */
const chained = (changed = {}) => small({
  sources: [{ image: 3, caption: "a heart", style: "flat", source: "made up" }],
  chains: [[0, [0, 1]]],
  arrays: {
    chain: Int16Array.from([-1, -1, -1, -1, -1, 0]), chain_size: Uint16Array.from([0, 0, 0, 0, 0, 3]),
    chain_ends: Int32Array.from([3]), chain_cells: Uint16Array.from([2, 4, 5]), chain_taken: Uint8Array.from([1, 1, 0]),
    near_way: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0]), near_chain: Uint16Array.from([0, 0, 0, 0, 1, 1, 1, 1, 2, 1, 3, 1]),
    continuing: Uint16Array.from([0, 0, 0, 0, 1, 1]), found: Int32Array.from([0, 0, 2, 2, 2, 2]), ...changed,
  },
});

test("a chain is what is connected with the step, as far as it is drawn", () => {
  const chain = chainAt(chained(), 5);
  assert.deepEqual([...chain.cells].sort(), [2, 4, 5]);
  assert.deepEqual([...chain.taken].sort(), [2, 4]);
  assert.deepEqual(chain.offset, [0, 1]);
  assert.equal(chainAt(chained(), 4), null);
  const apart = chainAt(chained({ chain: Int16Array.from([-1, -1, -1, -1, 0, 0]) }), 4);
  assert.deepEqual(apart.cells, [4]); // 2 is joined by 5 alone, which is still to come
});

test("a neighbour says how long its chain is and what it continues", () => {
  assert.equal(continuesText(chained(), 10), "chain of 3");
  assert.match(continuesFully(chained(), 10), /^3 connected patches .* continues left and above$/);
  assert.equal(continuesText(chained(), 9), "");
});

test("a step says what goes on, and what following did", () => {
  assert.equal(continuedText(chained(), 5), "1 of 2 neighbours continue one of the patch to the left or above. "
    + "The longest chain with the taken code: 3 patches from a heart, flat #3 (1 right), its code taken in 2.");
  assert.match(continuedText(chained({ follow: Uint8Array.from([0, 0, 1, 1, 1, 4]) }), 5), /Nothing was searched.*may be missing\.$/);
  assert.match(continuedText(chained({ follow: Uint8Array.from([0, 0, 1, 1, 1, 2]) }), 5), /bounded the search/);
  assert.equal(continuedText(chained(), 0), "");
  assert.equal(continuedText(small(), 5), ""); // a file of before
});

test("the overlay has lengths, and says what it outlines", () => {
  const trace = chained(), overlay = overlayOf(trace, "chain");
  assert.deepEqual([...overlay.values].slice(4), [NaN, 3]);
  assert.deepEqual(overlay.range, [0, 3]);
  assert.match(legendText(trace, overlay, 5, -1), /Outlined up to here: 3 patches from a heart/);
  assert.match(legendText(trace, overlay, 4, -1), /Here none\.$/);
  assert.equal(whyNoOverlay(trace, "chain"), "");
  assert.match(whyNoOverlay(small(), "chain"), /not known/);
  assert.match(whyNoOverlay({ ...trace, chains: [] }, "chain"), /continues/);
});
