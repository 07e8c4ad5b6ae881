/* The map of a database: every picture of the sample a dot, thumbnails where there is room, those that a run used ringed. */

import { setText } from "../../client/dom.js";
import { percent } from "../../client/numbers.js";
import { prepare } from "../../stepper/drawing.js";

const STYLE_COLOURS = ["#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#a89a00"];
const REST = "#8893a0";
const UNITS = 1000, MARGIN = 18, SIDE = 28, APART = 24, REACH = 16, RATIO = 0.66, NARROW = 480;
const USED = "#e69f00";
const HINT = "Click a dot or a thumbnail to open its picture.";

/** The colour of style number `at`; -1 for none. */
export const styleColour = (at) => STYLE_COLOURS[at] ?? REST;

/** How far a direction is from one point to another: along it, and twice as much across; infinite backwards. */
export function stepAway([dx, dy], [right, down]) {
  const along = dx * right + dy * down, across = Math.abs(dx * down) + Math.abs(dy * right);
  return along > 0 ? along + 2 * across : Infinity;
}

export class DatabaseMap {
  /**
   * @param {Object<string, any>} parts of the tab
   * @param {AbortSignal} signal aborts when they go
   * @param {(image: number) => void} open
   */
  constructor(parts, signal, open) {
    this.parts = parts;
    this.open = open;
    this.known = null;
    this.kind = "contexts";
    this.used = null;
    this.at = -1;
    this.selected = null;
    this.colours = {};
    this.shown = new Set();
    this.shares = new Map();
    const { map } = parts;
    map.addEventListener("pointermove", (event) => this.point(this.placeUnder(event)), { signal });
    map.addEventListener("pointerleave", () => this.point(-1), { signal });
    map.addEventListener("click", (event) => { this.choose(this.placeUnder(event)); }, { signal });
    map.addEventListener("keydown", (event) => this.press(event), { signal });
  }

  get images() {
    return this.known.overview.images;
  }

  show(known, kind) {
    if (known !== this.known) {
      this.selected = null;
      this.placeOf = new Map(known.overview.images.map((image, place) => [image, place]));
    }
    Object.assign(this, { known, kind, at: -1 });
    this.points = known.overview.maps[kind];
    const [first, second] = this.points.shares, count = this.images.length, all = known.overview.size;
    const what = kind === "captions" ? "by the vectors of their captions" : "by the mean of their contexts' code vectors";
    const some = count < all ? `A sample of ${count.toLocaleString("en")} of ${all.toLocaleString("en")} pictures` : `All ${count.toLocaleString("en")} pictures`;
    setText(this.parts.meaning, `${some}, ${what}, in the two directions in which they differ most (principal components): `
      + `${percent(first)} % and ${percent(second)} % of how they differ, each stretched to fill the map. Near on the map need not be near in all directions.`);
    this.parts.map.dataset.kind = kind;
  }

  /** Mark the pictures that a run used; null for none. */
  mark(used) {
    this.used = used;
    this.shares = new Map(used ? used.images.map((image, i) => [image, used.shares[i]]) : []);
    this.draw();
  }

  select(image) {
    this.selected = image;
    this.draw();
  }

  /** Where a picture of the sample lies, in pixels. */
  spot(place) {
    const { width, height } = this.size;
    return [MARGIN + (this.points.x[place] / UNITS) * (width - 2 * MARGIN), MARGIN + (this.points.y[place] / UNITS) * (height - 2 * MARGIN)];
  }

