/* Changes of surprise as numbers, words and colours; pure. */

const BETTER = "0 114 178", WORSE = "213 94 0";  // Okabe-Ito's blue and vermillion, told apart by all eyes

/** By how many nats a method finds each code more surprising than the model alone. */
export const changesOf = (alone, method) => method.map((value, p) => value - alone[p]);

/** Means of values over the rows of a grid. */
export function rowMeans(values, width) {
  const rows = Array.from({ length: values.length / width }, (_, row) => values.slice(row * width, (row + 1) * width));
  return rows.map((row) => row.reduce((sum, value) => sum + value, 0) / width);
}

/** The change that gets the full colour: nearly all changes are below it, and it is at least 0.1. */
export function extentOf(changes) {
  const sizes = changes.map(Math.abs).sort((a, b) => a - b);
  return Math.max(sizes[Math.floor(0.97 * (sizes.length - 1))] ?? 0, 0.1);
}

/** The colour of a change -1..1: blue for less surprise (over 0), vermillion for more, nothing for none. */
export function shade(t) {
  const strength = Math.min(Math.abs(t), 1);
  return `rgb(${t > 0 ? BETTER : WORSE} / ${(0.9 * strength ** 0.7).toFixed(3)})`;
}

/** A number with its sign. */
export const signed = (value, digits = 3) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
