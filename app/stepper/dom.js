/* Elements of the page; texts are always text nodes, never markup. */

/** A new element with a class and a text. */
function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

/** A canvas that shows only what stands beside it as text: screen readers pass over it. */
function makePatch(className = "") {
  const canvas = make("canvas", className);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

/** Set text only where it changed, and in the text node that is there: a new one would have styles computed anew. */
function setText(node, text) {
  const only = node.firstChild;
  if (!only || only !== node.lastChild || only.nodeType !== Node.TEXT_NODE) {
    if (node.textContent !== text) node.textContent = text;
  } else if (only.data !== text) only.data = text;
}

/** Set the length of a bar (0..1) only where it changed. */
function setLength(bar, share) {
  const length = share.toFixed(3);
  if (bar.shows === length) return;
  bar.shows = length;
  bar.style.transform = `scaleX(${length})`;
}

/** Set a tooltip only where it changed. */
function setTitle(node, text) {
  if (node.title !== text) node.title = text;
}

/** Make these the children of a node: those that are there already stay, and keep the focus. */
function setChildren(parent, nodes) {
  const wanted = new Set(nodes), { activeElement } = document;
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, i) => parent.children[i] === node || parent.insertBefore(node, parent.children[i] ?? null));
  if (activeElement !== document.activeElement && parent.contains(activeElement)) activeElement.focus({ preventScroll: true });
}

/**
 * One row for each key: what is shown keeps its row, other keys take the rows that are free, and the rest is made.
 * @param {Array} rows those that there are, each with the `key` that it showed last; more are added as they are needed
 * @returns {Array} the rows in the order of the keys
 */
function rowsFor(rows, keys, makeRow) {
  const taken = new Set(), found = keys.map((key) => rows.find((row) => row.key === key));
  for (const row of found) if (row) taken.add(row);
  return keys.map((key, i) => {
    let row = found[i] || rows.find((other) => !taken.has(other));
    if (!row) rows.push(row = makeRow());
    taken.add(row);
    row.isSame = row.key === key;
    row.key = key;
    return row;
  });
}

/** Turn a button off or on; unlike one that is `disabled`, it keeps the focus. */
function setOff(button, off) {
  button.setAttribute("aria-disabled", String(off));
}

/** Call back when a button is pressed that is not off. */
function onPress(button, callback) {
  button.addEventListener("click", () => button.getAttribute("aria-disabled") !== "true" && callback());
}

/** Offer to try something again, once. */
function offerAgain(button, retry) {
  Object.assign(button, { hidden: false, onclick: () => { button.onclick = null; retry(); } });
}

/** Hide a button; another element takes the focus that it may have. */
function hideButton(button, heir) {
  if (document.activeElement === button) heir.focus({ preventScroll: true });
  button.hidden = true;
}

/** Whether a key belongs to an input method, which is still composing a character. */
const isComposing = (event) => event.isComposing || event.keyCode === 229;

/** The template's elements by their data-part, which starts with `prefix`. */
function partsOf(element, prefix = "") {
  const nodes = [...element.querySelectorAll("[data-part]")].filter((node) => node.dataset.part.startsWith(prefix));
  return Object.fromEntries(nodes.map((node) => [node.dataset.part.slice(prefix.length), node]));
}

/** Which update of the server is the newest; those of an older run, and late ones of the same run, are dropped. */
class Newest {
  constructor() {
    Object.assign(this, { run: -1, number: -1 });
  }

  /** Whether the update is newer than all before it; from then on it is the newest. */
  take(update) {
    if (!update || update.run < this.run || (update.run === this.run && update.number <= this.number)) return false;
    Object.assign(this, { run: update.run, number: update.number });
    return true;
  }

  /** Whether no newer update has arrived since this one. */
  is(update) {
    return update.run === this.run && update.number === this.number;
  }
}
