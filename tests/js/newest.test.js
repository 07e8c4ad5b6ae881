import assert from "node:assert/strict";
import { test } from "node:test";

import { Newest } from "../../app/client/newest.js";

const update = (run, number) => ({ run, number });

test("updates of a run are taken in their order, and late ones dropped", () => {
  const newest = new Newest();
  const taken = [update(1, 0), update(1, 2), update(1, 1), update(1, 2), update(1, 3)].map((each) => newest.take(each));
  assert.deepEqual(taken, [true, true, false, false, true]);
});

test("a newer run begins anew, and nothing of the older one is taken any more", () => {
  const newest = new Newest();
  const taken = [update(1, 7), update(2, 0), update(1, 8), update(2, 1)].map((each) => newest.take(each));
  assert.deepEqual(taken, [true, true, false, true]);
});

test("nothing is no update", () => {
  assert.equal(new Newest().take(null), false);
});

test("what is still the newest after a wait is known", () => {
  const newest = new Newest(), [first, second] = [update(1, 0), update(1, 1)];
  newest.take(first);
  assert.equal(newest.is(first), true);
  newest.take(second);
  assert.equal(newest.is(first), false);
});
