import assert from "node:assert/strict";
import { test } from "node:test";

import { finiteRange, ofStep, parseTrace, PictureOfOneFile } from "../../app/stepper/trace.js";
import { packed } from "./packed.js";

test("arrays come back with their kinds and values, wherever they lie", async () => {
  const arrays = { odd: Uint8Array.from([1, 2, 3]), far: Float32Array.from([0.5, -2]), wide: Int32Array.from([-70000]), few: Uint16Array.from([65535]) };
  const trace = parseTrace(await packed(arrays));
  assert.deepEqual(trace.arrays, arrays);
});

test("pictures are blobs of their own bytes", async () => {
  const trace = parseTrace(await packed({}, { picture: Uint8Array.from([1, 2, 3]), 0: Uint8Array.from([9]) }));
  assert.deepEqual([...new Uint8Array(await trace.blobs.picture.arrayBuffer())], [1, 2, 3]);
  assert.deepEqual([...new Uint8Array(await trace.blobs[0].arrayBuffer())], [9]);
});

test("sources get the name of where they come from, and their tiles are found", async () => {
  const more = { sources: [[7, "a sun", "flat", 1], [8, "a cat", "3d", 0]], origins: ["emoji", "yours"], tiles: [1], prompt: "ü" };
  const trace = parseTrace(await packed({}, {}, more));
  assert.deepEqual(trace.sources[0], { image: 7, caption: "a sun", style: "flat", source: "yours" });
  assert.equal(trace.tileOf.get(1), 0);
  assert.equal(trace.prompt, "ü");
  assert.deepEqual(trace.bitmaps, [null, null]);
});

test("another file is refused by what it begins with", () => {
  assert.throws(() => parseTrace(new TextEncoder().encode("PK345678 and so on").buffer), /starts with "PK345678", expected "LOUPE001"/);
});

test("values of a step are a view of its part", () => {
  assert.deepEqual([...ofStep(Uint8Array.from([1, 2, 3, 4]), 1, 2)], [3, 4]);
});

test("a range is of finite values only", () => {
  assert.deepEqual(finiteRange([NaN, 2, -1, Infinity]), [-1, 2]);
  assert.equal(finiteRange([NaN, Infinity]), null);
});

test("a file that does not come is asked for a few times", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const answers = [() => { throw new TypeError("Failed to fetch"); }, () => ({ ok: false, status: 502 }), () => ({ ok: true, arrayBuffer: async () => { throw new TypeError("cut"); } }), () => ({ ok: true, arrayBuffer: async () => new ArrayBuffer(1) })];
  t.mock.method(globalThis, "fetch", async () => answers.shift()());
  globalThis.createImageBitmap = async () => "bitmap";
  t.after(() => { delete globalThis.createImageBitmap; });
  const loading = new PictureOfOneFile().load({ url: "atlas" });
  for (let i = 0; i < 40 && answers.length; i++) {
    await new Promise((resolve) => { setImmediate(resolve); });
    t.mock.timers.tick(3000);
  }
  assert.equal(await loading, "bitmap");
  assert.equal(answers.length, 0);
});

test("a picture is fetched once for all who ask, and anew after a failure", async (t) => {
  let asked = 0;
  t.mock.method(globalThis, "fetch", async () => { asked++; return asked === 1 ? { ok: false, status: 404 } : { ok: true, arrayBuffer: async () => new ArrayBuffer(1) }; });
  globalThis.createImageBitmap = async () => "bitmap";
  t.after(() => { delete globalThis.createImageBitmap; });
  const pictures = new PictureOfOneFile();
  await assert.rejects(pictures.load({ url: "atlas" }), /the file answered 404/);
  assert.deepEqual(await Promise.all([pictures.load({ url: "atlas" }), pictures.load({ url: "atlas" }), pictures.load(null)]), ["bitmap", "bitmap", "bitmap"]);
  assert.equal(asked, 2);
});
