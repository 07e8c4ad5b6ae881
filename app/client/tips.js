/* Tooltips: what a control or number is, shown to the pointer and said to screen readers. */

import { setTitle } from "./dom.js";

/**
 * From now on, what the pointer or the focus is on gets its tooltip; an element that has a title of its own keeps it.
 * @param {AbortSignal} signal ends it
 * @param {Object<string, string>} tips by selector; of several that fit, the innermost element's
 */
export function explain(signal, tips) {
  const show = ({ target }) => {
    if (!(target instanceof Element) || target.closest("[title]:not([title=''])")) return;
    const hits = Object.keys(tips).map((selector) => /** @type {const} */ ([target.closest(selector), selector])).filter(([node]) => node);
    const inner = hits.find(([node]) => hits.every(([other]) => other.contains(node)));
    if (inner) setTitle(inner[0], tips[inner[1]]);
  };
  for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, show, { passive: true, signal });
}
