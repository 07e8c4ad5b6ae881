/* What a patch looks like, in words: for those who do not see it, and where a number alone would say nothing. */

/**
 * Names with colours that most people call so, sRGB.
 * @type {[string, number, number, number][]}
 */
const COLOURS = [
  ["black", 20, 20, 20], ["dark grey", 80, 80, 84], ["grey", 135, 135, 140], ["light grey", 200, 200, 204], ["white", 253, 253, 253],
  ["red", 225, 40, 45], ["dark red", 135, 20, 35], ["orange", 245, 140, 40], ["brown", 125, 75, 40], ["beige", 235, 205, 165],
  ["yellow", 252, 215, 60], ["olive", 125, 125, 40], ["green", 70, 165, 70], ["dark green", 25, 85, 50], ["light green", 165, 215, 125],
  ["teal", 30, 145, 145], ["light blue", 135, 195, 240], ["blue", 45, 115, 215], ["dark blue", 30, 45, 110], ["purple", 125, 75, 170],
  ["pink", 245, 150, 185], ["magenta", 215, 45, 140],
];
const EDGE = 22; // difference of colour (CIE76) from which the halves of a patch are named apart
const [WHITE_X, WHITE_Z] = [0.95047, 1.08883];

/** CIE L*a*b* (D65) of an sRGB colour, 0..255. */
export function labOf([red, green, blue]) {
  const [r, g, b] = [red, green, blue].map((value) => (value <= 10.31 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  const xyz = [(0.4124 * r + 0.3576 * g + 0.1805 * b) / WHITE_X, 0.2126 * r + 0.7152 * g + 0.0722 * b, (0.0193 * r + 0.1192 * g + 0.9505 * b) / WHITE_Z];
  const [x, y, z] = xyz.map((value) => (value > 216 / 24389 ? Math.cbrt(value) : (24389 / 27 * value + 16) / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

const apart = (one, other) => Math.hypot(...labOf(one).map((value, i) => value - labOf(other)[i]));

/** The name of a colour. */
export const nameOf = (rgb) => COLOURS.reduce((best, [name, ...colour]) => {
  const distance = apart(rgb, colour);
  return distance < best.distance ? { name, distance } : best;
}, { name: "", distance: Infinity }).name;

/** Mean colour of the pixels of a square patch for which `wanted(row, column)` holds. */
function meanOf(pixels, side, wanted) {
  const sum = [0, 0, 0];
  let count = 0;
  for (let i = 0; i < side * side; i++) {
    if (!wanted(Math.floor(i / side), i % side)) continue;
    for (let channel = 0; channel < 3; channel++) sum[channel] += pixels[4 * i + channel];
    count++;
  }
  return sum.map((value) => value / count);
}

/**
 * A patch in words: one colour, or two where its halves differ.
 * @param {ArrayLike<number>} pixels RGBA, row by row
 * @param {number} side of the square, in pixels
 */
export function wordsOf(pixels, side) {
  const half = side / 2, mean = (wanted) => meanOf(pixels, side, wanted);
  const splits = [
    { parts: [mean((row) => row < half), mean((row) => row >= half)], said: ["above", "below"] },
    { parts: [mean((_, col) => col < half), mean((_, col) => col >= half)], said: ["left", "right"] },
  ].map((split) => ({ ...split, distance: apart(split.parts[0], split.parts[1]) }));
  const [split] = splits.sort((a, b) => b.distance - a.distance);
  const [one, other] = split.parts.map(nameOf);
  if (split.distance >= EDGE && one !== other) return `${one} ${split.said[0]}, ${other} ${split.said[1]}`;
  return nameOf(mean(() => true));
}

const SIDE = 8;
const known = new WeakMap();

/**
 * One square of a picture in words; remembered as long as the picture is.
 * @param {ImageBitmap} picture
 * @param {number} columns squares in a row of it
 * @param {number} square its number, row by row
 */
export function wordsIn(picture, columns, square) {
  if (!known.has(picture)) known.set(picture, new Map());
  const words = known.get(picture);
  if (!words.has(square)) {
    const canvas = new OffscreenCanvas(SIDE, SIDE), context = canvas.getContext("2d", { willReadFrequently: true }), side = picture.width / columns;
    context.drawImage(picture, (square % columns) * side, Math.floor(square / columns) * side, side, side, 0, 0, SIDE, SIDE);
    words.set(square, wordsOf(context.getImageData(0, 0, SIDE, SIDE).data, SIDE));
  }
  return words.get(square);
}
