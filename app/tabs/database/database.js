/*
 * The tab "Database": what the model can look up, and where things stand in it.
 *
 * The server says which databases there are to look at (see layout.py); everything else is asked for by plain calls when
 * it is wanted, and an overview is kept for as long as its database is the same. Captions reach the page as text nodes.
 */

import { make, onPress, partsOf, setOff, setText } from "../../client/dom.js";
import { lifetimeOf, onThemeChange, until } from "../../client/lifetime.js";
import { find, pageStepper } from "../../client/page.js";
import { bitmapFromBase64 } from "../../stepper/trace.js";
import { coloursOf } from "../../stepper/drawing.js";
import { showFigures, sizesOf } from "./figures.js";
import { Found } from "./found.js";
import { DatabaseMap, styleColour } from "./map.js";
import { Opened } from "./opened.js";

const OVERVIEWS_KEPT = 4;
const NO_ANSWER = "The server does not answer. Try again, or reload the page.";

class Place {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {AbortSignal} signal aborts when it goes
   * @param {Function} trigger tells the server of an event
   * @param {Object<string, Function>} server what may be called there
   */
  constructor(element, signal, trigger, server) {
    this.parts = partsOf(element, "", "db");
    this.root = this.parts.root;
    this.trigger = trigger;
    this.server = server;
    this.offers = [];
    this.where = "settings";
    this.same = this.lost = false;
    this.used = this.current = null;
    this.turn = 0;
    this.overviews = new Map();
    this.found = new Found(this.parts, (image) => this.open(image));
    this.map = new DatabaseMap(this.parts, signal, (image) => this.open(image));
    this.opened = new Opened(this.parts, {
      look: (image, position) => this.findPatch({ image, position }, `row ${Math.floor(position / this.width)}, column ${position % this.width} of #${image}`),
      like: (image) => this.findLike({ image }, `#${image}`),
    });
    this.listen(signal);
  }

  get width() {
    return this.current.overview.grid[1];
  }

  listen(signal) {
    const { form, here, upload, frame } = this.parts;
    form.addEventListener("submit", (event) => { event.preventDefault(); this.findWords(); });
    onPress(here, () => this.findHere());
    upload.addEventListener("click", () => this.upload());
    for (const name of ["loupe:step", "loupe:trace"]) document.addEventListener(name, () => this.offerHere(), { capture: true, signal });
    for (const kind of ["captions", "contexts"]) this.parts[`by-${kind}`].addEventListener("change", () => this.showMap(kind));
    until(signal, new ResizeObserver(() => this.redraw())).observe(frame);
    onThemeChange(signal, () => this.redraw());
    this.offerHere();
  }

  /** Let the visitor choose a picture, by Gradio's own field, which is not in sight. */
  upload() {
    const field = /** @type {HTMLInputElement} */ (find("#database-upload").previousElementSibling);
    field.accept = "image/*";
    field.click();
  }

  /** Take what an event of the server says. */
  receive(value) {
    if (value?.kind === "offers") return this.choose(value);
    if (value?.kind === "meaning" && this.current) return this.showMeaning(value);
    if (value?.kind === "uploaded" && this.current) {
      return value.error ? this.found.fail(value.error) : this.findLike({ codes: value.codes }, "your picture");
    }
    return undefined;
  }

  /** Ask the server; what it cannot answer is an error like others. */
  async ask(name, asked) {
    try {
      return await this.server[name]({ key: this.current?.offer.key, ...asked });
    } catch {
      return { error: NO_ANSWER };
    }
  }

  /* ---- which database */

  choose({ offers, same, used, lost }) {
    this.offers = offers;
    this.same = same;
    this.used = used;
    this.lost = lost;
    const offer = offers.find(({ where }) => where === this.where) ?? offers[0];
    const several = offers.length > 1;
    this.parts.choice.hidden = !several;
    this.parts.offers.replaceChildren(...(several ? offers.map((one) => this.makeChoice(one, one === offer)) : []));
    if (offer) return this.look(offer);
    this.current = null;
    this.parts.body.hidden = true;
    this.parts.wait.hidden = false;
    this.root.dataset.state = "empty";
    return setText(this.parts.wait, "There is no database to look at: bring pictures of your own, under Your pictures.");
  }

  makeChoice(offer, checked) {
    const label = make("label"), input = make("input");
    Object.assign(input, { type: "radio", name: "db-where", value: offer.where, checked });
    input.addEventListener("change", () => { this.where = offer.where; this.look(offer); });
    label.append(input, make("span", "", offer.where === "settings" ? `chosen in the settings: ${offer.label}` : `of the run in the stepper: ${offer.label}`));
    return label;
  }

  /** Show a database; its overview is asked for once. */
  async look(offer) {
    const turn = ++this.turn, name = `${offer.key} ${offer.version}`;
    if (this.current?.name === name) {
      Object.assign(this.current, { offer });
      return this.showUse();
    }
    this.root.dataset.state = "loading";
    this.parts.wait.hidden = false;
    setText(this.parts.wait, `Looking at ${offer.label}.`);
    const known = this.overviews.get(name) ?? await this.fetch(offer);
    if (turn !== this.turn) return undefined;
    if (known.error) {
      this.root.dataset.state = "error";
      return setText(this.parts.wait, known.error);
    }
    this.keep(name, known);
    this.current = { ...known, offer, name };
    return this.show();
  }

