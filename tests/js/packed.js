/* Traces for tests: as the server packs them, and as the stepper holds them. */

const KINDS = new Map([[Uint8Array, "u8"], [Int8Array, "i8"], [Uint16Array, "u16"], [Int16Array, "i16"], [Int32Array, "i32"], [Float32Array, "f32"]]);

/** Add bytes to a list at a multiple of eight; returns where they begin. */
function place(chunks, bytes) {
  const at = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  chunks.push(bytes, new Uint8Array((8 - (bytes.length % 8)) % 8));
  return at;
}

/** A trace file of arrays and blobs, with anything else that its header should hold. */
export function packed(arrays, blobs = {}, more = {}) {
  const chunks = [], header = { arrays: {}, blobs: {}, sources: [], origins: [], tiles: [], ...more };
  for (const [name, array] of Object.entries(arrays)) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    header.arrays[name] = { kind: KINDS.get(array.constructor), count: array.length, offset: place(chunks, bytes) };
  }
  for (const [name, bytes] of Object.entries(blobs)) header.blobs[name] = [place(chunks, bytes), bytes.length];
  const text = new TextEncoder().encode(JSON.stringify(header)), start = [];
  const lead = new Uint8Array(16);
  lead.set(new TextEncoder().encode("LOUPE001"));
  new DataView(lead.buffer).setUint32(8, text.length, true);
  place(start, lead);
  place(start, text);
  return new Blob([...start, ...chunks]).arrayBuffer();
}

/** A run of six positions in two rows, of which the last four looked something up. */
export function small(changed = {}) {
  const { arrays, ...more } = changed;
  return {
    steps: 6, given: 0, retrieves: true, mixes: true, flips_known: true, blenders: [], rule: "gumbel", fraction: 255,
    grid: { height: 2, width: 3 }, context: [[-1, -1], [-1, 0], [-1, 1], [0, -1]], reasons: ["the first row"],
    shown: { codes: 2, features: 0, neighbours: 2 }, provenance: { listed: [], places: [], mixes: true, copying: {} }, sources: [],
    arrays: {
      code: Uint16Array.from([5, 6, 7, 5, 6, 5]), pick: Uint16Array.from([5, 6, 7, 5, 6, 5]),
      without: Uint16Array.from([5, 6, 7, 9, 6, 8]), alone: Uint16Array.from([5, 6, 7, 9, 6, 8]),
      drawn: Uint8Array.from([1, 1, 1, 1, 1, 0]), reason: Int8Array.from([0, 0, -1, -1, -1, -1]),
      kl: Float32Array.from([NaN, NaN, 0, 0.5, 0.1, 0.75]), copied: Uint8Array.from([0, 0, 1, 1, 2, 1]),
      found: Uint16Array.from([0, 0, 2, 2, 1, 2]), nearest: Float32Array.from([NaN, NaN, 0.25, 1, 2, 0]),
      ...arrays,
    },
    ...more,
  };
}
