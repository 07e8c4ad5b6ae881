import assert from "node:assert/strict";
import { test } from "node:test";

import { addressOf } from "../../app/share/address.js";
import { hiddenParts } from "../../app/share/embed.js";

test("the address of a run is its link at a position", () => {
  assert.equal(addressOf("/", "", "?prompt=sun&seed=5", 139), "/?prompt=sun&seed=5&step=139");
  assert.equal(addressOf("/demo/", "?prompt=old&step=3&seed=1", "?prompt=sun", -1), "/demo/?prompt=sun");
});

test("a run without a link has the address of the page alone", () => {
  assert.equal(addressOf("/", "?prompt=old&step=3", "", 7), "/");
});

test("how the page is shown stays in the address", () => {
  const search = "?prompt=old&embed=1&hide=tabs,prompt&__theme=dark&odd=1";
  assert.equal(addressOf("/", search, "?prompt=sun", 2), "/?prompt=sun&step=2&embed=1&hide=tabs%2Cprompt&__theme=dark");
  assert.equal(addressOf("/", search, "", 2), "/?embed=1&hide=tabs%2Cprompt&__theme=dark");
});

test("an embedded page hides its head and examples, and what is asked for of what can be hidden", () => {
  assert.equal(hiddenParts("?prompt=sun&hide=tabs"), null);
  assert.equal(hiddenParts("?embed=yes"), null);
  assert.deepEqual(hiddenParts("?embed=1"), ["head", "examples"]);
  assert.deepEqual(hiddenParts("?embed=1&hide=settings, tabs,#view,,stepper"), ["head", "examples", "settings", "tabs"]);
});
