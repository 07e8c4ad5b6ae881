/* The outline of some cells of a grid. */

/**
 * The sides of cells beyond which there is no other one of them, each from a corner [column, row] to another.
 * @param {number[]} places of the cells
 * @param {{width: number, height: number}} grid
 * @returns {[[number, number], [number, number]][]}
 */
export function bordersOf(places, { width, height }) {
  const inside = new Set(places), borders = /** @type {[[number, number], [number, number]][]} */ ([]);
  const has = (col, row) => col >= 0 && row >= 0 && col < width && row < height && inside.has(row * width + col);
  for (const place of places) {
    const col = place % width, row = Math.floor(place / width);
    if (!has(col, row - 1)) borders.push([[col, row], [col + 1, row]]);
    if (!has(col, row + 1)) borders.push([[col, row + 1], [col + 1, row + 1]]);
    if (!has(col - 1, row)) borders.push([[col, row], [col, row + 1]]);
    if (!has(col + 1, row)) borders.push([[col + 1, row], [col + 1, row + 1]]);
  }
  return borders;
}
