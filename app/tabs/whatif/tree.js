/*
 * The tree of a visit's runs: show one, rename one, undo and redo. It takes {shown, nodes} (see branches.py);
 * names are a visitor's own words and reach the page as text only.
 */

import { isComposing, make, onPress, partsOf, rowsFor, setChildren, setOff, setText } from "../../client/dom.js";
import { plural } from "../../client/numbers.js";
import { pageStepper } from "../../client/page.js";

class Tree {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {(event: string, data: object) => void} trigger tells the server
   */
  constructor(element, trigger) {
    this.trigger = trigger;
    this.parts = partsOf(element, "", "wt");
    this.nodes = [];
    this.shown = "";
    this.left = [];
    this.rows = [];
    onPress(this.parts.undo, () => this.undo());
    onPress(this.parts.redo, () => this.redo());
  }

  /** The run that is in the stepper. */
  get here() {
    return this.nodes.find(({ id }) => id === this.shown);
  }

  show(value) {
    if (!value) return;
    this.nodes = value.nodes;
    if (value.shown !== this.shown && value.shown !== this.going) this.left = [];
    this.going = "";
    this.shown = value.shown;
    const known = new Set(this.nodes.map(({ id }) => id));
    this.left = this.left.filter((id) => known.has(id));
    const depth = new Map();
    for (const node of this.nodes) depth.set(node.id, node.parent ? depth.get(node.parent) + 1 : 0);
    const rows = rowsFor(this.rows, this.nodes.map(({ id }) => id), () => this.makeRow());
    setChildren(this.parts.runs, rows.map(({ row }) => row));
    rows.forEach((row, i) => this.showRow(row, this.nodes[i], depth.get(this.nodes[i].id)));
    setText(this.parts.count, plural(this.nodes.length, "run"));
    setOff(this.parts.undo, !this.here?.parent);
    setOff(this.parts.redo, !this.left.length);
  }

  /** A run's place in the list: a button that shows it, and one to rename it. */
  makeRow() {
    const row = make("li"), open = make("button", "wt-open"), picture = make("img"), words = make("span", "wt-words");
    const name = make("b"), facts = make("small"), rename = make("button", "wt-rename", "rename");
    const made = { key: "", row, open, picture, name, facts, rename };
    Object.assign(picture, { width: 36, height: 36, alt: "" });
    words.append(name, facts);
    open.append(picture, words);
    open.type = rename.type = "button";
    open.title = "Show this run in the stepper";
    open.addEventListener("click", () => this.go(made.key));
    rename.addEventListener("click", () => this.rename(made));
    row.append(open, rename);
    return made;
  }

  showRow({ row, open, picture, name, facts, rename }, node, depth) {
    row.className = node.id === this.shown ? "is-shown" : "";
    row.dataset.run = node.id;
    row.style.setProperty("--depth", depth);
    const source = `data:image/webp;base64,${node.picture}`;
    if (picture.src !== source) picture.src = source;
    setText(name, node.name);
    setText(facts, about(node));
    if (node.id === this.shown) open.setAttribute("aria-current", "true");
    else open.removeAttribute("aria-current");
    rename.setAttribute("aria-label", `Rename ${node.name}`);
  }

  /** Let the name be typed in its place; Enter keeps it, Escape does not. An input method's own Enter does neither. */
  rename({ row, open, rename, name: shown, key: run }) {
    const input = make("input", "wt-name");
    Object.assign(input, { type: "text", value: shown.textContent, maxLength: 60 });
    input.setAttribute("aria-label", "Name of this run");
    let over = false;
    const done = (keep, stay) => {
      if (over) return;  // taking the field out of the page blurs it
      over = true;
      const name = input.value.trim();
      input.replaceWith(open, rename);
      if (stay) rename.focus({ preventScroll: true });
      if (keep && name && name !== shown.textContent) this.trigger("rename", { run, name });
    };
    row.replaceChildren(input);
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (isComposing(event) || !["Enter", "Escape"].includes(event.key)) return;
      event.preventDefault();  // the button that gets the focus is not pressed by this key
      done(event.key === "Enter", true);
    });
    input.addEventListener("blur", () => done(true, false));
    input.select();
  }

  go(run) {
    if (run !== this.shown) this.trigger("show", { run, step: pageStepper()?.step ?? -1 });
  }

  undo() {
    const { parent, id } = this.here || {};
    if (!parent) return;
    this.left.push(id);
    this.going = parent;
    this.go(parent);
  }

  redo() {
    const run = this.left.pop();
    if (!run) return;
    this.going = run;
    this.go(run);
  }
}

/** A run in a few words. */
function about(node) {
  const words = [node.method];
  if (node.parent) words.push(`from ${node.branch_step}`, `${plural(node.differs, "code")} differ${node.differs === 1 ? "s" : ""}`);
  if (node.by_hand) words.push(`${node.by_hand} by hand`);
  if (node.steps < node.positions) words.push(`paused at ${node.steps} of ${node.positions}`);
  return words.join(" · ");
}

/** Make the tree; returns what takes its values. */
export function mount({ element, trigger }) {
  const tree = new Tree(element, trigger);
  return (value) => tree.show(value);
}
