/* Tooltips: what a control or number is, shown to pointer, focus and touch, and said to screen readers. */

import { setTitle } from "./dom.js";

const PRESSED = "button, a, input, select, textarea, label, summary, canvas[tabindex]";
const TYPED = "textarea, input:not([type=radio], [type=checkbox], [type=range], [type=button])"; // a bubble would hide what is typed

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

/**
 * From now on, titles are also seen by those who have no pointer to rest: on what the keyboard focuses, and on what a finger
 * touches and does not press. Browsers show them to a mouse alone.
 * @param {AbortSignal} signal ends it
 * @param {HTMLElement} bubble shows them; screen readers have the title itself
 */
export function showTips(signal, bubble) {
  const hide = () => { bubble.hidden = true; };
  const show = (node) => requestAnimationFrame(() => {  // when those who explain have given it its title
    const told = node.closest("[title]:not([title=''])");
    if (!told?.isConnected) return hide();
    const box = told.getBoundingClientRect(), width = document.documentElement.clientWidth;
    Object.assign(bubble, { textContent: told.title, hidden: false });
    const below = box.bottom + 6, room = innerHeight - bubble.offsetHeight - 4;
    bubble.style.top = `${(below > room ? Math.max(4, box.top - bubble.offsetHeight - 6) : below) + scrollY}px`;
    bubble.style.left = `${Math.max(8, Math.min(box.left, width - bubble.offsetWidth - 8)) + scrollX}px`;
  });
  document.body.append(bubble);  // it is placed by the page
  signal.addEventListener("abort", () => bubble.remove());
  document.addEventListener("focusin", ({ target }) => {
    if (target instanceof Element && target.matches(":focus-visible") && !target.matches(TYPED)) show(target);
    else hide();
  }, { signal });
  document.addEventListener("pointerup", ({ target, pointerType }) => {
    if (pointerType === "touch" && target instanceof Element && !target.closest(PRESSED)) show(target);
  }, { signal });
  document.addEventListener("pointerdown", hide, { signal, passive: true });
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide(), { signal });
  for (const kind of ["focusout", "scroll"]) document.addEventListener(kind, hide, { signal, passive: true });
}
