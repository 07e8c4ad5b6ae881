/* The blenders of one position: what they made of each neighbour's feature, and how much each of them adds. */

import { make, makePatch, setLength, setText } from "../client/dom.js";
import { percent, plural } from "../client/numbers.js";
import { cividis, drawCode, drawScale, outline, prepare } from "./drawing.js";
import { blendersAt, featureAt, presentAt, shareAt } from "./step.js";

const PATCH_SIZE = 20, PATH_SIZE = [28, 30];
const COSINES = [
  ["start_cosine", "Cosine to its start", "of the feature that leaves a blender to what entered the first"],
  ["code_cosine", "Cosine to the drawn code", "of the feature that leaves a blender to the one of that code"],
];

/** Luminance of a colour "rgb(r g b)", 0..1. */
function luminance(colour) {
  const [red, green, blue] = colour.match(/\d+/g).map((level) => {
    const part = level / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Cividis in hundredths, each with black or white for what is written on it, whichever reads better. */
const HEAT = Array.from({ length: 101 }, (_, i) => {
  const paper = cividis(i / 100);
  return { paper, ink: luminance(paper) > 0.179 ? "#000" : "#fff" };
});

/** A heading cell. */
function makeHeading(scope, text, className = "") {
  const cell = make("th", className, text);
  cell.scope = scope;
  return cell;
}

/** A cell of a number, found by its kind, the layer of its blender and a place (rank or hop). */
function makeNumber(kind, layer, place) {
  const cell = make("td");
  Object.assign(cell.dataset, { kind, blender: layer, ...place });
  return cell;
}

/** A number in a cell, as text and in full as data; without a value (null) there is text only. Whether it changed. */
function setNumber(cell, value, text) {
  if (cell.shows === value && cell.says === text) return false;
  Object.assign(cell, { shows: value, says: text });
  if (value === null) delete cell.dataset.value;
  else cell.dataset.value = String(value);
  setText(cell.lastChild?.nodeType === 1 ? cell.lastChild : cell, text);
  return true;
}

/**
 * Shows what the blenders did; makes its tables once for each trace and then sets numbers only.
 *
 * What is drawn for all features is one canvas across their columns: each canvas costs the browser a layer per frame.
 */
export class Blenders {
  /** @param {Object<string, HTMLElement>} parts the template's elements by their data-part */
  constructor(parts) {
    this.parts = parts;
    this.table = parts["features-head"].closest("table");
  }

  /** Make the tables that a trace needs; a trace without blenders hides the section. */
  build(trace) {
    this.parts.blenders.hidden = !trace.blenders.length;
    for (const body of [...this.table.tBodies]) body.remove();
    if (!trace.blenders.length) return;
    this.table.style.setProperty("--lp-columns", trace.shown.features);
    this.buildHead(trace);
    this.scores = this.buildNumbers(trace, "compatibility", "Compatibility", "how well the feature fits, as the blender scores it");
    this.cosines = COSINES.map(([kind, title, meaning]) => this.buildNumbers(trace, kind, title, meaning));
    this.buildPaths();
    this.buildAdded(trace);
    this.mostAdded = Math.max(1e-6, trace.arrays.faid_share.reduce((most, share) => Math.max(most, share), 0));
  }

  /** One column for each feature: the rank of its neighbour, and below it the patch of its code. */
  buildHead(trace) {
    this.heads = Array.from({ length: trace.shown.features }, () => makeHeading("col", ""));
    const ranks = make("tr"), { row, canvas } = this.buildAcross(make("th"));
    ranks.append(makeHeading("col", "neighbour", "lp-corner"), ...this.heads);
    this.parts["features-head"].replaceChildren(ranks, row);
    this.patches = canvas;
  }

  /** A row with one canvas across the columns of all features. */
  buildAcross(heading) {
    const row = make("tr"), cell = make("td"), canvas = makePatch();
    row.setAttribute("aria-hidden", "true");
    cell.colSpan = this.heads.length;
    cell.append(canvas);
    row.append(heading, cell);
    return { row, canvas };
  }

  /** A body with a title and one row for each blender; returns its cells [blender][feature]. */
  buildNumbers(trace, kind, title, meaning) {
    const body = make("tbody", `lp-of-${kind.replace("_", "-")}`), heading = makeHeading("rowgroup", title), row = make("tr");
    heading.colSpan = trace.shown.features + 1;
    heading.append(make("small", "", meaning));
    heading.prepend(kind === "compatibility" ? makeScale() : make("i", `lp-line lp-line-${kind}`));
    row.append(heading);
    body.append(row);
    const cells = trace.blenders.map((layer) => {
      const line = make("tr");
      const numbers = this.heads.map((_, i) => makeNumber(kind.replace("_", "-"), layer, { rank: i + 1 }));
      line.append(makeHeading("row", `layer ${layer}`), ...numbers);
      body.append(line);
      return numbers;
    });
    this.table.append(body);
    return cells;
  }

  /** A body with one small plot for each feature: both cosines from blender to blender. */
  buildPaths() {
    const body = make("tbody", "lp-of-paths"), heading = makeHeading("row", "both");
    const { row, canvas } = this.buildAcross(heading);
    this.range = make("small");
    heading.append(this.range);
    body.append(row);
    this.table.append(body);
    this.paths = canvas;
  }

  /** One row for each blender: the share that it adds, and its hop weights. */
  buildAdded(trace) {
    const titles = ["share added", ...trace.hops.map((hop) => `hop ${hop} weight`)];
    this.parts["added-head"].replaceChildren(makeHeading("col", "blender"), ...titles.map((title) => makeHeading("col", title)));
    this.added = trace.blenders.map((layer) => {
      const row = make("tr");
      const cells = [makeNumber("share", layer, {}), ...trace.hops.map((hop) => makeNumber("hop", layer, { hop }))];
      for (const cell of cells) {
        const track = make("div", "lp-track"), fill = make("i");
        track.append(fill);
        cell.append(track, make("b"));
        cell.fill = fill;
      }
      row.append(makeHeading("row", `layer ${layer}`), ...cells);
      return { row, cells };
    });
    this.parts.added.replaceChildren(...this.added.map(({ row }) => row));
  }

  /** Show one step; `view` as for Reading. */
  show(view) {
    const { trace, step } = view;
    if (!trace.blenders.length) return;
    setText(this.parts["blenders-text"], blendersText(trace, step));
    this.showHeads(view);
    this.showScores(trace, step);
    this.showCosines(view);
    this.showAdded(trace, step);
  }

  /** Read the width of a column; not while drawing, where it would force a layout. */
  measure() {
    this.column = this.heads?.length ? this.heads[0].getBoundingClientRect().width : 0;
  }

  /** The neighbours of the columns; the first column without one stands for all blank features. */
  showHeads({ trace, step, atlas, colours }) {
    const present = presentAt(trace, step), inUse = blendersAt(trace, step);
    const context = prepare(this.patches, this.heads.length * this.column, PATCH_SIZE + 4);
    this.heads.forEach((head, i) => {
      setText(head, i < present ? String(i + 1) : i === present && inUse ? "blank" : "–");
      if (i >= present) return;
      const code = trace.arrays.near_code[step * trace.shown.neighbours + i];
      const box = [Math.round((i + 0.5) * this.column - PATCH_SIZE / 2), 2, PATCH_SIZE, PATCH_SIZE];
      drawCode(context, { trace, step: -1, atlas }, code, ...box);
      if (code === trace.arrays.code[step]) outline(context, ...box, colours.taken);
    });
  }

  showScores(trace, step) {
    const present = presentAt(trace, step);
    this.scores.forEach((cells, blender) => cells.forEach((cell, i) => {
      const score = i <= present && blendersAt(trace, step) ? featureAt(trace, "faid_compatibility", step, blender, i) : null;
      if (!setNumber(cell, score, score === null ? "" : score.toFixed(2))) return;
      const heat = score === null ? { paper: "", ink: "" } : HEAT[Math.round(100 * score)];
      cell.style.backgroundColor = heat.paper;
      cell.style.color = heat.ink;
    }));
  }

  /** How the features change from blender to blender; blank ones have nothing to be compared with. */
  showCosines({ trace, step, colours }) {
    const present = presentAt(trace, step);
    const values = COSINES.map(([kind]) => trace.blenders.map((_, blender) => (
      this.heads.map((_, i) => (i < present ? featureAt(trace, `faid_${kind}`, step, blender, i) : null)))));
    this.cosines.forEach((rows, kind) => rows.forEach((cells, blender) => cells.forEach((cell, i) => {
      const value = values[kind][blender][i];
      setNumber(cell, value, value === null ? (i === present && blendersAt(trace, step) ? "–" : "") : cosineText(value));
    })));
    const floor = floorOf(values);
    setText(this.range, present ? `${cosineText(floor)} … 1` : "");
    const context = prepare(this.paths, this.heads.length * this.column, PATH_SIZE[1]);
    for (let i = 0; i < Math.min(present, this.heads.length); i++) {
      const [start, code] = values.map((rows) => rows.map((cells) => cells[i]));
      drawPath(context, (i + 0.5) * this.column - PATH_SIZE[0] / 2, [1, ...start], [null, ...code], floor, colours);
    }
  }

  showAdded(trace, step) {
    const hops = trace.hops.length;
    this.added.forEach(({ cells }, blender) => cells.forEach((cell, i) => {
      const value = i ? trace.arrays.faid_hop_weights[(step * trace.blenders.length + blender) * hops + i - 1] : shareAt(trace, step, blender);
      const text = i ? value.toFixed(2) : `${percent(value)} %`;
      if (!setNumber(cell, blendersAt(trace, step) ? value : null, blendersAt(trace, step) ? text : "")) return;
      setLength(cell.fill, i ? value : value / this.mostAdded);
    }));
  }
}

/** The colours of the scores, from 0 to 1. */
function makeScale() {
  const scale = make("span", "lp-scale"), bar = makePatch();
  Object.assign(bar, { width: 64, height: 1 });
  drawScale(bar);
  scale.append("0", bar, "1");
  scale.setAttribute("aria-hidden", "true");
  return scale;
}

/** A cosine in two decimals without the zero before the point: room for a sign in a narrow column. */
const cosineText = (value) => (Math.round(100 * value) / 100 || 0).toFixed(2).replace(/^(-?)0\./, "$1.");

/** What went through the blenders at a step, in words. */
function blendersText(trace, step) {
  const through = plural(trace.settings.faid_neighbours, "feature"), present = trace.arrays.faid_present[step];
  if (!blendersAt(trace, step)) return "there were none at this position: another method drew it";
  if (!present) return `nothing was looked up here: the blenders ran with a blank feature, and add what they make of it`;
  const blank = trace.settings.faid_neighbours - present;
  const hidden = trace.settings.faid_neighbours - trace.shown.features;
  return `${through} of the nearest neighbours went through ${plural(trace.blenders.length, "blender")}`
    + (blank ? `, ${blank} of them blank` : "") + (hidden > 0 ? `; ${trace.shown.features} shown` : "");
}

/** Where the plots of these cosines begin: at or below the lowest, in quarters, so that it seldom changes. */
function floorOf(values) {
  const lowest = values.flat(2).reduce((low, value) => (value === null ? low : Math.min(low, value)), 0.99);
  return Math.floor(4 * lowest) / 4;
}

/** Two lines over the blenders, from `floor` to 1: a feature's cosine to its start (dashed) and to the drawn code. */
function drawPath(context, left, start, code, floor, colours) {
  const [width, height] = PATH_SIZE;
  const x = (i) => left + 3 + (i * (width - 6)) / Math.max(start.length - 1, 1), y = (value) => 3 + ((1 - value) * (height - 6)) / (1 - floor);
  for (const [values, colour, dash] of [[start, colours.soft, [2, 2]], [code, colours.taken, []]]) {
    const points = values.map((value, i) => [x(i), y(value), value]).filter(([, , value]) => value !== null);
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1.5;
    context.setLineDash(dash);
    context.beginPath();
    for (const [across, down] of points) context.lineTo(across, down);
    context.stroke();
    for (const [across, down] of points) context.fillRect(across - 1.5, down - 1.5, 3, 3);
  }
  context.setLineDash([]);
}
