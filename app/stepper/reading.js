/* The reading of one position: its context, what was chosen, the distributions, the neighbours. */

import { make, makePatch, setLength, setText, setTitle, showPairs } from "../client/dom.js";
import { percent, short } from "../client/numbers.js";
import { continuedText, continuesFully, continuesText } from "./chains.js";
import { drawCode, drawCrop, drawGap, drawPatch, lookAt, prepare } from "./drawing.js";
import { drawRace, furthest, racedIn, racersAt, raceTextAt } from "./race.js";
import {
  bestFeatureAt, blendersAt, contextAt, decidedAt, distributionsOf, featureAt, flipAt, movedText, NOT_RECORDED,
  placeAt, presentAt, reasonAt, retrievedAt, shiftAt, withoutAt,
} from "./step.js";
import { Nearest } from "./nearest.js";
import { FACT_TIPS } from "./tips.js";
import { ofStep } from "./trace.js";
import { wordsIn } from "./words.js";

const CONTEXT_SIZE = 116;
const LISTED = 4; // codes that are listed at first, besides those that were taken by somebody
const DISTRIBUTIONS = ["unblended", "blank", "model", "retrieval", "blended"];
const RACERS = 3;

/** One row of the table of codes, with handles on the parts that change. */
function makeCodeRow() {
  const row = make("tr");
  const patch = makePatch("lp-patch");
  const name = make("td", "lp-code"), number = make("b"), tag = make("small");
  name.append(number, tag);
  const bars = make("td", "lp-bars"), lines = DISTRIBUTIONS.map((kind) => make("i", `lp-bar lp-${kind}`));
  bars.append(...lines);
  const cells = lines.map(() => make("td", "lp-percent"));
  const picture = make("td", "lp-patch-cell");
  picture.append(patch);
  row.append(picture, name, bars, ...cells);
  return { row, patch, number, tag, lines, cells };
}

/** One card of a neighbour, with handles on the parts that change. */
function makeCard() {
  const card = make("li", "lp-card");
  const crop = make("canvas", "lp-crop");
  crop.setAttribute("role", "img");
  const caption = make("p", "lp-caption"), source = make("p", "lp-source");
  const numbers = make("p", "lp-card-numbers"), distance = make("span"), share = make("span");
  numbers.append(distance, share);
  const fit = make("p", "lp-fit"), fitNumber = make("b");
  fit.append(make("span", "", "compatibility"), fitNumber);
  const track = make("div", "lp-share"), fill = make("i", "lp-retrieval"), chain = make("p", "lp-chain");
  track.append(fill);
  card.append(crop, track, numbers, fit, caption, source, chain);
  return { card, crop, caption, source, distance, share, fill, fit, fitNumber, chain };
}

/** The panels beside and below the picture; it only shows, and asks nothing of the server. */
export class Reading {
  /** @param {Object<string, HTMLElement>} parts the template's elements by their data-part */
  constructor(parts) {
    this.parts = parts;
    this.rows = [];
    this.cards = [];
    this.nearest = new Nearest(parts);
    parts.more.addEventListener("click", () => this.listMore(!parts.codes.classList.contains("has-all")));
    this.listMore(false);
  }

  /** List all codes, or the likeliest few. */
  listMore(all) {
    this.parts.codes.classList.toggle("has-all", all);
    this.parts.more.setAttribute("aria-expanded", String(all));
    setText(this.parts.more, all ? "fewer" : "more codes");
  }

