import assert from "node:assert/strict";
import { test } from "node:test";

import { momentOf, planOf } from "../../app/stage/player.js";

const plan = planOf(256, [29, 118, 141], 141);

test("it goes from the first patch to the last, slow at what is to be seen, and back", () => {
  assert.deepEqual(momentOf(plan, 0), { position: 0, flown: 0 + 1, ended: false });
  const moments = Array.from({ length: 1200 }, (_, i) => momentOf(plan, 10 * i));
  const positions = moments.map(({ position }) => position);
  for (const telling of [29, 118, 141]) assert.ok(positions.filter((p) => p === telling).length > 100, `${telling} is passed`);
  assert.ok(positions.includes(255));
  assert.deepEqual(moments.at(-1), { position: 141, flown: 1, ended: true });
  assert.ok(moments.some(({ flown }) => flown > 0.4 && flown < 0.6));
});

test("it takes about nine seconds, and never shows what is not there", () => {
  const end = plan.at(-1).begins;
  assert.ok(end > 7000 && end < 11000, `${end} ms`);
  assert.equal(momentOf(plan, -20).position, 0);
  for (let ms = -50; ms < end; ms += 7) {
    const { position } = momentOf(plan, ms);
    assert.ok(Number.isInteger(position) && position >= 0 && position < 256);
  }
});

test("a recording without changes is drawn through", () => {
  assert.equal(momentOf(planOf(256, [], 255), 1e9).position, 255);
});
