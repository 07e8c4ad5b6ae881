/* Elements of the page: made, and changed only where they differ. */

/** A new element with a class and a text. */
function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

/** Set text only where it changed, which spares layout while scrubbing. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set a tooltip only where it changed. */
function setTitle(node, text) {
  if (node.title !== text) node.title = text;
}
