/*
 * The tab "Inside": what the model looks at when it draws the patch where the stepper stands, and what each of its layers
 * would draw.
 *
 * The server looks once for a run (event "look", which waits for its turn), and then answers for one position after the
 * other (`at`, a plain call). Pictures of patches come behind it (event "patches"). Nothing is asked out of sight.
 */

import { make, onPress, partsOf, rowsFor, setChildren, setLength, setOff, setText } from "../../client/dom.js";
import { lifetimeOf, onThemeChange, until } from "../../client/lifetime.js";
import { percent } from "../../client/numbers.js";
import { pageStepper } from "../../client/page.js";
import { placeAt } from "../../stepper/step.js";
import { bitmapFromBase64 } from "../../stepper/trace.js";
import { contextOf, drawHeat, mostOf, sum } from "./heat.js";
import { Lens } from "./lens.js";

const SETTLE_MS = 90, PATCHES_MS = 160;
const SIDE = 304, LISTED = 6, PICTURES_KEPT = 48;
const LOST = "The server does not answer. Step to another patch to ask again, or reload the page.";

class Inside {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {(event: string, data: object) => void} trigger tells the server
   * @param {(asked: object) => Promise<any>} at asks the server about a position
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, trigger, at, signal) {
    this.trigger = trigger;
    this.at = at;
    this.parts = partsOf(element, "", "in");
    this.lens = new Lens(this.parts.stages);
    this.lists = { words: [], most: [] };
    this.number = 0;
    this.answer = null;
    this.looking = ""; // the run that the server was asked to look into, and has not answered for
    this.quick = new Map(); // by run that was looked into, whether its patches are shown unasked
    this.pictures = new Map(); // by place
    this.listen();
    this.watch(signal);
    this.settle(0);
  }

  /** The stepper of the page. */
  get loupe() {
    return pageStepper();
  }

  /** Run and position where the stepper stands, as text; empty without a picture. */
  get place() {
    const { loupe } = this;
    return loupe?.trace ? `${loupe.trace.id} ${loupe.step}` : "";
  }

  /** The number of the layer or head that is chosen, null for the mean. */
  chosen(name) {
    const { value } = this.parts[name];
    return value === "" ? null : Number(value);
  }

  /* ---- asking */

  listen() {
    const { layer, head, picture, keep, show } = this.parts;
    layer.addEventListener("change", () => { this.offerHeads(); this.ask(); });
    head.addEventListener("change", () => this.ask());
    picture.addEventListener("click", (event) => this.pick(event));
    onPress(keep, () => this.keep());
    onPress(show, () => this.askPatches());
    this.fill(layer, "mean of all", "layer", 0);
    this.fill(head, "mean of all", "head", 0);
  }

  /** Follow the stepper, and what is in sight, until it goes. */
  watch(signal) {
    const { root } = this.parts;
    until(signal, new IntersectionObserver(([entry]) => { this.seen = entry.isIntersecting; if (this.seen) this.settle(0); })).observe(root);
    for (const what of ["step", "trace"]) document.addEventListener(`loupe:${what}`, () => this.settle(SETTLE_MS), { capture: true, signal });
    onThemeChange(signal, () => this.answer && this.show());
    signal.addEventListener("abort", () => { clearTimeout(this.timer); clearTimeout(this.later); });
  }

  /** The stepper moved, or this came into sight: ask once it has stood still. */
  settle(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.seen && this.place && this.place !== this.asked && this.ask(), delay);
  }

  /** Ask about the place where the stepper stands; only the newest question counts. */
  async ask() {
    if (!this.place) return;
    const number = ++this.number, begun = performance.now();
    this.asked = this.place;
    const [run, step] = this.asked.split(" ");
    const [layer, head] = [this.chosen("layer"), this.chosen("head")];
    const answer = await this.at({ run, step: Number(step), layer, head }).catch(() => ({ error: LOST }));
    if (number !== this.number) return;
    if (answer.missing) return this.look(run);
    if (answer.error) return this.showError(answer.error);
    this.answer = answer;
    this.show();
    Object.assign(this.parts.root.dataset, {
      state: "ready", shown: `${step} ${layer ?? ""} ${head ?? ""}`, ms: (performance.now() - begun).toFixed(1),
    });
    clearTimeout(this.later);
    if (!answer.recorded && this.quick.get(run) !== false && !this.pictures.has(this.asked)) this.later = setTimeout(() => this.askPatches(), PATCHES_MS);
  }

  /** Let the server look into a run; it takes its turn among what is drawn. */
  look(run) {
    if (this.looking === run) return;
    this.looking = run;
    this.begun = performance.now();
    this.parts.root.dataset.state = "looking";
    setText(this.parts.empty, "Looking inside: one pass of the model over this picture.");
    this.parts.empty.hidden = false;
    this.parts.body.hidden = true;
    this.trigger("look", { run });
  }

  askPatches() {
    const { answer } = this;
    if (answer && `${answer.run} ${answer.step}` === this.place) this.trigger("patches", { run: answer.run, step: answer.step });
  }

  keep() {
    if (!this.answer) return;
    setOff(this.parts.keep, true);
    this.trigger("keep", { run: this.answer.run });
  }

  /** What an event came to. */
  async receive(value) {
    if (!value) return;
    const { kind, run, error } = value;
    if (kind === "look" && run === this.looking) this.looking = "";
    if (error) return run === this.place.split(" ")[0] ? this.showError(error) : undefined;
    if (kind === "look") return this.looked(value);
    if (kind === "keep") return this.showKept();
    await this.keepPictures(`${run} ${value.step}`, value);
    if (this.answer && this.place === `${run} ${value.step}`) this.show();
  }

  /** The server looked into a run. */
  looked({ run, quick }) {
    this.quick.set(run, quick);
    this.parts.root.dataset.looked = (performance.now() - this.begun).toFixed(0);
    if (this.place.split(" ")[0] === run) this.ask();
    else this.settle(0);
  }

  /** Remember the pictures of a place, and free those of the oldest. */
  async keepPictures(place, { codes, corner, picture }) {
    this.pictures.get(place)?.bitmap.close();
    this.pictures.delete(place);
    this.pictures.set(place, { codes, corner, bitmap: await bitmapFromBase64(picture) });
    for (const [oldest, { bitmap }] of this.pictures) {
      if (this.pictures.size <= PICTURES_KEPT) break;
      bitmap.close();
      this.pictures.delete(oldest);
    }
  }

  /** An event was lost, and no answer will come; the next step asks anew. */
  fail(message) {
    this.looking = "";
    setOff(this.parts.keep, false);
    this.showError(message);
  }

  /* ---- the controls */

  /** Offer the layers and heads that there are; what was chosen stays if it can. */
  offer({ layers }) {
    this.fill(this.parts.layer, "mean of all", "layer", layers);
    this.offerHeads();
  }

  offerHeads() {
    const one = this.chosen("layer") !== null, heads = this.answer?.heads ?? 0;
    this.fill(this.parts.head, "mean of all", "head", one ? heads : 0);
    this.parts.head.disabled = !one || !heads;
  }

  fill(select, mean, word, count) {
    if (select.options.length === count + 1) return;
    const { value } = select;
    select.replaceChildren(new Option(mean, ""), ...Array.from({ length: count }, (_, i) => new Option(`${word} ${i}`, String(i))));
    select.value = Number(value) < count ? value : "";
  }

  /** Go to the patch under the pointer. */
  pick(event) {
    const { grid } = this.loupe.trace, box = this.parts.picture.getBoundingClientRect();
    const col = Math.floor(((event.clientX - box.left) / box.width) * grid.width);
    const row = Math.floor(((event.clientY - box.top) / box.height) * grid.height);
    if (col >= 0 && row >= 0 && col < grid.width && row < grid.height) this.loupe.move(row * grid.width + col);
  }

  /* ---- showing an answer */

  showError(message) {
    this.parts.root.dataset.state = "error";
    setText(this.parts.error, message);
    this.parts.error.hidden = false;
    this.parts.empty.hidden = this.parts.body.hidden = true;
  }

  showKept() {
    setText(this.parts.kept, "It is in the trace now, heads as their mean. Save the trace under Keep and share.");
    setOff(this.parts.keep, false);
  }

  show() {
    const { answer, parts, loupe } = this, { trace } = loupe;
    if (!trace || answer.run !== trace.id) return;
    parts.error.hidden = parts.empty.hidden = true;
    parts.body.hidden = false;
    Object.assign(parts.root.dataset, { run: answer.run, step: answer.step });
    setText(parts.title, `Position ${answer.step}, ${placeAt(trace.grid, answer.step)}`);
    this.offer(answer);
    this.showAttention(answer, trace);
    const most = Math.max(...answer.cells, ...answer.words.map(([, weight]) => weight), 1e-9);
    this.showWeights("words", most, answer.words.map(([word, weight], i) => ({ key: `${i} ${word}`, text: word.replace(/^##/, "\u2026"), weight })));
    this.showWeights("most", most, mostOf(answer.cells, LISTED).map(([p, weight]) => ({ key: p, text: `${placeAt(trace.grid, p)} (${p})`, weight, go: p })));
    setText(parts.note, answer.note);
    parts.blended.hidden = !answer.stages.some(({ place }) => place === "after");
    if (this.keptRun !== answer.run) setText(parts.kept, "");
    this.keptRun = answer.run;
    this.showLens(answer, trace);
  }

  showAttention(answer, trace) {
    const { cells, step } = answer, { picture } = this.parts, context = contextOf(trace, step);
    drawHeat(picture, { trace, step, cells, colours: this.loupe.colours, side: SIDE });
    const [all, looked] = [sum(cells), sum(context.map((p) => cells[p] ?? 0))];
    const said = context.length ? ` ${percent(looked)} % goes to the ${context.length} patches of the context that was looked up.` : " Nothing was looked up here.";
    setText(this.parts.summary, `${percent(1 - all)} % goes to words, ${percent(all)} % to patches.${said}`);
    setText(this.parts.scale, `attention, 0 to ${percent(Math.max(...cells, 0))} %`);
    picture.setAttribute("aria-label", `The picture before position ${step}, coloured by attention. ${this.parts.summary.textContent}`);
  }

  /** One of the lists of weights, with bars whose full length is `most`; patches are buttons that go there. */
  showWeights(name, most, entries) {
    const rows = rowsFor(this.lists[name], entries.map(({ key }) => key), () => this.makeWeight(name === "most" ? "button" : "span"));
    setChildren(this.parts[name], rows.map(({ item }) => item));
    entries.forEach(({ text, weight, go }, i) => {
      const { label, bar, number } = rows[i];
      setText(label, text);
      setText(number, `${percent(weight)} %`);
      setLength(bar, weight / most);
      if (go !== undefined) label.onclick = () => this.loupe.move(go);
    });
  }

  makeWeight(tag) {
    const item = make("li"), label = make(tag, "in-label"), track = make("span", "in-track"), bar = make("i"), number = make("span", "in-number");
    if (tag === "button") label.type = "button";
    track.append(bar);
    item.append(label, track, number);
    return { item, label, bar, number };
  }

  showLens(answer, trace) {
    const { parts, loupe } = this, pictures = this.pictures.get(`${answer.run} ${answer.step}`) ?? null;
    this.lens.show(answer, trace, pictures, loupe);
    setText(parts.taken, `the code taken here was ${answer.code}`);
    parts.show.hidden = answer.recorded || Boolean(pictures) || this.quick.get(answer.run) !== false;
    parts.keep.parentElement.hidden = Boolean(answer.recorded);
    setText(parts.place, answer.recorded ? "Each code is shown as it looks here, or, with a dashed edge, as it looks in real pictures in the mean."
      : pictures ? "Each code is shown in the finished picture, with the patches around it." : "");
    parts.stages.dataset.drawn = pictures ? `${answer.run} ${answer.step}` : "";
  }
}

/** Make the panel; other parts of the page find it as the `loupe` of its host. Returns what takes answers to its events. */
export function mount({ element, trigger, server }) {
  const host = /** @type {any} */ (element.closest("#inside")), inside = new Inside(element, trigger, server.at, lifetimeOf(element));
  host.loupe = inside;
  return (value) => inside.receive(value);
}
