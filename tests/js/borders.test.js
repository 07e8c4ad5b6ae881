import assert from "node:assert/strict";
import { test } from "node:test";

import { bordersOf } from "../../app/tabs/whatif/borders.js";

const grid = { width: 3, height: 2 };

test("a cell alone has four sides", () => {
  assert.deepEqual(bordersOf([4], grid), [
    [[1, 1], [2, 1]], [[1, 2], [2, 2]], [[1, 1], [1, 2]], [[2, 1], [2, 2]],
  ]);
});

test("between two cells there is no line", () => {
  const borders = bordersOf([0, 1], grid);
  assert.equal(borders.length, 6);
  assert.ok(!borders.some(([[a, b], [c, d]]) => a === 1 && c === 1 && b === 0 && d === 1));
});

test("the end of a row and the beginning of the next one are not neighbours", () => {
  assert.equal(bordersOf([2, 3], grid).length, 8);
});

test("the whole grid has its edge, and no cells none", () => {
  assert.equal(bordersOf([0, 1, 2, 3, 4, 5], grid).length, 10);
  assert.deepEqual(bordersOf([], grid), []);
});
