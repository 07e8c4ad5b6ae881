import assert from "node:assert/strict";
import { test } from "node:test";

import { extent, ticks } from "../../app/tabs/evaluation/plot.js";
import { cellTexts, commonCount, noteOf } from "../../app/tabs/evaluation/table.js";

test("a measured value stands with its interval, a number alone, a text as it is", () => {
  assert.deepEqual(cellTexts({ value: -0.0512, low: -0.07, high: 0.0004, n: 9 }, 3), { value: "−0.051", interval: "−0.070 to 0.000" });
  assert.deepEqual(cellTexts({ value: 0.5, low: 0.5, high: 0.5, n: 1 }, 2), { value: "0.50", interval: "" });
  assert.deepEqual(cellTexts(1234, 3), { value: "1234", interval: "" });
  assert.deepEqual(cellTexts(-0.0001, 2), { value: "0.00", interval: "" });
  assert.deepEqual(cellTexts("unavailable", 3), { value: "unavailable", interval: "" });
});

test("n stands below a table where it is the same, and in the cells where it is not", () => {
  const value = (n) => ({ value: 1, low: 0, high: 2, n });
  assert.equal(commonCount([["a", value(9)], ["b", value(9), 3]]), 9);
  assert.equal(commonCount([["a", value(9)], ["b", value(8)]]), null);
  assert.equal(commonCount([["a", 3]]), null);
  assert.equal(noteOf({ rows: [["a", value(9)]], note: "Less is better." }), "Less is better. n = 9.");
  assert.equal(noteOf({ rows: [["a", 3]], note: "" }), "");
});

test("ticks are round numbers within the axis", () => {
  assert.deepEqual(ticks(3.13, 4.02), [3.2, 3.4, 3.6, 3.8, 4]);
  assert.deepEqual(ticks(-0.2, 0.63), [-0.2, 0, 0.2, 0.4, 0.6]);
  assert.deepEqual(ticks(0, 1000), [0, 200, 400, 600, 800, 1000]);
  assert.deepEqual(ticks(5, 5), [5]);
});

test("the axis holds all intervals, and that of bars zero", () => {
  const lines = [{ y: [2, 3], low: [1], high: [4] }, { y: [2], low: [], high: [] }];
  const [bottom, top] = extent(lines, false), bars = extent(lines, true);
  assert.ok(bottom < 1 && bottom > 0.5 && top > 4 && top < 4.5);
  assert.equal(bars[0], 0);
  assert.ok(extent([{ y: [-1], low: [], high: [] }], true)[1] === 0);
});
