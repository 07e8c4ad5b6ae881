/* The trace file, what it says of a step, and numbers as text. */

const MAGIC = "LOUPE001";
const NUMBER_KINDS = { u8: Uint8Array, i8: Int8Array, u16: Uint16Array, i16: Int16Array, i32: Int32Array, f32: Float32Array };

/**
 * Read a trace file: magic, length of the header, JSON header, then the bytes that the header points into.
 * @param {ArrayBuffer} buffer
 * @returns {object} the header, with `arrays` as typed arrays, `blobs` as encoded pictures and a place for bitmaps
 */
function parseTrace(buffer) {
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

/** The content of a file as an ArrayBuffer: fetched, or at hand in a page that is a single file. */
async function bytesOf(file) {
  if (file.bytes) return file.bytes;
  const answer = await fetch(file.url);
  if (!answer.ok) throw new Error(`the file answered ${answer.status}`);
  return answer.arrayBuffer();
}

/** Read a trace file, with the pictures that are shown at once: what was drawn, and the sheet of sources. */
async function loadTrace(file) {
  const trace = parseTrace(await bytesOf(file));
  const { picture, sheet } = trace.blobs;
  const [drawn, tiles] = await Promise.all([createImageBitmap(picture), sheet && createImageBitmap(sheet)]);
  return Object.assign(trace, { drawn, sheet: tiles });
}

/** Free the pictures of a trace. */
function closeTrace(trace) {
  trace.drawn.close();
  trace.sheet?.close();
  for (const bitmap of trace.bitmaps) bitmap?.close();
}

/** Decode one source picture of a trace if that has not been done: its own, or its tile of the sheet. */
async function decodeSource(trace, i) {
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
class PictureOfOneFile {
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
const ofStep = (array, step, width) => array.subarray(step * width, (step + 1) * width);

/** Smallest and largest finite value, or null when there is none. */
function finiteRange(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  return low <= high ? [low, high] : null;
}

/** A picture from base64 text; no request is made. */
function bitmapFromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes]));
}

/* ---- what a trace says of a step */

/** Whether the step asked the database. */
const retrievedAt = (trace, step) => trace.arrays.reason[step] < 0;

/** Why the step did not. */
const reasonAt = (trace, step) => trace.reasons[trace.arrays.reason[step]] || "nothing was retrieved";

/** Whether retrieval changed the code: with the same luck another one, had nothing been retrieved. False as well where that was not recorded. */
const flipAt = (trace, step) => trace.arrays.pick[step] !== trace.arrays.without[step];

/** Whether the blenders by themselves, with nothing retrieved, changed the code; false as well where that was not recorded. */
const shiftAt = (trace, step) => trace.arrays.drawn[step] === 1 && trace.arrays.without[step] !== trace.arrays.alone[step];

/** Who decided the code of a step, in words; empty where it was drawn. */
function decidedAt(trace, step) {
  if (trace.arrays.drawn[step]) return "";
  return step < trace.given ? "given by the image" : "chosen by hand";
}

/** Whether the blenders took part in a step. */
const blendersAt = (trace, step) => trace.blenders.length > 0 && trace.arrays.faid_on[step] === 1;

/** Whether a code differs from the one of the run that this one branched from. */
const differsAt = (trace, step) => "parent" in trace.arrays && trace.arrays.parent[step] !== trace.arrays.code[step];

/** Why an overlay says nothing about a trace; empty when it does. */
function whyNoOverlay(trace, name) {
  if (["none", "entropy", "surprise"].includes(name)) return "";
  if (name === "branch") return "parent" in trace.arrays ? "" : "This run is not a branch of another";
  if (!trace.retrieves) return "This run retrieved nothing";
  if (name === "source" && !trace.provenance.listed.length) return "Nothing that was retrieved took part in this run";
  if (["fit", "share"].includes(name) && !trace.blenders.length) return "This run had no blenders: choose a method with FAiD";
  if (["flips", "kl"].includes(name) && !trace.flips_known) return `What retrieval changed was ${NOT_RECORDED}`;
  return "";
}

/** What a code is compared with, in words: the same step, had nothing been retrieved there. */
const withoutAt = (trace, step) => (blendersAt(trace, step) ? "with nothing retrieved" : "without retrieval");

/** What a code is compared with, as the one who takes it. */
const otherAt = (trace, step) => (blendersAt(trace, step) ? "the model with nothing retrieved" : "the model alone");