  draw() {
    if (this.frame || !this.known) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.paint(); });
  }

  paint() {
    const width = this.parts.frame.clientWidth;
    if (!width) return;
    this.size = { width, height: Math.round(width * (width < NARROW ? 1 : RATIO)) };
    const context = prepare(this.parts.map, width, this.size.height), { overview } = this.known;
    context.globalAlpha = 0.75;
    overview.images.forEach((_, place) => this.dot(context, place, 2.5));
    context.globalAlpha = 1;
    this.shown = this.thumbsWithRoom();
    for (const place of this.shown) this.thumbnail(context, place);
    for (const image of this.shares.keys()) if (this.placeOf.has(image)) this.markUsed(context, this.placeOf.get(image));
    for (const place of [this.placeOf.get(this.selected) ?? -1, this.at]) if (place >= 0) this.lift(context, place);
    this.parts.map.dataset.painted = this.kind;
  }

  /** The places that show a thumbnail: those that the run used first, as far as they have room. */
  thumbsWithRoom() {
    if (!this.known.thumbs) return new Set();
    const used = (place) => Number(this.shares.has(this.images[place])), spots = [];
    const ordered = this.points.thumbs.toSorted((a, b) => used(b) - used(a));
    return new Set(ordered.filter((place) => {
      const [x, y] = this.spot(place);
      const room = spots.every(([px, py]) => Math.max(Math.abs(px - x), Math.abs(py - y)) >= APART);
      if (room) spots.push([x, y]);
      return room;
    }));
  }

  dot(context, place, radius) {
    const [x, y] = this.spot(place);
    context.fillStyle = styleColour(this.known.overview.style[place]);
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  }

  thumbnail(context, place, side = SIDE) {
    const { overview, thumbs } = this.known, tile = overview.thumbs.indexOf(place);
    if (tile < 0) return;
    const [x, y] = this.spot(place), size = thumbs.width / overview.columns;
    context.fillStyle = styleColour(overview.style[place]);
    context.fillRect(x - side / 2 - 1.5, y - side / 2 - 1.5, side + 3, side + 3);
    context.drawImage(thumbs, (tile % overview.columns) * size, Math.floor(tile / overview.columns) * size, size, size, x - side / 2, y - side / 2, side, side);
  }

  ring(context, place, colour, radius) {
    const [x, y] = this.spot(place);
    for (const [width, style] of [[4, this.colours.paper || "#fff"], [2, colour]]) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  /** A frame around a thumbnail or a ring around a dot, in the colour of retrieval. */
  markUsed(context, place) {
    if (!this.shown.has(place)) return this.ring(context, place, USED, 5);
    const [x, y] = this.spot(place), side = SIDE + 4;
    context.lineWidth = 3;
    context.strokeStyle = USED;
    context.strokeRect(x - side / 2, y - side / 2, side, side);
    return undefined;
  }

  /** Above all others, for what is pointed at or open. */
  lift(context, place) {
    this.thumbnail(context, place, SIDE * 1.5);
    this.dot(context, place, 4);
    this.ring(context, place, getComputedStyle(this.parts.map).color, this.known.overview.thumbs.includes(place) ? SIDE : 9);
  }

  /** The picture under the pointer: the nearest thumbnail that it is on, or the nearest dot within reach; -1 for none. */
  placeUnder(event) {
    if (!this.known || !this.size) return -1;
    const box = this.parts.map.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const { shown } = this;
    let best = -1, nearest = Infinity;
    this.images.forEach((_, place) => {
      const [px, py] = this.spot(place), away = Math.hypot(px - x, py - y);
      const reach = shown.has(place) ? SIDE / 2 : REACH, counted = shown.has(place) ? away / 3 : away;
      if (away <= reach && counted < nearest) [best, nearest] = [place, counted];
    });
    return best;
  }

  point(place) {
    if (place === this.at) return;
    this.at = place;
    this.parts.map.style.cursor = place >= 0 ? "pointer" : "";
    setText(this.parts.named, place >= 0 ? this.nameOf(place) : HINT);
    this.draw();
  }

  /** All pictures at the same point as one, which lie on each other. */
  stackOf(place) {
    const { x, y } = this.points;
    return this.images.map((_, other) => other).filter((other) => x[other] === x[place] && y[other] === y[place]);
  }

  /** Open a picture; where several lie on each other, the next one after the one that is open. */
  choose(place) {
    if (place < 0) return;
    const stack = this.stackOf(place), open = stack.indexOf(this.placeOf.get(this.selected) ?? -1);
    this.open(this.images[open < 0 ? place : stack[(open + 1) % stack.length]]);
  }

  nameOf(place) {
    const { overview } = this.known, image = this.images[place], style = overview.styles[overview.style[place]]?.[0];
    const share = this.shares.get(image), more = this.stackOf(place).length - 1;
    const use = share > 0 ? `: ${percent(share)} % of ${this.used.mixes ? "what this run was drawn from" : "its compatibility"}` : share === 0 ? ": looked up by this run, without a share" : "";
    return `${overview.captions[place]}${style ? `, ${style}` : ""} (#${image})${use}${more ? `; ${more} more at this point: click again for the next` : ""}`;
  }

  /** Arrow keys go to the next picture in that direction; Enter opens the one they are at. */
  press(event) {
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!this.known || event.ctrlKey || event.metaKey || event.altKey) return;
    if ((event.key === "Enter" || event.key === " ") && this.at >= 0) this.choose(this.at);
    else if (direction) this.point(this.next(direction));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  next(direction) {
    if (this.at < 0) return this.placeOf.get(this.selected) ?? 0;
    const [x, y] = this.spot(this.at);
    let best = this.at, nearest = Infinity;
    this.images.forEach((_, place) => {
      const [px, py] = this.spot(place), away = stepAway([px - x, py - y], direction);
      if (place !== this.at && away < nearest) [best, nearest] = [place, away];
    });
    return best;
  }
}
