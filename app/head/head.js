/* The page's head: light and dark, the skip link, the list of shortcuts, and what holds everywhere on the page. */

import { make } from "../client/dom.js";
import { lifetimeOf } from "../client/lifetime.js";
import { explain } from "../client/tips.js";
import { watchNumbers } from "./fields.js";
import { goToPicture, listenForKeys } from "./keys.js";
import { TIPS } from "./tips.js";

const THEME = "loupe-theme";

/** What the visitor chose; null before, and where nothing can be stored. */
function chosenTheme() {
  try { return localStorage.getItem(THEME); } catch { return null; }
}

/** Light and dark: the system's, until the visitor chooses. */
function offerThemes(button) {
  if (chosenTheme()) document.body.classList.toggle("dark", chosenTheme() === "dark");
  button.addEventListener("click", () => {
    const dark = document.body.classList.toggle("dark");
    try { localStorage.setItem(THEME, dark ? "dark" : "light"); } catch { /* private windows: for this visit only */ }
  });
}

/** The list of shortcuts: a modal dialog, which keeps the focus and gives it back. */
function offerList(list, button) {
  button.addEventListener("click", () => list.showModal());
  list.querySelector(".page-close").addEventListener("click", () => list.close());
  list.addEventListener("click", (event) => event.target === list && list.close());
  list.addEventListener("keydown", (event) => {
    if (event.key !== "?") return;
    event.preventDefault();
    list.close();
  });
}

/** Name the tabs and their keys in the list. */
function listTabs(row, tabs) {
  const keys = tabs.map(({ key }) => make("kbd", "", key)), [name, text] = row.children;
  name.replaceChildren(...(keys.length > 2 ? [keys[0], " … ", keys.at(-1)] : keys));
  text.textContent = `open a tab: ${tabs.map(({ key, label }) => `${key} ${label}`).join(", ")}`;
}

/** Make the head; returns what takes the tabs of the page ({label, key}, in their order) and the tooltips in them. */
export function mount({ element }) {
  const signal = lifetimeOf(element), list = element.querySelector(".page-shortcuts"), button = element.querySelector(".page-keys");
  offerThemes(element.querySelector(".page-theme"));
  offerList(list, button);
  element.querySelector(".page-skip").addEventListener("click", (event) => {
    event.preventDefault();
    goToPicture();
  });
  watchNumbers(signal, element.querySelector(".page-said"));
  return ({ tabs, tips }) => {
    listTabs(element.querySelector(".page-tab-keys"), tabs);
    explain(signal, { ...TIPS, ...tips });
    listenForKeys(signal, list, tabs.map(({ key }) => key));
    button.setAttribute("aria-keyshortcuts", "?");  // from here on
  };
}