/** Which distributions a trace has, in the order in which they follow from each other, the retrieved one apart. */
function distributionsOf(trace) {
  const blended = trace.mixes || !trace.blenders.length;
  return ["unblended", "blank", "model", "retrieval", "blended"].filter((kind) => (
    ["unblended", "blank"].includes(kind) ? `top_${kind}` in trace.arrays : kind !== "blended" || blended));
}

/** The distributions that a race is between: had nothing been retrieved (if that is known), and what was drawn from. */
function racedIn(trace) {
  const drawn = trace.mixes || !trace.blenders.length ? "blended" : "model";
  if (!trace.retrieves) return [drawn];
  return trace.blenders.length ? ("top_blank" in trace.arrays ? ["blank", drawn] : [drawn]) : ["model", drawn];
}

/** The probability of a code in a distribution of a step; it must be one of the listed codes. */
function chanceAt(trace, step, kind, code) {
  const place = ofStep(trace.arrays.top_code, step, trace.shown.codes).indexOf(code);
  return ofStep(trace.arrays[`top_${kind}`], step, trace.shown.codes)[place];
}

/** What happened in the draw of a step, in a sentence or two. */
function raceTextAt(trace, step) {
  const { arrays, rule } = trace, { pick, without, drawn } = arrays;
  if (rule !== "gumbel") {
    return `This run comes from an older version, which drew by one number in code order (u = ${arrays.u[step].toFixed(4)}). `
      + "There, a flip can also go to a code that retrieval did not raise, so do not read too much into one.";
  }
  const kinds = racedIn(trace), share = (kind, code) => `${percent(chanceAt(trace, step, kind, code))} %`;
  const [before, after] = [kinds[0], kinds.at(-1)], code = pick[step], other = without[step];
  const luck = drawn[step] ? "" : "Not drawn, so its noise is sampled in hindsight: as it may have been, had the model taken it. ";
  const ahead = arrays.margin[2 * step + 1], second = arrays.seconds[2 * step + 1];
  const close = Number.isFinite(ahead)
    ? ` It is ahead of code ${second} by ${short(ahead)} nats: had that one been ${short(Math.exp(ahead))} times as likely, it would have been drawn.`
    : " No other code had a probability.";
  if (kinds.length < 2) return `${luck}Code ${code} had ${share(after, code)}.${close}`;
  const moved = chanceAt(trace, step, after, code) >= chanceAt(trace, step, before, code) ? "raised" : "lowered";
  const still = share(before, code) === share(after, code);
  const change = still ? `Retrieval left code ${code} at ${share(after, code)}` : `Retrieval ${moved} code ${code} from ${share(before, code)} to ${share(after, code)}`;
  if (code !== other) {
    const less = moved === "lowered" ? `, but code ${other} further, from ${share(before, other)} to ${share(after, other)}` : "";
    return `${luck}${change}${less}; with the same luck ${otherAt(trace, step)} takes ${other}.${close}`;
  }
  const same = retrievedAt(trace, step) ? `${change}; with the same luck ${otherAt(trace, step)} takes it, too.` : `Nothing was retrieved here. Code ${code} had ${share(after, code)}.`;
  return `${luck}${same}${close}`;
}

/* ---- places to jump to */

/**
 * The positions that a jump goes through, ascending.
 * @param {string} kind flip, kl (at or over a threshold in nats), copied (the first position of each copied region),
 *   code (positions with that code) or branch (codes that differ from the parent's)
 * @param {number} value the threshold or the code
 */
function placesOf(trace, kind, value) {
  const { kl, code, copied } = trace.arrays, met = new Set();
  const wanted = {
    flip: (p) => flipAt(trace, p),
    kl: (p) => kl[p] >= value,
    code: (p) => code[p] === value,
    branch: (p) => differsAt(trace, p),
    copied: (p) => copied?.[p] > 0 && !met.has(copied[p]) && met.add(copied[p]),
  }[kind];
  return Array.from({ length: trace.steps }, (_, p) => p).filter(wanted);
}

/** Why a trace has no places of a kind; empty when it may have some. */
function whyNoJump(trace, kind, value) {
  if (kind === "code") return Number.isNaN(value) ? "Type a code to look for" : "";
  if (kind === "copied") return "copied" in trace.arrays ? "" : "Which regions were copied is not known of this run";
  return whyNoOverlay(trace, { flip: "flips", kl: "kl", branch: "branch" }[kind]);
}

