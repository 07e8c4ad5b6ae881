import assert from "node:assert/strict";
import { test } from "node:test";
import { suggest } from "../../app/client/suggest.js";
import { strengthOf, withStrength } from "../../app/strength.js";

const TABLE = {
  fields: ["method", "gate", "caption_filter"], refused: { released: ["caption_filter"] }, custom: "custom",
  strengths: {
    off: { meaning: "alone", settings: { method: "model" } },
    strong: { meaning: "much", settings: { method: "daid", gate: 2, caption_filter: 8 } },
  },
};

test("a strength sets what it says, and leaves the rest as it is", () => {
  assert.deepEqual(withStrength(TABLE, "strong", "emoji", "model", 0.5, 32), ["daid", 2, 8]);
  assert.deepEqual(withStrength(TABLE, "off", "emoji", "daid", 0.5, 32), ["model", 0.5, 32]);
  assert.deepEqual(withStrength(TABLE, "strong", "released", "model", 0.5, 0), ["daid", 2, 0]);
  assert.deepEqual(withStrength(TABLE, null, "emoji", "model", 0.5, 32), ["model", 0.5, 32]);
});

test("settings say which strength they are of", () => {
  const value = (...now) => strengthOf(TABLE, ...now).value;
  assert.equal(value("emoji", "daid", 2, 8), "strong");
  assert.equal(value("released", "daid", 2, 0), "strong");
  assert.equal(value("emoji", "daid", 2, 0), null);
  assert.equal(value("emoji", "model", 7, 7), "off");
  assert.equal(strengthOf(TABLE, "emoji", "daid", 1, 8).info, "custom");
});

const THINGS = ["cactus", "cat", "cat face", "pizza", "red heart"];
const texts = (text) => suggest(text, THINGS, 8).map((offer) => offer.text);

test("as much of the end as begins a thing is completed, the shortest first", () => {
  assert.deepEqual(texts("a blue ca"), ["a blue cat", "a blue cactus", "a blue cat face"]);
  assert.deepEqual(texts("a blue cat f"), ["a blue cat face"]);
  assert.deepEqual(texts("hea"), ["red heart"]);
  assert.deepEqual(texts("two cats, PIZ"), ["two cats, pizza"]);
});

test("nothing is suggested for one letter, for what is there, and for what is no thing", () => {
  assert.deepEqual(texts("p"), []);
  assert.deepEqual(texts("pizza"), []);
  assert.deepEqual(texts("xyzzy"), []);
  assert.deepEqual(texts(""), []);
  assert.equal(suggest("ca", THINGS, 1).length, 1);
});