  /** Make the rows and cards that a trace needs, and show the distributions that it has. */
  build(trace) {
    const kinds = distributionsOf(trace);
    this.rows = Array.from({ length: trace.shown.codes }, makeCodeRow);
    for (const { lines, cells } of this.rows) {
      DISTRIBUTIONS.forEach((kind, i) => { lines[i].hidden = cells[i].hidden = !kinds.includes(kind); });
    }
    for (const kind of DISTRIBUTIONS) this.parts[`column-${kind}`].hidden = !kinds.includes(kind);
    this.parts.codes.replaceChildren(...this.rows.map(({ row }) => row));
    this.parts.more.hidden = trace.shown.codes <= LISTED;
    this.cards = Array.from({ length: trace.shown.neighbours }, makeCard);
    this.parts.codes.classList.toggle("has-four", kinds.length > 3);
    this.parts.cards.classList.toggle("has-fit", trace.blenders.length > 0);
    for (const { fit } of this.cards) {
      fit.hidden = !trace.blenders.length;
      fit.title = `Compatibility in the last blender, of layer ${trace.blenders.at(-1)}`;
    }
    this.parts.cards.replaceChildren(...this.cards.map(({ card }) => card));
    this.parts.facts.replaceChildren(...trace.facts.map(([name, value]) => {
      const item = make("li");
      item.title = FACT_TIPS[name] || "";
      item.append(make("span", "", name), make("b", "", value));
      return item;
    }));
  }

  /* Each part shows one step by itself. `view`: trace, step, atlas (bitmap or null), colours, stripWidth, wanted (called
     with the number of a source picture that is not decoded yet). */

  /** The context that was looked up, and what was found nearest. */
  showAsked(view) {
    this.showContext(view);
    this.nearest.show(view);
    const continued = continuedText(view.trace, view.step);
    this.parts.continued.hidden = !continued;
    setText(this.parts.continued, continued);
  }

  /** The patch that was taken, and the numbers of the step. */
  showVerdict(view) {
    this.showChoice(view);
    this.showNumbers(view);
  }

  /* ---- the context and the choice */

  /** The query's patches where they lie around the gap that is to be filled. */
  showContext({ trace, step, colours }) {
    const rows = trace.context.map(([row]) => row), cols = trace.context.map(([, col]) => col);
    const top = Math.min(0, ...rows), left = Math.min(0, ...cols), wide = Math.max(0, ...cols) - left + 1;
    const cell = Math.floor(CONTEXT_SIZE / wide);
    const context = prepare(this.parts.context, wide * cell, (1 - top) * cell);
    const here = retrievedAt(trace, step), positions = contextAt(trace, step);
    trace.context.forEach(([row, col], i) => {
      const [x, y, size] = [(col - left) * cell + 1, (row - top) * cell + 1, cell - 2];
      if (here && positions[i] >= 0) return drawPatch(context, trace.drawn, trace.grid, positions[i], x, y, size);
      context.fillStyle = colours.rest;
      context.fillRect(x, y, size, size);
    });
    drawGap(context, -left * cell, -top * cell, cell, colours.ink);
    setText(this.parts["context-text"], here ? "the context, and the gap" : "no look-up here");
    this.parts.context.setAttribute("aria-label", here
      ? `Context codes ${positions.map((p) => trace.arrays.code[p] ?? "outside").join(", ")}` : `No context: ${reasonAt(trace, step)}`);
  }

  showChoice({ trace, step }) {
    const { code, without, pick, own, alone } = trace.arrays, decided = decidedAt(trace, step), flip = flipAt(trace, step);
    drawPatch(prepare(this.parts.chosen, 44, 44), trace.drawn, trace.grid, step, 0, 0, 44);
    const words = wordsIn(trace.drawn, trace.grid.width, step);
    setText(this.parts.choice, `${words[0].toUpperCase()}${words.slice(1)}: code ${code[step]} at ${placeAt(trace.grid, step)}`);
    const told = !trace.flips_known ? `Flips are ${NOT_RECORDED}`
      : decided && without[step] !== code[step] ? "No luck would take this code here"
      : decided ? `In hindsight the look-up ${flip ? `would have made it code ${pick[step]}` : "would have left it as it is"}`
      : flip ? `Flip: ${withoutAt(trace, step)} the same luck takes code ${without[step]}`
      : retrievedAt(trace, step) ? `No flip: ${withoutAt(trace, step)} the same luck takes the same code`
      : blendersAt(trace, step) ? "Nothing was looked up, so no flip" : "The model alone decided";
    const by = !decided ? "" : step < trace.given ? "Given by the picture. " : `Chosen by hand; drawn would have been code ${own[step]}. `;
    const shift = shiftAt(trace, step) ? `. Shift: without the blenders it takes code ${alone[step]}` : "";
    setText(this.parts.flip, by + told + shift);
    this.parts.flip.classList.toggle("is-flip", flip && !decided);
  }