/** The first of some ascending places behind `from`, or before it; around the ends. Undefined when there is none. */
function nextPlace(places, from, backwards) {
  return backwards ? places.findLast((p) => p < from) ?? places.at(-1) : places.find((p) => p > from) ?? places[0];
}

/* ---- what a trace says of its blenders; those of a step are numbered from 0, as the features of its neighbours are */

/** A compatibility or a cosine of a feature in a blender, by the name of its array. */
const featureAt = (trace, name, step, blender, feature) =>
  trace.arrays[name][(step * trace.blenders.length + blender) * trace.shown.features + feature] / trace.fraction;

/** How many of the shown features came from neighbours. */
const presentAt = (trace, step) => Math.min(trace.arrays.faid_present[step], trace.shown.features);

/** How much a blender adds at a step, relative to the hidden state. */
const shareAt = (trace, step, blender) => trace.arrays.faid_share[step * trace.blenders.length + blender];

/** The largest share that a blender adds at each step, in percent. */
function largestShares(trace) {
  return Float32Array.from({ length: trace.steps }, (_, step) => 100 * Math.max(...trace.blenders.map((_, blender) => shareAt(trace, step, blender))));
}

/** The feature that fits best in the last blender, as [feature, compatibility]; null without neighbours. */
function bestFeatureAt(trace, step) {
  const last = trace.blenders.length - 1;
  const scores = Array.from({ length: presentAt(trace, step) }, (_, i) => featureAt(trace, "faid_compatibility", step, last, i));
  const best = scores.indexOf(Math.max(...scores));
  return best < 0 ? null : [best, scores[best]];
}

/** Positions of the context cells of a step, in the order of the query; -1 where the context leaves the grid. */
function contextAt(trace, step) {
  const { width } = trace.grid;
  const [row, col] = [Math.floor(step / width), step % width];
  return trace.context.map(([down, right]) => {
    const [r, c] = [row + down, col + right];
    return r >= 0 && c >= 0 && c < width ? r * width + c : -1;
  });
}

/** Where a step is, in words. */
const placeAt = (grid, step) => `row ${Math.floor(step / grid.width)}, column ${step % grid.width}`;

/** A step in a sentence or two, for screen readers. */
function spokenAt(trace, step) {
  const { code, without, alone, found, nearest } = trace.arrays;
  const about = retrievedAt(trace, step)
    ? `${plural(found[step], "neighbour")}, the nearest at distance ${short(nearest[step])}.`
    : `Nothing retrieved: ${reasonAt(trace, step)}.`;
  const shift = shiftAt(trace, step) ? ` Shift: without the blenders code ${alone[step]}.` : "";
  const flip = (flipAt(trace, step) && trace.arrays.drawn[step] ? ` Flip: ${withoutAt(trace, step)} code ${without[step]}.` : "") + shift;
  const decided = decidedAt(trace, step);
  return `Position ${step}, ${placeAt(trace.grid, step)}. Code ${code[step]}${decided && `, ${decided}`}. ${about}${spokenBlendersAt(trace, step)}${flip}`;
}

/** The blenders of a step in a sentence, nothing for a run without them. */
function spokenBlendersAt(trace, step) {
  if (!blendersAt(trace, step)) return "";
  const best = bestFeatureAt(trace, step), last = trace.blenders.at(-1);
  return best ? ` Best compatibility ${best[1].toFixed(2)}, neighbour ${best[0] + 1}, in layer ${last}.`
    : ` The blenders ran with a blank feature, compatibility ${featureAt(trace, "faid_compatibility", step, trace.blenders.length - 1, 0).toFixed(2)} in layer ${last}.`;
}

/* ---- numbers as text */

const NOT_RECORDED = "not recorded; turn on “Also record each position without what was retrieved” and generate again";

const percent = (p) => (p >= 0.0995 ? (100 * p).toFixed(0) : p >= 0.0005 ? (100 * p).toFixed(1) : p > 0 ? "<0.1" : "0");
const short = (x) => (Math.abs(x) >= 100 ? x.toFixed(0) : Math.abs(x) >= 10 ? x.toFixed(1) : Math.abs(x) >= 0.1 || x === 0 ? x.toFixed(2) : x.toFixed(3));
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