  /** An overview with its pictures. */
  async fetch(offer) {
    const overview = await this.ask("overview", { key: offer.key });
    if (overview.error) return overview;
    const bitmap = (text) => (text ? bitmapFromBase64(text) : null);
    const [thumbs, tiles] = await Promise.all([bitmap(overview.thumb_sheet), bitmap(overview.tile_sheet)]);
    return { overview, thumbs, tiles };
  }

  keep(name, known) {
    this.overviews.set(name, known);
    while (this.overviews.size > OVERVIEWS_KEPT) this.overviews.delete(this.overviews.keys().next().value);
  }

  show() {
    const { overview } = this.current, { parts } = this;
    parts.wait.hidden = true;
    parts.body.hidden = false;
    sizesOf(parts.size, overview);
    parts.notice.hidden = !overview.notice;
    setText(parts.notice, overview.notice);
    this.showStyles(overview.styles);
    showFigures(parts, this.current, (context) => this.findPatch({ image: context.example[0], position: context.example[1] }, "a context that repeats"));
    this.found.clear();
    this.opened.close();
    parts.how.disabled = parts.words.disabled = !overview.knows_images;
    parts["by-captions"].disabled = !overview.maps.captions;
    const kind = overview.maps.captions && parts["by-captions"].checked ? "captions" : "contexts";
    parts[`by-${kind}`].checked = true;
    this.showMap(kind);
    this.showUse();
  }

  /** What the run in the stepper has to do with it. */
  showUse() {
    const { offer } = this.current;
    const both = this.same && this.used;
    setText(this.parts.title, offer.label);
    setText(this.parts.which, both ? "chosen in the settings, and what the run in the stepper looked up in"
      : offer.where === "run" ? "what the run in the stepper looked up in; the settings have chosen another one"
        : `chosen in the settings${this.lost ? "; what the run in the stepper looked up in is not here" : ""}`);
    this.map.mark(this.usedHere());
    this.parts.styles.lastChild.hidden = !this.usedHere();
    this.offerHere();
    const first = this.opened.image ?? this.usedHere()?.images[0];
    if (first !== undefined) this.open(first);
    Object.assign(this.root.dataset, { state: "ready", key: offer.key, run: this.usedHere()?.run ?? "" });
  }

  /** What the run used, if it looked up in the database on view. */
  usedHere() {
    return this.used?.key === this.current?.offer.key ? this.used : null;
  }

  showStyles(styles) {
    const key = (colour, name) => {
      const item = make("li"), dot = make("i");
      dot.style.background = colour;
      item.append(dot, document.createTextNode(name));
      return item;
    };
    const used = key("", "framed or ringed: retrieved by this run");
    used.className = "db-key-used";
    this.parts.styles.replaceChildren(...styles.map(([name], at) => key(styleColour(at), name)), used);
  }

  showMap(kind) {
    if (!this.current) return;
    this.map.show(this.current, kind);
    this.map.colours = coloursOf(this.root);
    this.map.draw();
  }

  redraw() {
    if (!this.current) return;
    this.map.colours = this.opened.colours = coloursOf(this.root);
    this.map.draw();
    this.opened.draw();
  }

  /* ---- one picture */

  async open(image) {
    const { current } = this, run = this.usedHere();
    this.map.select(image);
    const answer = await this.ask("portrait", { image, run: run?.run ?? "" });
    if (current !== this.current) return;
    if (answer.error) return this.found.fail(answer.error);
    const { overview, offer } = current;
    await this.opened.show(answer, { grid: overview.grid, context: overview.context, knows: overview.knows_images, filters: run?.filters ?? [], run, label: offer.label });
  }

  /* ---- searches */

  offerHere() {
    const stepper = pageStepper(), step = stepper?.trace ? stepper.step : -1;
    setOff(this.parts.here, step < 0);
    setText(this.parts.here, step < 0 ? "Where else does a patch's neighbourhood stand? (Draw a picture first)"
      : `Where else does the neighbourhood of patch ${step} stand?`);
  }

  findHere() {
    const { trace, step } = pageStepper();
    this.findPatch({ run: trace.id, position: step }, `patch ${step} of the run in the stepper`);
  }

  async findPatch(asked, where) {
    const { current } = this, turn = this.found.wait(`Looking up the neighbourhood of ${where}.`);
    const answer = await this.ask("find_patch", asked);
    if (current === this.current) this.found.showPatch(turn, answer, { where, asked, current, filters: "run" in asked ? this.usedHere()?.filters ?? [] : [] });
  }

  async findLike(asked, where) {
    const { current } = this, turn = this.found.wait(`Looking for pictures like ${where}.`);
    const answer = await this.ask("find_like", asked);
    if (current === this.current) this.found.showLike(turn, answer, where);
  }

  async findWords() {
    const words = this.parts.words.value, { current } = this;
    const turn = this.found.wait("Searching.");
    if (this.parts.how.value === "meaning") return this.trigger("meaning", { key: current.offer.key, words });
    const answer = await this.ask("find_words", { words });
    if (current === this.current) this.found.showWords(turn, answer, words);
    return undefined;
  }

  showMeaning(value) {
    this.found.showMeaning(value);
  }
}

/** Make the panel; returns what takes the answers to its events. */
export function mount({ element, trigger, server }) {
  const place = new Place(element, lifetimeOf(element), trigger, server);
  return (value) => place.receive(value);
}
