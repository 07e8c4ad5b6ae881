import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Patience } from "../../app/client/patience.js";

/** A patience of a second, and what it did. */
function patient(canAsk = true) {
  const done = [];
  return { done, patience: new Patience(() => done.push("give up"), canAsk ? () => done.push("ask") : null, 1000) };
}

test("it asks when nothing is heard, and gives up when asking does not help", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { done, patience } = patient();
  patience.heard(true);
  mock.timers.tick(999);
  assert.deepEqual(done, []);
  mock.timers.tick(1);
  assert.deepEqual(done, ["ask"]);
  for (let i = 0; i < 5; i++) mock.timers.tick(1000);
  assert.deepEqual(done, ["ask", "ask", "give up"]);
  mock.timers.reset();
});

test("whatever is heard begins anew, and nothing is waited for that is over", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { done, patience } = patient();
  for (let i = 0; i < 5; i++) {
    patience.heard(true);
    mock.timers.tick(900);
  }
  patience.heard(false);
  mock.timers.tick(60_000);
  assert.deepEqual(done, []);
  mock.timers.reset();
});

test("where nothing can be asked it gives up", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { done, patience } = patient(false);
  patience.heard(true);
  mock.timers.tick(1000);
  assert.deepEqual(done, ["give up"]);
  mock.timers.reset();
});
