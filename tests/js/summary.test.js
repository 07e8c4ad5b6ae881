import assert from "node:assert/strict";
import { test } from "node:test";

import { nearestOf } from "../../app/stepper/nearest.js";
import { changedText, sourceText, summaryText } from "../../app/stepper/summary.js";
import { small } from "./packed.js";

const summary = { looked_up: 210, steps: 256, drawn: 256, changed: 144, hindsight: 0, place: 0, share: 0.82, weight: 0.7, agreed: 0.2, start: 139, why: "" };
const sources = [{ image: 297, caption: "pizza", style: "flat", source: "fluent" }];

test("a run in a sentence", () => {
  assert.equal(summaryText({ summary, sources }), "Look-ups changed 144 of 256 patches; 82 % comes from pizza, flat.");
  const few = { ...summary, changed: 2, share: 0.01, why: "Look-ups had little weight here: 0.02 on average" };
  assert.equal(summaryText({ summary: few, sources }), "Look-ups changed 2 of 256 patches. Look-ups had little weight here: 0.02 on average.");
});

test("what is not known, and what did not happen, is said as such", () => {
  assert.match(changedText({ ...summary, looked_up: 0 }), /Nothing was looked up/);
  assert.match(changedText({ ...summary, changed: null }), /not recorded/);
  assert.equal(changedText({ ...summary, changed: 0 }), "Look-ups changed no patch");
  assert.equal(sourceText({ share: 0.04, drawn: 256 }), "");
  const read = { ...summary, drawn: 0, changed: 0, hindsight: 12, share: 0.6 };
  assert.equal(summaryText({ summary: read, sources }), "This picture was read, not drawn; in hindsight, look-ups would have changed 12 of 256 patches.");
  assert.equal(changedText({ ...read, looked_up: 0 }), "This picture was read, not drawn");
});

test("the nearest few are shown, and the nearest that says what was taken", () => {
  const trace = small({ shown: { codes: 2, features: 0, neighbours: 4 } });
  trace.arrays.near_image = Int32Array.from(new Array(24).fill(0));
  trace.arrays.near_code = Uint16Array.from(new Array(24).fill(1));
  assert.deepEqual(nearestOf(trace, 3), [0, 1, 2]);
  trace.arrays.near_code[3 * 4 + 3] = 5;
  assert.deepEqual(nearestOf(trace, 3), [0, 1, 3]);
  trace.arrays.near_code[3 * 4] = 5;
  assert.deepEqual(nearestOf(trace, 3), [0, 1, 2]);
  trace.arrays.near_image[3 * 4] = -1;
  assert.deepEqual(nearestOf(trace, 3), [0, 1, 3]);
});
