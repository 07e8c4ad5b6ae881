/*
 * Groups of radio buttons. Gradio gives each button a name of its own, so that each is a stop of the Tab key and arrows
 * do nothing; with one name for all, a group is one stop.
 */

import { until } from "../client/lifetime.js";

const APART = ".lp-pick input[type=radio]:not([name^='pick-'])";

/** From now on, the radio buttons of every picker are a group, whenever Gradio makes or names them anew. */
export function groupRadios(signal) {
  let due = 0;
  const group = () => {
    due = 0;
    for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll(APART))) join(radio);
  };
  const watch = new MutationObserver(() => { due ||= requestAnimationFrame(group); });
  until(signal, watch).observe(document.body, { childList: true, subtree: true, attributeFilter: ["name"] });
  group();
}

/** Let a button be one of its picker's group, which is called what the picker is. */
function join(radio) {
  const picker = radio.closest(".lp-pick"), wrap = radio.closest(".wrap"), checked = radio.checked;
  radio.name = `pick-${picker.id || picker.querySelector("[data-testid=block-info]")?.textContent}`;
  radio.checked = checked;
  wrap.setAttribute("role", "radiogroup");
  wrap.setAttribute("aria-label", picker.querySelector("[data-testid=block-info]")?.textContent ?? "");
}