  showNumbers({ trace, step }) {
    const { margin, kl, entropy, nearest, mix, found } = trace.arrays, ahead = margin[2 * step + 1];
    const here = retrievedAt(trace, step), moved = Number.isFinite(kl[step]);
    const [before, , after] = ofStep(entropy, step, 3);
    const blends = blendersAt(trace, step), best = blends && bestFeatureAt(trace, step);
    showPairs(this.parts.numbers, [
      ["margin (nats)", Number.isFinite(ahead) ? short(ahead) : "–", "by how much the code won the race: how nearly it would have been another one"],
      blends && !trace.mixes
        ? ["best compatibility", best ? best[1].toFixed(2) : "–", "highest compatibility in the last blender, 0 to 1"]
        : ["λ here", here ? short(mix[step]) : "0", "weight λ at this position, after the gate"],
      ["nearest d", here ? short(nearest[step]) : "–", "squared L2 distance of the nearest neighbour, 0 to 16"],
      ["KL (nats)", moved ? short(kl[step]) : "–", `${movedText(trace)}: how far the look-up moved the distribution`],
      ["entropy (nats)", moved ? `${short(before)} → ${short(after)}` : short(after),
        moved ? "entropy without look-up, then of what was drawn from" : "entropy of what was drawn from"],
      ["neighbours", here ? String(found[step]) : "0", "how many neighbours were found"],
    ]);
  }

  /* ---- the distributions */

  /** The race for the codes that get furthest, had nothing been retrieved and as it was, and what happened in words. */
  showDraw(view) {
    const { trace, step } = view, { pick, without } = trace.arrays, races = trace.rule === "gumbel";
    this.parts.race.hidden = this.parts["race-keys"].hidden = !races;
    setText(this.parts["race-text"], raceTextAt(trace, step));
    if (!races) return;
    const kinds = racedIn(trace), winners = kinds.length > 1 ? [without[step], pick[step]] : [pick[step]];
    const lanes = winners.map((winner, i) => ({ winner, colour: view.colours[i === winners.length - 1 ? "blended" : kinds[0]] }));
    const racers = furthest(racersAt(trace, step, kinds), winners, RACERS);
    this.parts.race.setAttribute("aria-label", `The race of codes ${racers.map(({ code }) => code).join(", ")}; won by ${winners.at(-1)}`);
    drawRace(this.parts.race, view.stripWidth, racers, lanes, view);
    this.parts["race-key"].className = `lp-key lp-${kinds[0]}`;
    setText(this.parts["race-above"], kinds.length > 1 ? (kinds[0] === "blank" ? "nothing looked up" : "model alone") : "");
    setText(this.parts["race-luck"], `luck${kinds.length > 1 ? ": the same noise for both" : ""} (below zero: outlined)`);
    this.parts["race-above"].parentElement.hidden = kinds.length < 2;
    setText(this.parts["race-below"], kinds.at(-1) === "blended" && trace.retrieves ? "mix" : trace.retrieves ? "with look-up" : "model");
  }

  showCodes(view) {
    const { trace, step } = view;
    const listed = (name) => ofStep(trace.arrays[`top_${name}`], step, trace.shown.codes);
    const codes = listed("code"), shown = distributionsOf(trace);
    const shares = DISTRIBUTIONS.map((kind) => (shown.includes(kind) ? listed(kind) : null));
    const scale = Math.max(0.02, ...shares.map((values) => (values ? Math.max(...values) : 0)));
    this.rows.forEach((row, i) => {
      this.showCode(row, view, codes[i], shares.map((values) => values?.[i]), scale);
      row.row.classList.toggle("is-more", i >= LISTED && !/is-(taken|alone|bare)/.test(row.row.className));
    });
  }

