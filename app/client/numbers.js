/* Numbers as text. */

export const percent = (p) => (p >= 0.0995 ? (100 * p).toFixed(0) : p >= 0.0005 ? (100 * p).toFixed(1) : p > 0 ? "<0.1" : "0");
export const short = (x) => (Math.abs(x) >= 100 ? x.toFixed(0) : Math.abs(x) >= 10 ? x.toFixed(1) : Math.abs(x) >= 0.1 || x === 0 ? x.toFixed(2) : x.toFixed(3));
export const plural = (n, word, words = `${word}s`) => `${n} ${n === 1 ? word : words}`;
