import assert from "node:assert/strict";
import { test } from "node:test";

import { nextPlace, placesOf, whyNoJump } from "../../app/stepper/places.js";
import { small } from "./packed.js";

const trace = small();

test("flips are where the same luck takes another code with nothing retrieved", () => {
  assert.deepEqual(placesOf(trace, "flip", NaN), [3, 5]);
});

test("a threshold in nats takes what is at it or over it, and nothing that is not known", () => {
  assert.deepEqual(placesOf(trace, "kl", 0.5), [3, 5]);
  assert.deepEqual(placesOf(trace, "kl", 0), [2, 3, 4, 5]);
});

test("of a copied region only the first position is a place", () => {
  assert.deepEqual(placesOf(trace, "copied", NaN), [2, 4]);
});

test("codes are places where they were taken", () => {
  assert.deepEqual(placesOf(trace, "code", 6), [1, 4]);
  assert.deepEqual(placesOf(trace, "code", NaN), []);
});

test("a run that is no branch differs nowhere", () => {
  assert.deepEqual(placesOf(trace, "branch", NaN), []);
  assert.deepEqual(placesOf(small({ arrays: { parent: Uint16Array.from([5, 6, 7, 5, 6, 6]) } }), "branch", NaN), [5]);
});

test("it is said why there are no places", () => {
  assert.match(whyNoJump(trace, "branch", NaN), /not a branch/);
  assert.match(whyNoJump(trace, "code", NaN), /Type a code/);
  const { copied: _, ...arrays } = trace.arrays;
  assert.match(whyNoJump({ ...trace, arrays }, "copied", NaN), /not known/);
  assert.match(whyNoJump(small({ flips_known: false }), "flip", NaN), /not recorded/);
  assert.match(whyNoJump(small({ retrieves: false }), "kl", 0.1), /looked nothing up/);
  assert.equal(whyNoJump(trace, "kl", 0.1), "");
});

test("from a place it goes to the next one, and around the ends", () => {
  assert.equal(nextPlace([2, 4], 2, false), 4);
  assert.equal(nextPlace([2, 4], 4, false), 2);
  assert.equal(nextPlace([2, 4], 3, true), 2);
  assert.equal(nextPlace([2, 4], 2, true), 4);
  assert.equal(nextPlace([], 2, false), undefined);
});
