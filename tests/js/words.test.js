/* Numbers, overlays and races in words. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { percent, plural, short } from "../../app/client/numbers.js";
import { legendText, overlayOf, whyNoOverlay } from "../../app/stepper/overlays.js";
import { furthest, racedIn } from "../../app/stepper/race.js";
import { offsetText } from "../../app/stepper/sources.js";
import { contextAt, decidedAt, placeAt, spokenAt } from "../../app/stepper/step.js";
import { differencesOf } from "../../app/tabs/compare/differences.js";
import { small } from "./packed.js";

test("numbers have as many digits as say something", () => {
  assert.deepEqual([0.5, 0.0995, 0.0994, 0.0005, 0.0004, 0].map(percent), ["50", "10", "9.9", "0.1", "<0.1", "0"]);
  assert.deepEqual([123.4, 12.34, 1.234, 0.0123, 0, -0.5].map(short), ["123", "12.3", "1.23", "0.012", "0.00", "-0.50"]);
  assert.deepEqual([0, 1, 2].map((n) => plural(n, "run")), ["0 runs", "1 run", "2 runs"]);
});

test("an overlay has the range of what is known, from zero", () => {
  assert.deepEqual(overlayOf(small(), "kl").range, [0, 0.75]);
  assert.equal(overlayOf(small(), "none"), null);
  assert.equal(whyNoOverlay(small(), "entropy"), "");
  assert.match(whyNoOverlay(small(), "fit"), /no blenders/);
});

test("flips are counted among codes that were drawn, those in hindsight by themselves", () => {
  const trace = small();
  assert.match(legendText(trace, overlayOf(trace, "flips"), 3, -1), /^1 flip: marked cells, .*; 1 in hindsight/);
  assert.match(legendText(trace, overlayOf(trace, "kl"), 3, -1), /KL\(model ‖ blended\), in nats; here 0\.50 nats$/);
  assert.match(legendText(trace, overlayOf(trace, "kl"), 0, -1), /here none$/);
});

test("a step is said with what was found and what would have been", () => {
  const trace = small();
  assert.equal(placeAt(trace.grid, 4), "row 1, column 1");
  assert.deepEqual(contextAt(trace, 3), [-1, 0, 1, -1]);
  assert.equal(spokenAt(trace, 3), "Position 3, row 1, column 0. Code 5. 2 neighbours, the nearest at distance 1.00. Flip: without retrieval code 9.");
  assert.equal(spokenAt(trace, 0), "Position 0, row 0, column 0. Code 5. Nothing retrieved: the first row.");
  assert.deepEqual([decidedAt(trace, 5), decidedAt(small({ given: 6 }), 5), decidedAt(trace, 0)], ["chosen by hand", "given by the image", ""]);
});

test("a race is between what was drawn from and the same with nothing retrieved", () => {
  assert.deepEqual(racedIn(small()), ["model", "blended"]);
  assert.deepEqual(racedIn(small({ retrieves: false })), ["blended"]);
  assert.deepEqual(racedIn(small({ blenders: [0], mixes: false, arrays: { top_blank: [] } })), ["blank", "model"]);
});

test("the codes that get furthest are shown, winners always, the likeliest first", () => {
  const racer = (code, noise, ...chances) => ({ code, noise, chances });
  const racers = [racer(1, 0, 0.5), racer(2, 3, 0.1), racer(3, 0, 0.3), racer(4, 9, 0), racer(5, -9, 0.05)];
  assert.deepEqual(furthest(racers, [5], 3).map(({ code }) => code), [1, 2, 5]);
});

test("runs differ where their codes do, as far as both are drawn", () => {
  const long = small(), short = small({ steps: 4, arrays: { code: Uint16Array.from([5, 6, 8, 5]) } });
  const { total, distinct, changed, places } = differencesOf([long, short]);
  assert.equal(total, 6);
  assert.deepEqual([...distinct], [1, 1, 2, 1, 1, 1]);
  assert.deepEqual(changed.map((flags) => [...flags]), [[0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]]);
  assert.deepEqual(places, [2]);
});

test("offsets are said as directions", () => {
  assert.deepEqual([[0, 0], [1, 0], [-2, 3]].map(offsetText), ["same place", "1 down", "2 up, 3 right"]);
});
