/* The trace file, and the pictures in it. */

const MAGIC = "LOUPE001";
const WAITS_MS = [300, 900, 2700, 0]; // after each try; there is none after the last

class Refused extends Error {}

const NUMBER_KINDS = { u8: Uint8Array, i8: Int8Array, u16: Uint16Array, i16: Int16Array, i32: Int32Array, f32: Float32Array };

/**
 * Read a trace file: magic, length of the header, JSON header, then the bytes that the header points into.
 * @param {ArrayBuffer} buffer
 * @returns {object} the header, with `arrays` as typed arrays, `blobs` as encoded pictures and a place for bitmaps
 */
export function parseTrace(buffer) {
  const magic = new TextDecoder().decode(new Uint8Array(buffer, 0, 8));
  if (magic !== MAGIC) throw new Error(`the trace file starts with "${magic}", expected "${MAGIC}"`);
  const length = new DataView(buffer).getUint32(8, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 16, length)));
  const base = 16 + Math.ceil(length / 8) * 8;
  const arrays = {};
  for (const [name, { kind, count, offset }] of Object.entries(header.arrays)) {
    arrays[name] = new NUMBER_KINDS[kind](buffer, base + offset, count);
  }
  const blobs = {};
  for (const [name, [offset, size]] of Object.entries(header.blobs)) {
    blobs[name] = new Blob([new Uint8Array(buffer, base + offset, size)]);
  }
  const sources = header.sources.map(([image, caption, style, origin]) => ({ image, caption, style, source: header.origins[origin] }));
  const tileOf = new Map(header.tiles.map((place, tile) => [place, tile]));
  return { ...header, arrays, blobs, sources, tileOf, bitmaps: new Array(sources.length).fill(null), asked: new Set() };
}

/** The content of a file as an ArrayBuffer: fetched, a few times if need be, or at hand in a page that is a single file. */
async function bytesOf(file) {
  if (file.bytes) return file.bytes;
  for (const wait of WAITS_MS) {
    try {
      const answer = await fetch(file.url);
      if (answer.ok) return await answer.arrayBuffer();
      if (answer.status < 500 || !wait) throw new Refused(`the file answered ${answer.status}`);
    } catch (error) {
      if (error instanceof Refused || !wait) throw error;
    }
    await new Promise((resolve) => { setTimeout(resolve, wait); });
  }
}

/** Read a trace file, with the pictures that are shown at once: what was drawn, and the sheet of sources. */
export async function loadTrace(file) {
  const trace = parseTrace(await bytesOf(file));
  const { picture, sheet, patches } = trace.blobs;
  const [drawn, tiles, inPlace] = await Promise.all([picture, sheet, patches].map((blob) => blob && createImageBitmap(blob)));
  return Object.assign(trace, { drawn, sheet: tiles, patches: inPlace });
}

/** Free the pictures of a trace. */
export function closeTrace(trace) {
  trace.drawn.close();
  trace.sheet?.close();
  trace.patches?.close();
  for (const bitmap of trace.bitmaps) bitmap?.close();
}

/** Decode one source picture of a trace if that has not been done: its own, or its tile of the sheet. */
export async function decodeSource(trace, i) {
  if (trace.bitmaps[i] || trace.asked.has(i)) return;
  trace.asked.add(i);
  const side = trace.thumbnail, tile = trace.tileOf.get(i), columns = trace.atlas_columns;
  const made = i in trace.blobs ? createImageBitmap(trace.blobs[i])
    : createImageBitmap(trace.sheet, (tile % columns) * side, Math.floor(tile / columns) * side, side, side);
  trace.bitmaps[i] = await made.catch(() => null);
}

/** The picture in a file. */
const loadPicture = async (file) => createImageBitmap(new Blob([await bytesOf(file)]));

/** The picture in the file that was named last: fetched once, for all who ask; after a failure anew. */
export class PictureOfOneFile {
  source = null;
  picture = null;

  async load(file) {
    const source = file && (file.url ?? file);
    if (file && this.source !== source) Object.assign(this, { source, picture: loadPicture(file) });
    const { picture } = this;
    try {
      return await picture ?? null;
    } catch (error) {
      if (this.picture === picture) this.source = null;
      throw error;
    }
  }
}

/** The values of one step in an array that holds `width` values a step. */
export const ofStep = (array, step, width) => array.subarray(step * width, (step + 1) * width);

/** Smallest and largest finite value, or null when there is none. */
export function finiteRange(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  return low <= high ? [low, high] : null;
}

/** A picture from base64 text; no request is made. */
export function bitmapFromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes]));
}
