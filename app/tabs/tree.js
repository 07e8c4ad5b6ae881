/*
 * The tree of a visit's runs: show one, rename one, undo and redo. `props.value` is {shown, nodes} (see branches.py);
 * names are a visitor's own words and reach the page as text only.
 */

class Tree {
  constructor(element) {
    this.parts = {};
    for (const node of element.querySelectorAll("[data-wt]")) this.parts[node.dataset.wt] = node;
    this.nodes = [];
    this.shown = "";
    this.left = [];
    this.parts.undo.addEventListener("click", () => this.undo());
    this.parts.redo.addEventListener("click", () => this.redo());
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
    this.parts.runs.replaceChildren(...this.nodes.map((node) => this.row(node, depth.get(node.id))));
    setText(this.parts.count, plural(this.nodes.length, "run"));
    this.parts.undo.disabled = !this.here?.parent;
    this.parts.redo.disabled = !this.left.length;
  }

  row(node, depth) {
    const row = make("li", node.id === this.shown ? "is-shown" : "");
    row.dataset.run = node.id;
    row.style.setProperty("--depth", depth);
    const open = make("button", "wt-open"), picture = make("img"), words = make("span", "wt-words");
    open.type = "button";
    Object.assign(picture, { src: `data:image/webp;base64,${node.picture}`, width: 36, height: 36, alt: "" });
    words.append(make("b", "", node.name), make("small", "", about(node)));
    open.append(picture, words);
    open.title = "Show this run in the stepper";
    if (node.id === this.shown) open.setAttribute("aria-current", "true");
    open.addEventListener("click", () => this.go(node.id));
    const rename = make("button", "wt-rename", "rename");
    rename.type = "button";
    rename.setAttribute("aria-label", `Rename ${node.name}`);
    rename.addEventListener("click", () => this.rename(row, node));
    row.append(open, rename);
    return row;
  }

  /** Let the name be typed in its place; Enter keeps it, Escape does not. */
  rename(row, node) {
    const input = make("input", "wt-name");
    Object.assign(input, { type: "text", value: node.name, maxLength: 60 });
    input.setAttribute("aria-label", "Name of this run");
    let over = false;
    const done = (keep) => {
      if (over) return;  // taking the field out of the page blurs it
      over = true;
      const name = input.value.trim();
      input.replaceWith(...old);
      if (keep && name && name !== node.name) trigger("rename", { run: node.id, name });
    };
    const old = [...row.children];
    row.replaceChildren(input);
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") done(true);
      if (event.key === "Escape") done(false);
    });
    input.addEventListener("blur", () => done(true));
    input.select();
  }

  go(run) {
    if (run !== this.shown) trigger("show", { run, step: document.querySelector("#stepper")?.loupe?.step ?? -1 });
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

const tree = new Tree(element);
watch("value", () => tree.show(props.value));
tree.show(props.value);
