/* What one of the compared runs did at a position. */

import { make, makePatch, setText, setTitle, showPairs } from "../../client/dom.js";
import { percent, plural, short } from "../../client/numbers.js";
import { drawCrop, drawPatch, prepare } from "../../stepper/drawing.js";
import { drawRace, furthest, racersAt } from "../../stepper/race.js";
import { captionOf } from "../../stepper/sources.js";
import { distributionsOf, reasonAt, retrievedAt } from "../../stepper/step.js";
import { ofStep } from "../../stepper/trace.js";

const NEIGHBOURS = 3, NEIGHBOUR_SIZE = 64;

/** The reading of one run; the handles are on the parts that change. */
function makeReading(letter) {
  const item = make("li", "cp-reading"), choice = make("p", "lp-choice");
  const patch = makePatch(), code = make("span"), verdict = make("small", "cp-verdict");
  choice.append(make("b", "cp-letter", letter), patch, code, verdict);
  const strip = makePatch("cp-strip"), numbers = make("dl", "lp-numbers"), near = make("ol", "cp-near"), none = make("p", "cp-none");
  strip.title = "The race: ln of the probability and luck of the codes that get furthest";
  const cards = Array.from({ length: NEIGHBOURS }, () => {
    const card = make("li"), crop = makePatch("lp-crop"), text = make("span");
    card.append(crop, text);
    return { card, crop, text };
  });
  near.append(...cards.map(({ card }) => card));
  item.append(choice, strip, numbers, none, near);
  return { item, patch, code, verdict, strip, numbers, near, none, cards };
}

/** The reading of one run; it only shows. */
export class RunReading {
  /** @param {string} letter what the run is called */
  constructor(letter) {
    this.parts = makeReading(letter);
  }

  /** Its element. */
  get item() {
    return this.parts.item;
  }

  /**
   * Show one step.
   * @param {any} view trace, step, atlas (bitmap or null), colours, stripWidth, wanted (called with the number of a source
   *   picture that is not decoded yet)
   * @param {string} verdict what its code is beside the first run's, in words
   * @param {boolean} differs whether it is another one
   */
  show(view, verdict, differs) {
    const { trace, step } = view, { item, patch, code, none } = this.parts, there = step < trace.steps;
    item.classList.toggle("is-missing", !there);
    const context = prepare(patch, 32, 32);
    setText(this.parts.verdict, there ? verdict : "");
    if (!there) {
      setText(code, "not drawn");
      return setText(none, `This run was stopped after ${plural(trace.steps, "position")}.`);
    }
    drawPatch(context, trace.drawn, trace.grid, step, 0, 0, 32);
    setText(code, `code ${trace.arrays.code[step]}`);
    this.parts.verdict.classList.toggle("is-different", differs);
    const kind = distributionsOf(trace).includes("blended") ? "blended" : "model";
    this.showRace(view, kind);
    this.showNumbers(view, kind);
    this.showNeighbours(view);
  }

  /** The race for the codes that get furthest; nothing for a run that was drawn in another way. */
  showRace({ trace, step, atlas, colours, stripWidth }, kind) {
    const { strip } = this.parts, winner = trace.arrays.pick[step];
    strip.hidden = trace.rule !== "gumbel";
    if (strip.hidden) return;
    const racers = furthest(racersAt(trace, step, [kind]), [winner], 3);
    drawRace(strip, stripWidth, racers, [{ winner, colour: colours.blended }], { trace, step, atlas, colours });
  }

  showNumbers({ trace, step }, kind) {
    const { arrays, shown } = trace, here = retrievedAt(trace, step);
    const place = ofStep(arrays.top_code, step, shown.codes).indexOf(arrays.code[step]);
    const share = (name) => `${percent(ofStep(arrays[`top_${name}`], step, shown.codes)[place])} %`;
    showPairs(this.parts.numbers, [
      ["its probability", share(kind), "of the code that was taken, in the distribution that it was drawn from"],
      ["by the model", share("model"), "probability of the same code before the neighbours' distribution is mixed in"],
      ["λ here", trace.mixes ? (here ? short(arrays.mix[step]) : "0") : "–", "weight λ at this position, after the gate"],
      ["nearest d", here ? short(arrays.nearest[step]) : "–", "squared L2 distance of the nearest neighbour, 0 to 16"],
      ["KL (nats)", Number.isFinite(arrays.kl[step]) ? short(arrays.kl[step]) : "–", "how far the look-up moved the distribution"],
      ["entropy (nats)", short(ofStep(arrays.entropy, step, 3)[2]), "of the distribution that the code was drawn from"],
    ]);
  }

  showNeighbours(view) {
    const { trace, step } = view, { arrays, sources, shown } = trace, { cards, near, none } = this.parts;
    const here = retrievedAt(trace, step);
    near.hidden = !here;
    setText(none, here ? "" : `No look-up: ${reasonAt(trace, step)}.`);
    if (!here) return;
    cards.forEach(({ card, crop, text }, n) => {
      const at = step * shown.neighbours + n;
      card.hidden = arrays.near_image[at] < 0;
      if (card.hidden) return;
      drawCrop(crop, view, at, NEIGHBOUR_SIZE);
      const about = sources[arrays.near_image[at]];
      setText(text, `d ${short(arrays.near_distance[at])}`);
      setTitle(card, `${captionOf(about)}: distance ${short(arrays.near_distance[at])}, ${percent(arrays.near_share[at])} % of the look-up, code ${arrays.near_code[at]}`);
      card.classList.toggle("is-taken", arrays.near_code[at] === arrays.code[step]);
    });
  }
}
