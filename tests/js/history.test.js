import assert from "node:assert/strict";
import { test } from "node:test";

import { History } from "../../app/rail/history.js";

/** A history of these visits. */
function visited(...runs) {
  const history = new History();
  for (const run of runs) history.visit(run);
  return history;
}

test("one goes back and on through what was looked at", () => {
  const history = visited("a", "b", "c");
  assert.deepEqual([history.before, history.after], ["b", undefined]);
  history.visit(history.go(-1));
  assert.deepEqual([history.before, history.after], ["a", "c"]);
  history.visit("b"); // the same again
  assert.deepEqual([history.before, history.after], ["a", "c"]);
  history.visit(history.go(1));
  assert.deepEqual([history.before, history.after], ["b", undefined]);
  assert.equal(history.go(1), undefined);
});

test("a run that was opened again is undone to the one before it", () => {
  const history = visited("a", "b", "a");
  assert.deepEqual([history.before, history.after], ["b", undefined]);
  history.go(-1); // on the way to b something else is drawn
  history.visit("c");
  assert.deepEqual([history.before, history.after], ["a", undefined]);
});

test("another run ends what could be gone on to", () => {
  const history = visited("a", "b");
  history.visit(history.go(-1));
  history.visit("c");
  assert.deepEqual([history.before, history.after], ["a", undefined]);
});

test("runs that are gone are left out, and the place stays", () => {
  const history = visited("a", "b", "c", "d");
  history.visit(history.go(-1));
  history.keep(new Set(["a", "c", "d"]));
  assert.deepEqual([history.before, history.after], ["a", "d"]);
  history.keep(new Set(["d"])); // the one that was looked at is gone, too
  assert.deepEqual([history.before, history.after], [undefined, "d"]);
  const twice = visited("a", "b", "a");
  twice.keep(new Set(["a"]));
  assert.deepEqual([twice.before, twice.after], [undefined, undefined]);
  const longer = visited("a", "paused");
  longer.keep(new Set(["a", "whole"]));
  longer.visit("whole");
  assert.deepEqual([longer.before, longer.after], ["a", undefined]);
});

test("an empty one leads nowhere", () => {
  const history = visited();
  history.keep(new Set(["a"]));
  assert.deepEqual([history.before, history.after], [undefined, undefined]);
});
