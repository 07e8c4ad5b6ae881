import assert from "node:assert/strict";
import { test } from "node:test";

import { rowsFor } from "../../app/client/dom.js";

test("a key that is shown already keeps its row, others take free ones, and the rest is made", () => {
  const rows = [];
  const make = () => ({ number: rows.length });
  const first = rowsFor(rows, ["a", "b"], make);
  assert.deepEqual(first.map(({ number, isSame }) => [number, isSame]), [[0, false], [1, false]]);
  const second = rowsFor(rows, ["b", "c", "d"], make);
  assert.deepEqual(second.map(({ number, key, isSame }) => [number, key, isSame]), [[1, "b", true], [0, "c", false], [2, "d", false]]);
});
