/* The inside of the model: whose attention is shown, and what a recorded page says of it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { contextOf, mostOf, sum } from "../../app/tabs/inside/heat.js";
import { stageText } from "../../app/tabs/inside/lens.js";
import { beginAt, recordedAt, weightsAt } from "../../app/tabs/inside/recorded.js";
import { small } from "./packed.js";

/** Two layers over three positions after one word: the weights of a position are one word's and those of the patches. */
const kept = {
  steps: 3,
  inside: { words: ["sun"], layers: 2, unit: 10, likeliest: 2, note: "n", stages: [[0, "start"], [1, "end"]] },
  arrays: {
    code: Uint16Array.from([7, 8, 9]),
    inside_look: Uint16Array.from([10, 4, 6, 1, 2, 7, 10, 2, 8, 3, 4, 3]),
    inside_code: Uint16Array.from([1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]),
    inside_chance: Float32Array.from([0.5, 0.25, 0.5, 0.25, 0.5, 0.125, 1, 0, 1, 0, 0.75, 0.25]),
    inside_taken: Float32Array.from([0.5, 0, 0.25, 1, 0, 0.75]),
  },
};

test("the weights of a position stand behind those of all before it", () => {
  assert.deepEqual([0, 1, 2, 3].map((position) => beginAt(position, 1)), [0, 1, 3, 6]);
  assert.deepEqual(weightsAt(kept, 1, 0), [0.4, 0.6]);
  assert.deepEqual(weightsAt(kept, 2, 1), [0.3, 0.4, 0.3]);
  assert.deepEqual(weightsAt(kept, 2, null).map((weight) => Number(weight.toFixed(6))), [0.2, 0.3, 0.5]);
});

test("a file with the mean of all layers alone has that for null", () => {
  const mean = { ...kept, inside: { ...kept.inside, layers: 0 } };
  assert.deepEqual(weightsAt(mean, 1, null), [0.4, 0.6]);
});

test("a recorded position is told like one of the server", () => {
  const { cells, words, stages, code, recorded } = recordedAt(kept, { run: "r", step: 2, layer: 0 });
  assert.deepEqual([code, recorded, words, cells], [9, true, [["sun", 0.1]], [0.2, 0.7]]);
  assert.deepEqual(stages, [
    { layer: 0, place: "start", codes: [5, 6], chances: [0.5, 0.125], taken: 0.25 },
    { layer: 1, place: "end", codes: [15, 16], chances: [0.75, 0.25], taken: 0.75 },
  ]);
});

test("what is looked at most comes first, and what is not looked at not at all", () => {
  assert.deepEqual(mostOf([0.1, 0.5, 0, 0.2], 2), [[1, 0.5], [3, 0.2]]);
  assert.deepEqual(mostOf([0, 0], 2), []);
  assert.equal(sum([0.25, 0.5]), 0.75);
});

test("the context is there only where something was looked up", () => {
  assert.deepEqual(contextOf(small(), 4), [0, 1, 2, 3]);
  assert.deepEqual(contextOf(small(), 1), []);
});

test("stages have names", () => {
  const names = [[0, "start"], [0, "before"], [0, "after"], [0, "end"], [3, "end"]].map(([layer, place]) => stageText({ layer, place }, 3));
  assert.deepEqual(names, ["before the first layer", "layer 0, before the blender", "layer 0, after the blender", "layer 0", "layer 3: prediction"]);
});
