/* Which picture of the map an arrow key leads to. */

import assert from "node:assert/strict";
import test from "node:test";

import { stepAway, styleColour } from "../../app/tabs/database/map.js";

test("a step goes forward, and rather straight than far aside", () => {
  assert.equal(stepAway([10, 0], [1, 0]), 10);
  assert.equal(stepAway([10, 3], [1, 0]), 16);
  assert.equal(stepAway([-10, 0], [1, 0]), Infinity);
  assert.equal(stepAway([0, 5], [1, 0]), Infinity);
  assert.equal(stepAway([3, -4], [0, -1]), 10);
});

test("styles beyond those with a colour are grey", () => {
  assert.equal(styleColour(-1), styleColour(99));
  assert.notEqual(styleColour(0), styleColour(1));
});
