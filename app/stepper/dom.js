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
