import assert from "node:assert/strict";
import { test } from "node:test";

import { changedText, figuresOf } from "../../app/gallery/cards.js";
import { hashOf, placeOf } from "../../app/gallery/places.js";

test("an address names a run and a position, and is read again", () => {
  assert.equal(hashOf("run", "pizza-strong", 139), "#run=pizza-strong&step=139");
  assert.deepEqual(placeOf("#run=pizza-strong&step=139"), { kind: "run", name: "pizza-strong", step: 139 });
  assert.deepEqual(placeOf(hashOf("sweep", "a&b=c #%")), { kind: "sweep", name: "a&b=c #%", step: -1 });
});

test("what names nothing is the home of all runs", () => {
  for (const hash of ["", "#", "#own", "#run=", "#step=5", "#else=x"]) assert.equal(placeOf(hash).kind, "home");
  for (const step of ["-1", "1e3", "x", "", "99999999"]) assert.equal(placeOf(`#run=a&step=${step}`).step, -1);
});

test("a card says what look-ups changed, and what is not known", () => {
  const card = { looked_up: 210, changed: 12, steps: 256, positions: 256, copied: 0.2, chance: 0.61, parent: "" };
  assert.deepEqual(figuresOf(card), ["look-ups changed 12 of 210 patches", "20 % copied from one place each", "its codes had a chance of 61 % on average"]);
  assert.equal(changedText({ ...card, looked_up: 0 }), "no look-ups");
  assert.match(changedText({ ...card, changed: null }), /was not recorded/);
  assert.match(figuresOf({ ...card, steps: 90 }).at(-1), /paused after 90 of 256/);
});
