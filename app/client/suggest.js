/* Which things a prompt may be going to name. */

const FEWEST_LETTERS = 2;

/**
 * The things that the end of a text begins to name, the likeliest first, and what the text is with each of them.
 *
 * As much of the end counts as begins some thing: of "a blue cat f" that is "cat f". The shortest comes first; a thing
 * that is there in full is not suggested.
 * @param {string} text
 * @param {string[]} things
 * @param {number} most
 * @returns {{thing: string, text: string}[]}
 */
export function suggest(text, things, most) {
  for (const { index } of text.matchAll(/[^\s,]+/g)) {
    const begun = text.slice(index).toLowerCase();
    if (begun.trim().length < FEWEST_LETTERS) break;
    const named = things.map((thing) => ({ thing, at: placeOf(begun, thing.toLowerCase()) })).filter(({ at }) => at >= 0);
    const found = named.filter(({ thing }) => thing.toLowerCase() !== begun.trim());
    if (named.length) {
      return found.sort((one, other) => one.at - other.at || one.thing.length - other.thing.length).slice(0, most).map(({ thing }) => ({ thing, text: text.slice(0, index) + thing }));
    }
  }
  return [];
}

/** Number of the word of a thing that the text begins, -1 for none. */
function placeOf(begun, thing) {
  if (thing.startsWith(begun)) return 0;
  const at = thing.indexOf(` ${begun}`);
  return at < 0 ? -1 : thing.slice(0, at).split(" ").length;
}
