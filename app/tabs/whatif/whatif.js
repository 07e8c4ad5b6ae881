/*
 * The tab "What if": changes at the position where the stepper stands, and what they would pick.
 *
 * Every question goes to the server, whose answer comes from the same code that made the picture (see whatif.py). Nothing
 * is asked while the tab is out of sight.
 */

import {
  make, makePatch, onPress, partsOf, rowsFor, setChildren, setOff, setText, setTitle,
} from "../../client/dom.js";
import { lifetimeOf, until } from "../../client/lifetime.js";
import { percent, short } from "../../client/numbers.js";
import { pageStepper } from "../../client/page.js";
import { say } from "../../client/speech.js";
import { drawCode, prepare } from "../../stepper/drawing.js";
import { drawRace, furthest } from "../../stepper/race.js";
import { captionOf } from "../../stepper/sources.js";
import { Outcome } from "./outcome.js";

const SETTLE_MS = 160;
const LOST_MS = 2000;
const NOBODY = -1;

class WhatIf {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {(event: string, data: object) => void} trigger tells the server
   * @param {{preview(asked: object): Promise<any>, outcome(run: string): Promise<any>}} server tells what a change would
   *   pick, and what a branch came from
   * @param {AbortSignal} signal aborts when it goes
   * @param {{knobs: [string, string, string, number, number, number][], methods: [string, string][]}} offers numbers
   *   that can be changed (field, symbol, meaning, lowest, highest, step), and methods (name, label)
   */
  constructor(element, trigger, server, signal, offers) {
    this.trigger = trigger;
    this.preview = server.preview;
    this.outcome = new Outcome(element, server.outcome, signal);
    this.parts = partsOf(element, "", "wi");
    this.root = this.parts.root;
    this.number = 0;
    this.waiting = 0;
    this.answer = null;
    this.forget();
    this.makeControls(offers);
    this.listen();
    this.seen = false;
    this.watch(signal);
    this.settle(0);
  }

  /** The stepper of the page. */
  get loupe() {
    return pageStepper();
  }

  /** Whether the picture in the stepper is paused at its last patch, so that the next one can be chosen. */
  get canLookAhead() {
    const { loupe } = this;
    return Boolean(loupe?.trace) && loupe.step === loupe.steps - 1 && loupe.steps < loupe.grid.width * loupe.grid.height;
  }

  /** Run and position that are asked about, as text; empty without a picture. */
  get place() {
    const { loupe } = this;
    if (!loupe?.trace) return "";
    const next = this.canLookAhead && this.parts.which.querySelector("input:checked").value === "next";
    return `${loupe.trace.id} ${loupe.step + (next ? 1 : 0)}`;
  }

  /** Drop what was changed. */
  forget() {
    this.settings = {};
    this.weights = new Map();
    this.others = 1;
    this.code = null;
    this.touched = false;
  }

  /* ---- asking */

