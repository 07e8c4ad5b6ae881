/* The chart beside the picture: for every row of patches, nats a code of each method. Rows of the chart are those of the picture. */

import { make } from "../../client/dom.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 420, LEFT = 8, RIGHT = 16, BELOW = 40;

/** Path of the mark of a method around 0, by its place: they differ without colour, too. The model's is as high as its row. */
const MARKS = ["M-1.5,-6.5h3v13h-3z", "M-2.5,-2.5h5v5h-5z", "M0,-3.4L3.4,2.6H-3.4z", "M0,-3.6L3.6,0L0,3.6L-3.6,0z"];
/** How far below the middle of the row each stands, so that none hides another. */
const LOWER = [0, -4.5, 0, 4.5];
const KINDS = ["model", "blended", "retrieval", "query"];

/** A new element of a drawing. */
function shape(name, attributes, text = "") {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.textContent = text;
  return node;
}

/**
 * Draw the rows.
 * @param {SVGElement} svg
 * @param {Array<{name: string, means: number[]}>} methods
 * @param {number} height that of the picture beside it
 */
export function drawRows(svg, methods, height) {
  const rows = methods[0].means.length, top = Math.max(...methods.flatMap(({ means }) => means), 0.1);
  const across = (value) => LEFT + (WIDTH - LEFT - RIGHT) * value / top, down = (row) => (row + 0.5) * height / rows;
  const step = [0.1, 0.25, 0.5, 1, 2, 5, 10].find((size) => top / size <= 6) ?? top;
  const ticks = Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, i) => i * step);
  const grid = ticks.flatMap((tick) => [
    shape("line", { class: "wm-grid", x1: across(tick), x2: across(tick), y1: 0, y2: height }),
    shape("text", { class: "wm-tick", x: across(tick), y: height + 15, "text-anchor": "middle" }, String(+tick.toFixed(2)))]);
  const spans = methods[0].means.map((_, row) => {
    const values = methods.map(({ means }) => means[row]);
    return shape("line", { class: "wm-span", x1: across(Math.min(...values)), x2: across(Math.max(...values)), y1: down(row), y2: down(row) });
  });
  const marks = methods.flatMap(({ name, means }, i) => means.map((value, row) => {
    const mark = shape("path", { class: `wm-mark is-${KINDS[i]}`, d: MARKS[i], transform: `translate(${across(value)},${down(row) + LOWER[i]})` });
    mark.append(shape("title", {}, `row ${row}, ${name}: ${value.toFixed(3)} nats a code`));
    return mark;
  }));
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height + BELOW}`);
  svg.replaceChildren(...grid, ...spans, ...marks, shape("text", { class: "wm-tick", x: LEFT, y: height + 35 }, "nats a code, for each row of the picture"));
}

/** The names of the methods with their marks. */
export function drawKey(list, names) {
  list.replaceChildren(...names.map((name, i) => {
    const item = make("li"), svg = shape("svg", { viewBox: "-6 -6 12 12", width: 14, height: 14, "aria-hidden": "true" });
    svg.append(shape("path", { class: `wm-mark is-${KINDS[i]}`, d: MARKS[i] }));
    item.append(svg, make("span", "", name));
    return item;
  }));
}
