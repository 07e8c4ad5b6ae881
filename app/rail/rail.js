/*
 * The rail: the runs of a visit beside each other, each after the one that it branched from. One is shown in the stepper;
 * two to four can be chosen to be compared.
 *
 * It takes RailData (see rail.py). Names are a visitor's own words and reach the page as text only. Other parts of the page
 * find it as the property `rail` of its host.
 */

import { onPress, partsOf, rowsFor, setChildren, setOff, setText } from "../client/dom.js";
import { LETTERS } from "../client/letters.js";
import { lifetimeOf, until } from "../client/lifetime.js";
import { plural } from "../client/numbers.js";
import { FIELDS, find, openTab, pageStepper } from "../client/page.js";
import { say } from "../client/speech.js";
import { summaryText } from "../stepper/summary.js";
import { History } from "./history.js";
import { drawLines } from "./lines.js";
import { askName, askWhetherToDelete, makeRun, showRun } from "./run.js";

class Rail {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {(event: string, data: object) => void} trigger tells the server
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, trigger, signal) {
    this.trigger = trigger;
    this.parts = partsOf(element, "", "rl");
    this.root = this.parts.root;
    this.host = /** @type {any} */ (element.closest("#rail")) || this.root;
    this.host.rail = this;
    this.history = new History();
    this.rows = [];
    this.items = [];
    this.runs = new Map();
    this.chosen = [];
    this.most = this.longestName = 0;
    this.shown = this.opening = this.at = "";
    this.listen();
    this.watch(signal);
  }

  /** Show the runs; those that were chosen stay so, unless the server names others. */
  receive(data) {
    if (!data) return;
    const held = this.parts.runs.contains(document.activeElement);
    Object.assign(this, { most: data.most_compared, longestName: data.longest_name });
    this.runs = new Map(data.runs.map((run) => [run.id, run]));
    this.history.keep(new Set(this.runs.keys()));
    this.choose((data.chosen || this.chosen).filter((run) => this.runs.has(run)));
    this.items = rowsFor(this.rows, [...this.runs.keys()], () => makeRun(this));
    setChildren(this.parts.runs, this.items.map(({ item }) => item));
    this.root.dataset.runs = this.runs.size;
    this.follow();
    if (held && !this.parts.runs.contains(document.activeElement)) this.focus(this.runs.has(this.shown) ? this.shown : this.at);
  }

  /** The stepper shows a run: mark it, and bring it into sight. */
  follow() {
    const here = pageStepper()?.trace?.id ?? this.shown, isNew = here !== this.root.dataset.shown;
    this.shown = here;
    if (this.runs.has(here)) {
      this.history.visit(here);
      if (isNew) this.at = here;
    }
    if (!this.runs.has(this.at)) this.at = this.items.at(-1)?.key ?? "";
    this.show();
    if (!isNew || !this.runs.has(here)) return;
    this.root.dataset.shown = here;
    this.reveal(here);
    if (here === this.opening) this.tell(this.runs.get(here));
    this.opening = "";
  }

  /** Say which run was opened. */
  tell({ name, tags }) {
    const { trace } = pageStepper();
    say(`${name}: ${tags.join(", ")}. ${summaryText(trace)}`);
  }

  show() {
    for (const row of this.items) {
      const letter = LETTERS[this.chosen.indexOf(row.key)] ?? "";
      showRun(row, this.runs.get(row.key), { letter, isShown: row.key === this.shown, isAt: row.key === this.at });
    }
    setOff(this.parts.undo, !this.history.before);
    setOff(this.parts.redo, !this.history.after);
    setOff(this.parts.rename, !this.runs.has(this.shown));
    setOff(this.parts.drop, !this.canDrop(this.shown));
    this.drawLines();
  }

  /** Draw the lines from parents to their branches, once the items have their places. */
  drawLines() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => drawLines(this.parts.lines, this.parts.runs, this.items, this.runs, this.shown));
  }

  /** The row of a run. */
  row(run) {
    return this.items.find(({ key }) => key === run);
  }

  /** Bring a run into sight; the page does not move. */
  reveal(run) {
    const { strip } = this.parts, item = this.row(run)?.item;
    if (!item) return;
    const box = item.getBoundingClientRect(), frame = strip.getBoundingClientRect(), margin = box.width / 2;
    if (box.left < frame.left) strip.scrollLeft += box.left - frame.left - margin;
    else if (box.right > frame.right) strip.scrollLeft += box.right - frame.right + margin;
  }

  /** Focus a run, without a move of the page. */
  focus(run) {
    if (!this.row(run)) return;
    this.at = run;
    this.show();
    this.row(run).item.focus({ preventScroll: true });
    this.reveal(run);
  }

  /* ---- events */

  listen() {
    const { undo, redo, rename, drop, compare, runs } = this.parts;
    onPress(undo, () => this.open(this.history.go(-1)));
    onPress(redo, () => this.open(this.history.go(1)));
    onPress(rename, () => this.rename(this.shown, rename));
    onPress(drop, () => this.drop(this.shown, drop));
    onPress(compare, () => this.compare());
    runs.addEventListener("keydown", (event) => this.press(event));
  }

  /** Follow the stepper, the keys of the page, and its own size, until it goes. */
  watch(signal) {
    const { style } = document.documentElement;
    const measure = () => { style.setProperty("--rail", `${this.host.offsetHeight}px`); this.drawLines(); };
    until(signal, new ResizeObserver(measure)).observe(this.host);
    document.addEventListener("loupe:trace", () => this.follow(), { capture: true, signal });
    document.addEventListener("keydown", (event) => this.pressAnywhere(event), { signal });
    signal.addEventListener("abort", () => { cancelAnimationFrame(this.frame); style.removeProperty("--rail"); });
  }

  /** Ctrl+Z and Ctrl+Shift+Z, except in a field, where they are about what was typed. */
  pressAnywhere(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "z" || event.defaultPrevented) return;
    if (!(event.shiftKey ? this.history.after : this.history.before) || event.target.closest?.(`${FIELDS}, [role=dialog]`) || find("dialog[open]")) return;
    event.preventDefault();
    this.open(this.history.go(event.shiftKey ? 1 : -1));
  }

  /** Keys of the run that has the focus. */
  press(event) {
    const place = this.items.findIndex(({ item }) => item === event.target);
    if (place < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const run = this.items[place].key, last = this.items.length - 1;
    const moves = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: last };
    if (event.key in moves) this.focus(this.items[Math.min(Math.max(moves[event.key], 0), last)].key);
    else if (event.key === "Enter") this.open(run);
    else if (event.key === " ") this.toggle(run);
    else if (event.key === "F2") this.rename(run, event.target);
    else if (event.key === "Delete") this.drop(run, event.target);
    else return;
    event.preventDefault();
  }

  /* ---- what one does with runs */

  /** Show a run in the stepper, at the position where that stands. */
  open(run) {
    if (!run || run === pageStepper()?.trace?.id) return;
    this.opening = run;
    this.trigger("show", { run, step: pageStepper()?.step ?? -1 });
  }

  /** Choose a run, or do not choose it any more; one too many takes the place of the last. */
  toggle(run) {
    const others = this.chosen.filter((other) => other !== run);
    this.choose(others.length < this.chosen.length ? others : [...others.slice(0, this.most - 1), run]);
    this.show();
    if (this.chosen.length > 1) this.pick();
  }

  choose(runs) {
    const { compare } = this.parts, count = runs.length;
    this.chosen = runs;
    this.root.dataset.chosen = runs.join(" ");
    if (!count && document.activeElement === compare) this.focus(this.at);
    compare.hidden = !count;
    setOff(compare, count < 2);
    const [verb, letters] = compare.children;
    setText(verb, count < 2 ? "Choose another" : "Compare");
    setText(letters, count < 2 ? "" : ` ${LETTERS.slice(0, count).join(", ")}`);
  }

  /** Fill the comparison with what is chosen. */
  pick() {
    this.trigger("pick", { runs: this.chosen });
  }

  /** Go to the comparison of what is chosen, or of other runs. */
  compare(runs) {
    if (runs) {
      this.choose(runs.filter((run) => this.runs.has(run)));
      this.show();
      this.pick();
    }
    openTab("Compare");
    find("#workbench").scrollIntoView({ block: "start" });
  }

  /** Let a run be named in its place. */
  rename(run, from) {
    const row = this.row(run), { name } = this.runs.get(run) ?? {};
    if (!row) return;
    this.reveal(run);
    askName(row, name, this.longestName, (given) => this.trigger("rename", { run, name: given }), () => from.focus({ preventScroll: true }));
  }

  /** The only run stays: there would be nothing to show. */
  canDrop(run) {
    return this.runs.has(run) && this.runs.size > 1;
  }

  /** Let a run be deleted, once that was said twice. */
  drop(run, from) {
    if (!this.canDrop(run)) return;
    this.reveal(run);
    askWhetherToDelete(this.row(run), this.runs.get(run).name, () => {
      this.trigger("drop", { run, step: pageStepper()?.step ?? -1 });
      say(`Deleted. ${plural(this.runs.size - 1, "run")} left.`);
    }, () => from.focus({ preventScroll: true }));
  }
}

/** Make the rail; returns what takes its runs. */
export function mount({ element, trigger }) {
  const rail = new Rail(element, trigger, lifetimeOf(element));
  return (data) => rail.receive(data);
}
