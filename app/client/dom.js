/* Elements of the page; texts are always text nodes, never markup. */

/** A new element with a class and a text. */
export function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

/** A canvas that shows only what stands beside it as text: screen readers pass over it. */
export function makePatch(className = "") {
  const canvas = make("canvas", className);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

/** Set text only where it changed, and in the text node that is there: a new one would have styles computed anew. */
export function setText(node, text) {
  const only = node.firstChild;
  if (!only || only !== node.lastChild || only.nodeType !== Node.TEXT_NODE) {
    if (node.textContent !== text) node.textContent = text;
  } else if (only.data !== text) only.data = text;
}

/** Set the length of a bar (0..1) only where it changed. */
export function setLength(bar, share) {
  const length = share.toFixed(3);
  if (bar.shows === length) return;
  bar.shows = length;
  bar.style.transform = `scaleX(${length})`;
}

/** Set a tooltip only where it changed. */
export function setTitle(node, text) {
  if (node.title !== text) node.title = text;
}

/** Make these the children of a node: those that are there already stay, and keep the focus. */
export function setChildren(parent, nodes) {
  const wanted = new Set(nodes), activeElement = /** @type {HTMLElement} */ (document.activeElement);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, i) => parent.children[i] === node || parent.insertBefore(node, parent.children[i] ?? null));
  if (activeElement !== document.activeElement && parent.contains(activeElement)) activeElement.focus({ preventScroll: true });
}

/**
 * One row for each key: what is shown keeps its row, other keys take the rows that are free, and the rest is made.
 * @param {Array} rows those that there are, each with the `key` that it showed last; more are added as they are needed
 * @returns {Array} the rows in the order of the keys
 */
export function rowsFor(rows, keys, makeRow) {
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
export function setOff(button, off) {
  button.setAttribute("aria-disabled", String(off));
}

/** Call back when a button is pressed that is not off. */
export function onPress(button, callback) {
  button.addEventListener("click", () => button.getAttribute("aria-disabled") !== "true" && callback());
}

/** Offer to try something again, once. */
export function offerAgain(button, retry) {
  Object.assign(button, { hidden: false, onclick: () => { button.onclick = null; retry(); } });
}

/** Hide a button; another element takes the focus that it may have. */
export function hideButton(button, heir) {
  if (document.activeElement === button) heir.focus({ preventScroll: true });
  button.hidden = true;
}

/**
 * Show numbers with their names as a list; texts change in their places.
 * @param {HTMLElement} list a `dl`
 * @param {string[][]} pairs name, value and meaning of each
 */
export function showPairs(list, pairs) {
  while (list.children.length < pairs.length) {
    const pair = make("div");
    pair.append(make("dt"), make("dd"));
    list.append(pair);
  }
  pairs.forEach(([name, value, meaning], i) => {
    const pair = list.children[i];
    setTitle(pair, meaning);
    setText(pair.firstChild, name);
    setText(pair.lastChild, value);
  });
}

/** Whether a key belongs to an input method, which is still composing a character. */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

/**
 * The template's elements by what they are called in an attribute, which starts with `prefix`.
 * @param {Element} element
 * @param {string} [prefix]
 * @param {string} [attribute] of the elements' data
 * @returns {Object<string, any>}
 */
export function partsOf(element, prefix = "", attribute = "part") {
  const nodes = /** @type {HTMLElement[]} */ ([...element.querySelectorAll(`[data-${attribute}]`)]);
  const named = nodes.map((node) => /** @type {const} */ ([node.dataset[attribute], node])).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(named.map(([name, node]) => [name.slice(prefix.length), node]));
}
