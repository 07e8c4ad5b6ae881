/* Drawing on canvases: grids, patches, overlays, outlines. Pure functions of what they are given. */

const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];

/** Colour number t (0..1) of the cividis scale, as CSS. */
export function cividis(t) {
  const place = Math.min(Math.max(t, 0), 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
  const part = (hex, at) => parseInt(hex.slice(at, at + 2), 16);
  const mix = [1, 3, 5].map((at) => Math.round(part(CIVIDIS[low], at) + (place - low) * (part(CIVIDIS[low + 1], at) - part(CIVIDIS[low], at))));
  return `rgb(${mix.join(" ")})`;
}

/** Give a canvas its size in CSS pixels at the screen's density, and its cleared context in CSS pixels. */
export function prepare(canvas, width, height) {
  const density = window.devicePixelRatio || 1;
  const pixels = [Math.round(width * density), Math.round(height * density)];
  if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) {
    [canvas.width, canvas.height] = pixels;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

const REST = 0.28; // opacity of what is still to come

/** Outline one cell with a line that shows on any picture. */
export function outline(context, x, y, width, height, colour, dash = []) {
  context.setLineDash([]);
  context.lineWidth = 3;
  context.strokeStyle = "rgb(255 255 255 / 0.9)";
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  context.setLineDash(dash);
  context.lineWidth = 1.5;
  context.strokeStyle = colour;
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  context.setLineDash([]);
}

/**
 * Box [x, y, width, height] of a position, on whole pixels.
 * @returns {[number, number, number, number]}
 */
export function boxOf(p, grid, cell) {
  const row = Math.floor(p / grid.width), col = p % grid.width;
  const [x, y] = [Math.round(col * cell), Math.round(row * cell)];
  return [x, y, Math.round((col + 1) * cell) - x, Math.round((row + 1) * cell) - y];
}

/** The first `shown` patches of a picture, in raster order; the picture may be a square [left, top, size] of a larger one. */
export function drawPatches(context, picture, grid, cell, shown, [left, top, size] = [0, 0, picture.width]) {
  const side = size / grid.width;
  const rows = Math.floor(shown / grid.width), rest = shown % grid.width;
  const [width, below] = [Math.round(grid.width * cell), Math.round(rows * cell)];
  if (rows) context.drawImage(picture, left, top, size, rows * side, 0, 0, width, below);
  if (rest) context.drawImage(picture, left, top + rows * side, rest * side, side, 0, below, Math.round(rest * cell), Math.round((rows + 1) * cell) - below);
}

/** The rest of a picture, faint: what is still to come. */
export function drawRest(context, picture, grid, cell, shown) {
  const [width, height] = [Math.round(grid.width * cell), Math.round(grid.height * cell)];
  context.globalAlpha = REST;
  context.drawImage(picture, 0, 0, picture.width, picture.height, 0, 0, width, height);
  context.globalAlpha = 1;
  for (let p = 0; p < shown; p += grid.width) {  // what is drawn over it starts from nothing
    const [x, y, , tall] = boxOf(p, grid, cell);
    context.clearRect(x, y, Math.round(Math.min(grid.width, shown - p) * cell), tall);
  }
}

/** Empty paper: a faint dot in the middle of every cell that has no patch yet. */
export function drawPaper(context, grid, cell, shown, colours) {
  context.fillStyle = colours.dot;
  for (let p = shown; p < grid.width * grid.height; p++) {
    const [x, y, width, height] = boxOf(p, grid, cell);
    context.fillRect(x + Math.floor(width / 2) - 1, y + Math.floor(height / 2) - 1, 2, 2);
  }
}

/** The lines of the grid. */
export function drawGrid(context, grid, cell, colours) {
  context.fillStyle = colours.grid;
  for (let col = 1; col < grid.width; col++) context.fillRect(Math.round(col * cell), 0, 1, grid.height * cell);
  for (let row = 1; row < grid.height; row++) context.fillRect(0, Math.round(row * cell), grid.width * cell, 1);
}

/** Colour the cells by value; positions that are still to come are fainter. In marks, 1 fills a cell, 2 is a ring, 3 both. */
export function drawOverlay(context, overlay, grid, cell, shown, colours) {
  const [low, high] = overlay.range;
  overlay.values.forEach((value, p) => {
    if (!Number.isFinite(value) || (overlay.marks && !value)) return;
    const [x, y, width, height] = boxOf(p, grid, cell);
    context.globalAlpha = p < shown ? 0.78 : 0.28;
    if (overlay.marks) return drawMark(context, value, x, y, width, height, colours);
    context.fillStyle = cividis((value - low) / (high - low || 1));
    context.fillRect(x, y, width, height);
  });
  context.globalAlpha = 1;
}

/** A mark in a cell: filled with a white middle for odd values, a ring for 2 and 3. */
function drawMark(context, value, x, y, width, height, colours) {
  if (value !== 2) {
    context.fillStyle = colours.flip;
    context.fillRect(x, y, width, height);
    context.fillStyle = "#fff";
    context.fillRect(x + width * 0.35, y + height * 0.35, width * 0.3, height * 0.3);
  }
  if (value > 1) ring(context, x, y, width, height, colours.unblended);
}

/** A hollow mark in a cell. */
function ring(context, x, y, width, height, colour) {
  context.lineWidth = 4;
  context.strokeStyle = "#fff";
  context.strokeRect(x + 3, y + 3, width - 6, height - 6);
  context.lineWidth = 2;
  context.strokeStyle = colour;
  context.strokeRect(x + 3, y + 3, width - 6, height - 6);
}

/**
 * Where the look of a code at a step is: in its place in the picture, or in the atlas, which has the mean of the code's
 * patches in real pictures.
 * @param {{trace: object, step: number, atlas: ?ImageBitmap}} view
 * @returns {{picture: ?ImageBitmap, columns: number, square: number, inPlace: boolean}}
 */
export function lookAt({ trace, step, atlas }, code) {
  const columns = trace?.atlas_columns ?? 32;
  if (trace && code === trace.arrays.code[step]) return { picture: trace.drawn, columns: trace.grid.width, square: step, inPlace: true };
  const first = trace ? step * trace.shown.codes : 0, place = trace?.patches ? trace.arrays.top_code.subarray(first, first + trace.shown.codes).indexOf(code) : -1;
  const number = place < 0 ? -1 : trace.arrays.in_place[first + place];
  if (number >= 0) return { picture: trace.patches, columns, square: number, inPlace: true };
  return { picture: atlas, columns, square: code, inPlace: false };
}

/** Draw how a code looks at a step; where that is only its mean look, with a dashed edge, and grey until that is there. */
export function drawCode(context, view, code, x, y, width, height) {
  const { picture, columns, square, inPlace } = lookAt(view, code);
  context.fillStyle = "rgb(128 128 128 / 0.35)";
  if (!picture) return context.fillRect(x, y, width, height);
  const side = picture.width / columns;
  context.drawImage(picture, (square % columns) * side, Math.floor(square / columns) * side, side, side, x, y, width, height);
  if (inPlace) return;
  context.setLineDash([2, 2]);
  context.lineWidth = 1;
  context.strokeStyle = "rgb(128 128 128)";
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  context.setLineDash([]);
}

/**
 * A box, a pixel smaller on every side.
 * @returns {[number, number, number, number]}
 */
const inset = ([x, y, width, height]) => [x + 1, y + 1, width - 2, height - 2];

/** Where a crop of `cells` cells around `at` starts, kept inside of 0..limit. */
const cropStart = (at, cells, limit) => Math.min(Math.max(at - Math.floor(cells / 2), 0), Math.max(limit - cells, 0));

/** One patch of a picture. */
export function drawPatch(context, picture, grid, p, x, y, size) {
  const side = picture.width / grid.width;
  context.drawImage(picture, (p % grid.width) * side, Math.floor(p / grid.width) * side, side, side, x, y, size, size);
}

/** The gap that is to be filled: a dashed box with a question mark. */
export function drawGap(context, x, y, size, colour) {
  context.setLineDash([3, 3]);
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.strokeRect(x + 1.75, y + 1.75, size - 3.5, size - 3.5);
  context.setLineDash([]);
  context.fillStyle = colour;
  context.font = `${Math.round(size * 0.4)}px sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText("?", x + size / 2, y + size / 2 + 1);
}

/** A cividis scale over the whole width of a canvas. */
export function drawScale(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    context.fillStyle = cividis(x / (canvas.width - 1));
    context.fillRect(x, 0, 1, canvas.height);
  }
}

/* ---- parts of a trace; view: trace, step, atlas (bitmap or null), colours, stripWidth, wanted (called with the number of a
   source picture that is not decoded yet) */

const CROP_CELLS = 5;
const CROP_SIZE = 104;

/** The surroundings of neighbour number `at` of a trace in its source image, the cell and its context outlined. */
export function drawCrop(canvas, { trace, atlas, colours, wanted }, at, size = CROP_SIZE) {
  const { grid, arrays } = trace, cell = size / CROP_CELLS;
  const [image, row, col] = [arrays.near_image[at], arrays.near_row[at], arrays.near_col[at]];
  const context = prepare(canvas, size, size);
  const top = cropStart(row, CROP_CELLS, grid.height), left = cropStart(col, CROP_CELLS, grid.width);
  /** @type {(r: number, c: number) => [number, number, number, number]} */
  const box = (r, c) => [(c - left) * cell, (r - top) * cell, cell, cell];
  const bitmap = trace.bitmaps[image];
  if (bitmap) {
    const side = bitmap.width / grid.width;
    context.drawImage(bitmap, left * side, top * side, CROP_CELLS * side, CROP_CELLS * side, 0, 0, size, size);
  } else {
    drawCode(context, { trace, step: -1, atlas }, arrays.near_code[at], ...box(row, col));
    wanted(image);
  }
  context.strokeStyle = colours.query;
  context.lineWidth = 1;
  for (const [r, c] of trace.context) context.strokeRect(...inset(box(row + r, col + c)));
  outline(context, ...box(row, col), colours.cursor);
}

/** The colours of the page that drawing uses, from the style of an element. */
export function coloursOf(element) {
  const style = getComputedStyle(element);
  const names = { dot: "dot", grid: "grid", flip: "flip", cursor: "cursor", query: "query", ink: "ink", rest: "rest", soft: "faint", taken: "blended", model: "model", retrieval: "retrieval", blended: "blended", unblended: "unblended", blank: "blank", paper: "paper" };
  return Object.fromEntries(Object.entries(names).map(([name, variable]) => [name, style.getPropertyValue(`--lp-${variable}`).trim()]));
}