  /** The stepper moved or came into sight: ask once it has stood still. */
  settle(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.follow(), delay);
  }

  /** Ask about the place where the stepper stands, unless that has been done. */
  follow() {
    this.parts.which.hidden = !this.canLookAhead;
    if (!this.seen || !this.place) return;
    if (this.place === this.asked) return;
    this.forget();
    this.ask();
  }

  /** Ask what the changes would pick; only the newest question counts, and one is under way at a time. */
  ask() {
    if (!this.place) return;
    this.asked = this.place;
    if (this.waiting && performance.now() - this.sent < LOST_MS) { this.again = true; return; }
    const [run, step] = this.asked.split(" ");
    this.waiting = ++this.number;
    this.sent = performance.now();
    this.again = false;
    this.question(this.number, { run, step: Number(step), change: this.touched ? this.change() : null });
  }

  /** Put one question to the server. */
  async question(number, asked) {
    try {
      this.receive(number, await this.preview(asked));
    } catch {
      this.receive(number, { error: "The server does not answer. Change something to ask again, or reload the page." });
    }
  }

  /** What was changed, as the server takes it. */
  change() {
    return { settings: this.settings, weights: [...this.weights], others: this.others, code: this.code };
  }

  /** An answer came; late ones are dropped. */
  receive(number, answer) {
    if (number !== this.number) return;
    this.waiting = 0;
    if (this.again) return this.ask();
    if (`${answer.run} ${answer.step}` !== this.asked && !answer.error) return;
    this.showError(answer.error);
    if (!answer.error) this.show(answer);
    this.root.dataset.ms = (performance.now() - this.sent).toFixed(1);
    this.root.dataset.number = number;
  }

  /** Something was changed by hand. */
  touch() {
    this.touched = true;
    this.ask();
  }

  /* ---- the controls */

  makeControls({ knobs, methods }) {
    this.knobs = knobs.map(([name, label, meaning, low, high, step]) => {
      const row = make("label", "wi-knob"), slider = make("input"), number = make("input");
      row.title = meaning;
      Object.assign(slider, { type: "range", min: low, max: high, step, name });
      Object.assign(number, { type: "number", min: low, max: high, step, name });
      slider.setAttribute("aria-label", meaning);
      number.setAttribute("aria-label", `${label}, as a number`);
      row.append(make("span", "", label), slider, number);
      for (const input of [slider, number]) {
        input.addEventListener("input", () => {
          if (!Number.isFinite(input.valueAsNumber)) return;
          this.settings[name] = input.valueAsNumber;
          (input === slider ? number : slider).value = input.value;
          this.touch();
        });
      }
      return { row, name, slider, number };
    });
    this.parts.knobs.replaceChildren(...this.knobs.map(({ row }) => row));
    this.methods = methods.map(([value, label]) => {
      const choice = make("label"), input = make("input");
      Object.assign(input, { type: "radio", name: "wi-method", value });
      input.addEventListener("change", () => { this.settings.method = value; this.touch(); });
      choice.append(input, make("span", "", label));
      return { choice, input };
    });
    this.parts.method.replaceChildren(...this.methods.map(({ choice }) => choice));
    this.codes = [];
    this.neighbours = [];
  }

  listen() {
    onPress(this.parts.branch, () => this.branch());
    onPress(this.parts.reset, () => { this.forget(); this.ask(); });
    this.parts.which.addEventListener("change", () => this.follow());
  }

  /** Follow the stepper, and its own size and place, until it goes. */
  watch(signal) {
    until(signal, new IntersectionObserver(([entry]) => { this.seen = entry.isIntersecting; this.outcome.see(this.seen); if (this.seen) this.settle(0); })).observe(this.root);
    until(signal, new ResizeObserver(() => this.answer && this.drawRace())).observe(this.parts["race-frame"]);
    document.addEventListener("loupe:step", () => this.settle(SETTLE_MS), { capture: true, signal });
    signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  /** Draw a branch; the focus and the page stay, and what comes of it is shown below the button. */
  branch() {
    this.outcome.expect();
    this.send("branch");
  }

  /** Let the server draw: a branch with the changes, or the next patch with a chosen code. */
  send(kind, code) {
    if (!this.answer) return;
    const { run, step } = this.answer;
    const wish = kind === "choose" ? { run, code } : { run, step, change: this.change() };
    this.redo = () => this.trigger(kind, wish);
    this.redo();
  }

  /** Take a code: at once where it is the next one, and as a change to branch with elsewhere. */
  take(code) {
    if (this.answer.ahead) return this.send("choose", code);
    this.code = this.code === code ? null : code;
    this.touch();
  }

  /** Put a factor on the mass of a neighbour. */
  weigh(entry, factor) {
    if (!Number.isFinite(factor) || factor < 0) return;
    this.weights.set(entry, factor);
    if (factor === this.others) this.weights.delete(entry);
    this.touch();
  }

  /** Let this neighbour speak while all that are not pinned are silent; once more lets go. */
  pin(entry) {
    if (this.others !== 0) {
      this.others = 0;
      this.weights = new Map([[entry, 1]]);
    } else if (this.weights.has(entry)) {
      this.weights.delete(entry);
      if (!this.weights.size) this.others = 1;
    } else this.weights.set(entry, 1);
    this.touch();
  }

  /** The factor of a neighbour. */
  factor(entry) {
    return this.weights.get(entry) ?? this.others;
  }

  /* ---- showing an answer */

  show(answer) {
    this.answer = answer;
    if (!this.touched) {
      this.weights = new Map(answer.change.weights);
      this.others = answer.change.others;
    }
    this.root.dataset.state = "ready";
    Object.assign(this.root.dataset, { run: answer.run, step: answer.step });
    this.parts.empty.hidden = true;
    this.parts.body.hidden = false;
    this.parts.which.hidden = !this.canLookAhead;
    setText(this.parts.title, `${answer.ahead ? "The next patch" : "Position"} ${answer.step}, row ${answer.place[0]}, column ${answer.place[1]}`);
    setText(this.parts.said, answer.said);
    setOff(this.parts.branch, !answer.said || (answer.said === "the same"));
    setOff(this.parts.reset, !this.touched);
    this.showControls(answer);
    this.showOutcome(answer);
    this.showCodes(answer);
    this.showNeighbours(answer);
    this.drawRace();
  }

  showError(message) {
    setText(this.parts.error, message || "");
    this.parts.error.hidden = !message;
    if (message) say(message);
  }

  showControls({ settings, recorded, beyond, skipped, can_blend: blenders }) {
    const active = document.activeElement;
    for (const { row, name, slider, number } of this.knobs) {
      for (const input of [slider, number]) if (input !== active) input.value = settings[name];
      row.classList.toggle("is-changed", settings[name] !== recorded[name]);
    }
    for (const { choice, input } of this.methods) {
      input.checked = input.value === settings.method;
      input.disabled = input.value.startsWith("faid") && !blenders;
      choice.classList.toggle("is-changed", input.checked && settings.method !== recorded.method);
    }
    const notes = [...beyond];
    this.parts.beyond.hidden = !notes.length;
    setText(this.parts.beyond, notes.length ? `The trace alone cannot tell all of it: ${notes.join("; ")}. Branch to see.` : "");
    this.root.classList.toggle("is-silent", Boolean(skipped));
  }

  showOutcome({ before, after, ahead }) {
    const chance = ({ code, chance }) => `code ${code} (${percent(chance)} %)`;
    setText(this.parts.verdict, before.code === after.code
      ? `${ahead ? "Would take" : "Takes"} ${chance(after)}, ${this.touched ? "with the change too" : `λ here ${short(after.weight)}`}`
      : `${this.code === null ? "Takes" : "Forced:"} ${chance(after)} instead of ${chance(before)}`);
    this.parts.verdict.classList.toggle("is-flip", before.code !== after.code);
    if (this.touched) say(this.parts.verdict.textContent);
  }

  /** Where the looks of codes are, at the position that is asked about. */
  view() {
    const { trace = null, atlas = null, colours = {} } = this.loupe ?? {};
    return { trace, atlas, colours, step: this.answer?.step ?? -1 };
  }

  drawRace() {
    const { rule, codes, before, after } = this.answer, { loupe } = this, { race } = this.parts;
    if (!loupe?.colours) return;
    race.hidden = this.parts["race-keys"].hidden = rule !== "gumbel";
    if (race.hidden) return;
    const winners = [before.code, this.code === null ? after.code : NOBODY], { colours } = loupe;  // a forced code wins no race
    const racers = furthest(codes.map(([code, , , was, now, noise]) => ({ code, noise, chances: [was, now] })), winners, 4);
    const lanes = [{ winner: winners[0], colour: colours.model }, { winner: winners[1], colour: colours.blended }];
    drawRace(race, this.parts["race-frame"].clientWidth, racers, lanes, this.view());
    race.setAttribute("aria-label", `The race: code ${before.code} as it was, code ${after.code} what if${this.code === null ? "" : ", forced"}`);
  }

  showCodes({ codes, before, after, ahead }) {
    const rows = rowsFor(this.codes, codes.map(([code]) => code), () => this.makeCode());
    setChildren(this.parts.codes, rows.map(({ row }) => row));
    codes.forEach(([code, model, retrieval, was, now], i) => {
      const { row, patch, number, tag, cells, take } = rows[i];
      drawCode(prepare(patch, 20, 20), this.view(), code, 0, 0, 20, 20);
      setText(number, String(code));
      setText(tag, code === after.code ? (code === this.code ? "forced" : "taken") : code === before.code ? "was taken" : "");
      [model, retrieval, was, now].forEach((share, k) => setText(cells[k], percent(share)));
      row.className = code === after.code ? "is-taken" : code === before.code ? "is-alone" : "";
      row.dataset.code = code;
      setText(take, ahead ? "take" : code === this.code ? "let go" : "force");
      setTitle(take, ahead ? `Take code ${code} as the next patch and pause again` : `Force code ${code} here, whatever the mix says`);
      take.setAttribute("aria-label", take.title);
      take.onclick = () => this.take(code);
    });
  }

  makeCode() {
    const row = make("tr"), patch = makePatch("lp-patch"), picture = make("td", "lp-patch-cell"), name = make("td", "lp-code");
    const number = make("b"), tag = make("small"), cells = Array.from({ length: 4 }, () => make("td", "lp-percent"));
    const last = make("td", "wi-take"), take = make("button");
    take.type = "button";
    picture.append(patch);
    name.append(number, tag);
    last.append(take);
    row.append(picture, name, ...cells, last);
    return { row, patch, number, tag, cells, take };
  }

  showNeighbours({ neighbours, skipped, found, settings }) {
    this.parts.nothing.hidden = neighbours.length > 0;
    this.parts.near.hidden = !neighbours.length;
    setText(this.parts.nothing, skipped ? `Nothing was looked up here: ${skipped}.` : "");
    setText(this.parts["near-text"], neighbours.length ? `${neighbours.length} of ${found} shown, nearest first` : "");
    const rows = rowsFor(this.neighbours, neighbours.map(({ entry }) => entry), () => this.makeNeighbour());
    setChildren(this.parts.neighbours, rows.map(({ row }) => row));
    neighbours.forEach((near, i) => {
      const { row, patch, caption, distance, share, weight, drop, pin, isSame } = rows[i], factor = this.factor(near.entry);
      drawCode(prepare(patch, 20, 20), this.view(), near.code, 0, 0, 20, 20);
      setText(caption, captionOf(near));
      setTitle(caption, `${captionOf(near)}: picture ${near.place[0]}, row ${near.place[1]}, column ${near.place[2]}, code ${near.code}`);
      setText(distance, short(near.distance));
      setText(share, near.shares[0] === near.shares[1] ? percent(near.shares[0]) : `${percent(near.shares[0])} → ${percent(near.shares[1])}`);
      if (!isSame || document.activeElement !== weight) weight.value = factor;
      row.classList.toggle("is-dropped", factor === 0 || (settings.n_neighbours > 0 && i >= settings.n_neighbours));
      row.classList.toggle("is-changed", factor !== 1);
      row.dataset.entry = near.entry;
      drop.setAttribute("aria-pressed", String(this.others !== 0 && factor === 0));
      pin.setAttribute("aria-pressed", String(this.others === 0 && factor > 0));
      for (const [button, word] of [[drop, "Drop"], [pin, "Pin"]]) button.setAttribute("aria-label", `${word} neighbour ${i + 1}, ${near.caption}`);
      weight.setAttribute("aria-label", `Factor of neighbour ${i + 1}, ${near.caption}`);
      drop.onclick = () => this.weigh(near.entry, factor === 0 ? 1 : 0);
      pin.onclick = () => this.pin(near.entry);
      weight.oninput = () => this.weigh(near.entry, weight.valueAsNumber);
      weight.onblur = () => { weight.value = this.factor(near.entry); };
    });
  }

  makeNeighbour() {
    const row = make("tr"), patch = makePatch("lp-patch"), picture = make("td", "lp-patch-cell"), caption = make("td", "wi-caption");
    const distance = make("td", "lp-percent"), share = make("td", "wi-share"), weighed = make("td", "wi-weight"), last = make("td", "wi-drop");
    const weight = make("input"), drop = make("button", "", "drop"), pin = make("button", "", "pin");
    Object.assign(weight, { type: "number", min: 0, max: 1000, step: 0.5 });
    drop.type = pin.type = "button";
    drop.title = "Leave it out here";
    pin.title = "Let only this one (and others that are pinned) speak here";
    picture.append(patch);
    weighed.append(weight);
    last.append(drop, pin);
    row.append(picture, caption, distance, share, weighed, last);
    return { row, patch, caption, distance, share, weight, drop, pin };
  }
}

/** Make the panel from what the server offers; other parts of the page find it as the property `whatif` of its host. */
export function mount({ element, trigger, server }) {
  const host = /** @type {any} */ (element.closest("#whatif"));
  return (offers) => { host.whatif ??= new WhatIf(element, trigger, server, lifetimeOf(element), offers); };
}
