/*
 * The shortcuts that work everywhere but in a field.
 *
 * Keys that a part of the page has used are marked by it as done (preventDefault), and are left alone here.
 */

import { FIELDS, find, openTab, pageStepper } from "../client/page.js";

// where the arrows step although the focus is elsewhere: on a button that draws also Home and End, which scroll otherwise
const DRAWING = "#ask button, #chips button, #onward button";
const SETTING = "loupe-keys";
const OWN_ARROWS = "[role=tab], [role=menu], [role=listbox], [role=radiogroup], .sw-tile, .grid-wrap";

/** Focus the picture of the stepper. */
export const goToPicture = () => pageStepper()?.goHere();

/** Open a tab by its place. */
function openTabAt(place) {
  const [...every] = document.querySelectorAll("#workbench > .tab-wrapper .visually-hidden button");
  if (every[place]) openTab(every[place].textContent.trim());
}

/** Whether the picture takes a key that was pressed on something outside of it. */
function stepsFrom(target, key) {
  if (/^[a-z]$/i.test(key)) return true;
  if (/^(Home|End| )$/.test(key)) return target === document.body || (key !== " " && Boolean(target.closest(DRAWING)));
  if (!/^Arrow(Left|Right)$/.test(key)) return false;
  return target === document.body || Boolean(target.closest("button") && !target.closest(OWN_ARROWS));
}

/** Whether single keys are shortcuts; a visitor may turn them off, for speech input and keys that are hit by mistake (WCAG 2.1.4). */
function singleKeys() {
  try { return localStorage.getItem(SETTING) !== "off"; } catch { return true; }
}

/** Let the visitor turn single keys off and on. */
export function offerSingleKeys(box) {
  box.checked = singleKeys();
  box.addEventListener("change", () => {
    try { localStorage.setItem(SETTING, box.checked ? "on" : "off"); } catch { box.checked = true; /* nothing can be stored here */ }
  });
}

/**
 * Listen for the shortcuts.
 * @param {AbortSignal} signal ends it
 * @param {HTMLDialogElement} list of the shortcuts
 * @param {string[]} tabKeys the digit of each tab, in the order of the tabs
 */
export function listenForKeys(signal, list, tabKeys) {
  const places = {
    "?": () => list.showModal(),
    "/": () => find("#prompt textarea, #prompt input").focus(),
    g: goToPicture,
  };
  const press = (event) => {
    if (event.defaultPrevented || event.isComposing || event.keyCode === 229 || find("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      find("#generate").click();
      return goToPicture();
    }
    const target = event.target instanceof Element ? event.target : document.body;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest(`${FIELDS}, [role=dialog]`)) return;
    if (event.key.length === 1 && event.key !== " " && !singleKeys()) return;
    if (event.key in places) places[event.key]();
    else if (tabKeys.includes(event.key)) openTabAt(tabKeys.indexOf(event.key));
    else if (stepsFrom(target, event.key)) return pageStepper()?.press(event);
    else return;
    event.preventDefault();
  };
  document.addEventListener("keydown", press, { signal });
}
