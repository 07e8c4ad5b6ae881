/* The lines that join branches with the runs that they came from. */

const LANE = 4, LANES = 3, LEAVES = 0.7, ARRIVES = 0.3; // where a line stands above the pictures, as shares of their width
const SPACE = "http://www.w3.org/2000/svg";

/** How high a line runs whose branch is at a level: deeper ones lie lower, so that they do not cross. */
const laneOf = (level) => 1.5 + LANE * Math.min(level - 2, LANES - 1);

/**
 * The line from a run up, along, and down to a branch of it.
 * @param {{left: number, top: number, width: number}} from picture of the run that it came from
 * @param {{left: number, top: number, width: number}} to picture of the branch
 * @param {number} level of the branch, 2 or more
 */
export function linePath(from, to, level) {
  const y = laneOf(level), start = from.left + LEAVES * from.width, end = to.left + ARRIVES * to.width;
  return `M${start} ${from.top}V${y}H${end}V${to.top}`;
}

/** Draw them anew over a list whose rows have their places; the line of the run that is shown stands out. */
export function drawLines(svg, list, rows, runs, shown) {
  const boxes = new Map(rows.map(({ key, picture }) => {
    const { offsetLeft: left, offsetTop: top, offsetWidth: width } = picture;
    return [key, { left, top, width }];
  }));
  const branches = rows.map(({ key }) => runs.get(key)).filter((run) => boxes.has(run?.parent));
  list.parentElement.classList.toggle("has-branches", branches.length > 0);
  svg.setAttribute("width", list.scrollWidth);
  svg.replaceChildren(...branches.map(({ id, parent, level }) => {
    const path = document.createElementNS(SPACE, "path");
    path.setAttribute("d", linePath(boxes.get(parent), boxes.get(id), level));
    if (id === shown) path.setAttribute("class", "is-shown");
    return path;
  }));
}
