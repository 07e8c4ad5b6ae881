/* Changes of surprise as numbers and colours. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { changesOf, extentOf, rowMeans, shade, signed } from "../../app/tabs/read/changes.js";

test("changes are those from the model alone", () => {
  assert.deepEqual(changesOf([1, 2, 3], [1, 1, 5]), [0, -1, 2]);
});

test("means are those of whole rows", () => {
  assert.deepEqual(rowMeans([1, 3, 5, 7, 0, 1], 2), [2, 6, 0.5]);
});

test("nearly all changes are below the extent, which is never too small", () => {
  assert.equal(extentOf([0.01, -0.02]), 0.1);
  const many = Array.from({ length: 101 }, (_, i) => (i % 2 ? -i : i) / 100);
  assert.equal(extentOf(many), 0.97);
});

test("less surprise is blue, more is vermillion, none is nothing, and all is bounded", () => {
  assert.match(shade(0.5), /^rgb\(0 114 178 \/ 0\.5/);
  assert.match(shade(-0.5), /^rgb\(213 94 0 \/ 0\.5/);
  assert.equal(shade(0), "rgb(213 94 0 / 0.000)");
  assert.equal(shade(9), shade(1));
});

test("numbers have their sign", () => {
  assert.equal(signed(-0.2518), "−0.252");
  assert.equal(signed(0.2, 2), "+0.20");
});
