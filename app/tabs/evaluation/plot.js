/* Plots of a report: lines with a band for the interval, or bars with whiskers where places have names. */

import { make } from "../../client/dom.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 420, HEIGHT = 260, LEFT = 56, RIGHT = 14, TOP = 10, BELOW = 46;
const KINDS = 6; // colours and dashes, see evaluation.css

/** A new element of a drawing. */
function shape(name, attributes, text = "") {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.textContent = text;
  return node;
}

/** About `count` round numbers from low to high. */
export function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough * 0.999) ?? 10 * power;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => +((first + i) * step).toPrecision(12));
}

/** The ends of all values, with a little room; bars begin at zero. */
export function extent(lines, fromZero) {
  const all = lines.flatMap(({ y, low, high }) => [...y, ...low, ...high]), bottom = Math.min(...all), top = Math.max(...all);
  const room = (top - bottom || Math.abs(top) || 1) * 0.05;
  return fromZero ? [Math.min(0, bottom - (bottom < 0 ? room : 0)), Math.max(0, top + (top > 0 ? room : 0))] : [bottom - room, top + room];
}

/** A figure with its key and its words; the values can be read as a table by whoever cannot see it. */
export function drawPlot({ title, x, y, lines, labels, note }) {
  const bars = labels.length > 0, [bottom, top] = extent(lines, bars);
  const places = bars ? labels.map((_, i) => i) : lines.flatMap((line) => line.x);
  const start = Math.min(...places) - (bars ? 0.5 : 0), end = Math.max(...places) + (bars ? 0.5 : 0);
  const across = (value) => LEFT + (WIDTH - LEFT - RIGHT) * (value - start) / (end - start || 1);
  const down = (value) => TOP + (HEIGHT - TOP - BELOW) * (top - value) / (top - bottom);
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
  const grid = ticks(bottom, top).flatMap((tick) => [
    shape("line", { class: "ev-grid", x1: LEFT, x2: WIDTH - RIGHT, y1: down(tick), y2: down(tick) }),
    shape("text", { class: "ev-tick", x: LEFT - 6, y: down(tick) + 4, "text-anchor": "end" }, String(tick)),
  ]);
  const named = bars ? labels.map((label, i) => [i, label]) : ticks(start, end).map((tick) => [tick, String(tick)]);
  const below = named.map(([at, label]) => shape("text", { class: "ev-tick", x: across(at), y: HEIGHT - BELOW + 17, "text-anchor": "middle" }, String(label)));
  const axis = shape("text", { class: "ev-axis", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, x);
  const marks = lines.map((line, i) => (bars ? barsOf(line, i, lines.length, across, down) : curve(line, i, across, down)));
  svg.append(...grid, ...below, axis, ...marks);
  const figure = make("figure", "ev-plot"), words = make("figcaption");
  words.append(make("b", "", title), note ? ` ${note}` : "");
  figure.append(make("p", "ev-y", y), svg, keyOf(lines), words);
  return figure;
}

function curve({ name, x, y, low, high }, i, across, down) {
  const group = shape("g", { class: `ev-kind-${i % KINDS}` }), point = (at, value) => `${across(at).toFixed(1)},${down(value).toFixed(1)}`;
  if (low.length) {
    const there = x.map((at, n) => point(at, high[n])), back = x.map((at, n) => point(at, low[n])).reverse();
    group.append(shape("polygon", { class: "ev-band", points: [...there, ...back].join(" ") }));
  }
  group.append(shape("polyline", { class: "ev-line", points: x.map((at, n) => point(at, y[n])).join(" ") }));
  group.append(...x.map((at, n) => {
    const dot = shape("circle", { class: "ev-dot", cx: across(at), cy: down(y[n]), r: 2.6 });
    dot.append(shape("title", {}, `${name}, ${at}: ${+y[n].toPrecision(4)}`));
    return dot;
  }));
  return group;
}

function barsOf({ name, x, y, low, high }, i, count, across, down) {
  const group = shape("g", { class: `ev-kind-${i % KINDS}` }), width = (across(1) - across(0)) * 0.8 / count;
  group.append(...x.flatMap((at, n) => {
    const left = across(at) + width * (i - count / 2), [upper, lower] = [down(Math.max(0, y[n])), down(Math.min(0, y[n]))];
    const bar = shape("rect", { class: "ev-bar", x: left, y: upper, width: width * 0.92, height: Math.max(0.5, lower - upper) });
    bar.append(shape("title", {}, `${name}: ${+y[n].toPrecision(4)}`));
    const middle = left + width * 0.46;
    return low.length ? [bar, shape("line", { class: "ev-whisker", x1: middle, x2: middle, y1: down(low[n]), y2: down(high[n]) })] : [bar];
  }));
  return group;
}

function keyOf(lines) {
  const list = make("ul", "ev-key");
  if (lines.length < 2) list.hidden = true;
  list.append(...lines.map(({ name }, i) => {
    const item = make("li"), mark = shape("svg", { viewBox: "0 0 22 10", width: 22, height: 10, "aria-hidden": "true", class: `ev-kind-${i % KINDS}` });
    mark.append(shape("line", { class: "ev-line", x1: 1, x2: 21, y1: 5, y2: 5 }));
    item.append(mark, make("span", "", name));
    return item;
  }));
  return list;
}
