/* The cards of the gallery: what a run looks like and its figures; texts are text nodes. */

import { make } from "../client/dom.js";
import { hashOf } from "./places.js";

const percent = (share) => `${Math.round(100 * share)} %`;

/** How much look-ups changed, in words. */
export function changedText({ looked_up: asked, changed, parent }) {
  if (!asked) return "no look-ups";
  if (changed === null) return `${asked} look-ups, what they changed was not recorded`;
  return `look-ups changed ${changed} of ${asked} patches${parent ? " (until the change too)" : ""}`;
}

/** The figures of a run, a line each. */
export function figuresOf(card) {
  const { steps, positions, copied, chance, looked_up: asked } = card;
  const lines = [changedText(card)];
  if (asked && copied >= 0.005) lines.push(`${percent(copied)} copied from one place each`);
  lines.push(`its codes had a chance of ${percent(chance)} on average`);
  if (steps < positions) lines.push(`paused after ${steps} of ${positions} patches`);
  return lines;
}

function pictureOf(src, alt = "") {
  const picture = make("img");
  Object.assign(picture, { src, alt, loading: "lazy", decoding: "async", width: 128, height: 128 });
  return picture;
}

/** A run as a link with its picture. */
export function makeCard(card) {
  const item = make("li"), link = make("a", "gl-card"), text = make("div"), facts = make("ul");
  link.href = hashOf("run", card.name);
  link.dataset.run = card.name;
  const how = [card.method, card.database && `over ${card.database}`, card.model === "Novice" && "by the novice"].filter(Boolean).join(" ");
  text.append(make("b", "", card.prompt), make("span", "gl-how", how), make("span", "gl-what", card.say));
  facts.append(...figuresOf(card).map((line) => make("li", "", line)));
  if (card.inside) facts.append(make("li", "", "with attention and lens"));
  text.append(facts);
  link.append(pictureOf(card.picture), text);
  item.append(link);
  return item;
}

/** Several runs as a link with all of their pictures. */
export function makeSeveral(kind, { name, title, say, pictures }) {
  const item = make("li", "gl-wide"), link = make("a", "gl-card gl-several"), text = make("div"), strip = make("span", "gl-strip");
  link.href = hashOf(kind, name);
  link.dataset[kind] = name;
  strip.append(...pictures.map((src) => pictureOf(src)));
  strip.dataset.columns = kind === "sweep" ? "3" : "4";
  text.append(make("b", "", kind === "sweep" ? `Sweep: ${title}` : `Beside each other: ${title}`), make("span", "gl-what", say));
  link.append(strip, text);
  item.append(link);
  return item;
}

/** A section with its heading and its cards. */
export function makeSection({ title, text, runs, beside, sweeps }) {
  const section = make("section", "gl-section"), list = make("ul", "gl-cards");
  list.append(...runs.map(makeCard), ...beside.map((one) => makeSeveral("compare", one)), ...sweeps.map((one) => makeSeveral("sweep", one)));
  section.append(make("h3", "", title), make("p", "", text), list);
  return section;
}
