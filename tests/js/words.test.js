import assert from "node:assert/strict";
import { test } from "node:test";

import { labOf, nameOf, wordsOf } from "../../app/stepper/words.js";

const patch = (colourAt) => Array.from({ length: 64 }, (_, i) => [...colourAt(Math.floor(i / 8), i % 8), 255]).flat();

test("L*a*b* of white, black and red", () => {
  const near = (got, expected) => got.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 0.1, `${got} is not ${expected}`));
  near(labOf([255, 255, 255]), [100, 0, 0]);
  near(labOf([0, 0, 0]), [0, 0, 0]);
  near(labOf([255, 0, 0]), [53.24, 80.09, 67.2]);
});

test("colours have the names that people use", () => {
  assert.equal(nameOf([255, 0, 0]), "red");
  assert.equal(nameOf([250, 210, 70]), "yellow");
  assert.equal(nameOf([255, 255, 255]), "white");
  assert.equal(nameOf([60, 40, 20]) === "white", false);
});

test("a patch of one colour has one name, and one with an edge two", () => {
  assert.equal(wordsOf(patch(() => [245, 140, 40]), 8), "orange");
  assert.equal(wordsOf(patch((row) => (row < 4 ? [255, 255, 255] : [225, 40, 45])), 8), "white above, red below");
  assert.equal(wordsOf(patch((_, col) => (col < 4 ? [45, 115, 215] : [252, 215, 60])), 8), "blue left, yellow right");
});