  showCode({ row, patch, number, tag, lines, cells }, { trace, step, atlas }, code, shares, scale) {
    const { arrays } = trace, taken = code === arrays.code[step], without = code === arrays.without[step];
    const bare = code === arrays.alone[step], faid = trace.blenders.length > 0;
    const look = lookAt({ trace, step, atlas }, code), shows = `${look.inPlace ? trace.id : ""} ${look.columns} ${look.square}`;
    if (patch.shows !== shows || !look.picture) drawCode(prepare(patch, 22, 22), { trace, step, atlas }, code, 0, 0, 22, 22);
    patch.shows = shows;
    setTitle(patch, look.inPlace ? "How this code looks at this place of the picture" : "The mean look of this code in the database's pictures");
    if (look.picture) setTitle(number.parentElement, wordsIn(look.picture, look.columns, look.square));
    setText(number, String(code));
    setText(tag, taken ? (arrays.drawn[step] ? "taken" : step < trace.given ? "given" : "chosen") : without ? (faid ? "nothing looked up" : "without look-up") : bare ? "no blenders" : "");
    row.className = taken ? "is-taken" : without ? "is-alone" : bare ? "is-bare" : "";
    row.classList.toggle("is-empty", !row.className && shares.every((share) => !share));  // a code that nobody asked for
    shares.forEach((share, i) => {
      if (share === undefined) return;
      setLength(lines[i], share / scale);
      setText(cells[i], `${percent(share)} %`);
    });
  }

  /* ---- the neighbours */

  showNeighbours(view) {
    const { trace, step } = view;
    const here = retrievedAt(trace, step), width = trace.shown.neighbours;
    this.parts.nothing.hidden = here;
    setText(this.parts.nothing, here ? "" : `Nothing was looked up at this position: ${reasonAt(trace, step)}.`);
    const count = ofStep(trace.arrays.near_image, step, width).filter((image) => image >= 0).length;
    const carried = ofStep(trace.arrays.near_share, step, width).reduce((sum, share) => sum + share, 0);
    setText(this.parts["neighbours-text"], here
      ? `${count} of ${trace.arrays.found[step]} shown, nearest first; they carry ${percent(carried)} % of the look-up` : "");
    const blended = blendersAt(trace, step) ? presentAt(trace, step) : 0;
    if (!here) return;
    this.cards.forEach((card, i) => this.showCard(card, view, step * width + i));
    this.cards.forEach(({ fitNumber }, i) => setText(fitNumber, i < blended
      ? featureAt(trace, "faid_compatibility", step, trace.blenders.length - 1, i).toFixed(2) : "–"));
  }

  showCard({ card, crop, caption, source, distance, share, fill, chain }, view, at) {
    const { trace: { arrays, sources }, step } = view;
    const image = arrays.near_image[at];
    card.hidden = image < 0;
    if (card.hidden) return;
    const about = sources[image], [row, col, code] = [arrays.near_row[at], arrays.near_col[at], arrays.near_code[at]];
    setText(caption, about.caption);
    setTitle(caption, about.caption);
    setText(source, [about.style, `#${about.image}`].filter(Boolean).join(" · "));
    setTitle(source, `${about.source}, image ${about.image}, row ${row}, column ${col}, code ${code}`);
    setText(distance, `d ${short(arrays.near_distance[at])}`);
    setText(share, `${percent(arrays.near_share[at])} %`);
    setLength(fill, Math.min(1, arrays.near_share[at]));
    card.classList.toggle("is-taken", code === arrays.code[step]);
    setText(chain, continuesText(view.trace, at));
    setTitle(chain, continuesFully(view.trace, at));
    crop.setAttribute("aria-label", `Patch with code ${code} from ${about.caption}`);
    drawCrop(crop, view, at);
  }
}
