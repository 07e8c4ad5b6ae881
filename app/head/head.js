/* The page's head: light and dark, the skip link, the list of shortcuts, and what holds everywhere on the page. */

import { make } from "../client/dom.js";
import { lifetimeOf, until } from "../client/lifetime.js";
import { explain, showTips } from "../client/tips.js";
import { watchNumbers } from "./fields.js";
import { goToPicture, listenForKeys, offerSingleKeys } from "./keys.js";
import { keepPace } from "./pace.js";
import { groupRadios } from "./radios.js";
import { TIPS } from "./tips.js";

const THEME = "loupe-theme";

/** Say that the page is English: Gradio names the language of the browser, which its own few words are in. */
function sayEnglish(signal) {
  const { documentElement } = document;
  const say = () => { if (documentElement.lang !== "en") documentElement.lang = "en"; };
  until(signal, new MutationObserver(say)).observe(documentElement, { attributeFilter: ["lang"] });
  say();
}

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
  const keyed = tabs.filter(({ key }) => key);
  const keys = keyed.map(({ key }) => make("kbd", "", key)), [name, text] = row.children;
  name.replaceChildren(...(keys.length > 2 ? [keys[0], " … ", keys.at(-1)] : keys));
  text.textContent = `open a tab: ${keyed.map(({ key, label }) => `${key} ${label}`).join(", ")}`;
}

/** Make the head; returns what takes the tabs of the page ({label, key}, in their order) and the tooltips in them. */
export function mount({ element }) {
  const signal = lifetimeOf(element), list = element.querySelector(".page-shortcuts"), button = element.querySelector(".page-keys");
  sayEnglish(signal);
  groupRadios(signal);
  offerThemes(element.querySelector(".page-theme"));
  offerList(list, button);
  element.querySelector(".page-skip").addEventListener("click", (event) => {
    event.preventDefault();
    goToPicture();
  });
  const example = element.querySelector(".page-example");
  example.hidden = !document.querySelector("script[src*='stage/stage.js']");  // models of one's own have no such example
  example.addEventListener("click", () => document.dispatchEvent(new CustomEvent("loupe:stage")));
  offerSingleKeys(element.querySelector(".page-single input"));
  watchNumbers(signal, element.querySelector(".page-said"));
  keepPace(signal);
  showTips(signal, element.querySelector(".page-tip"));
  return ({ tabs, tips }) => {
    listTabs(element.querySelector(".page-tab-keys"), tabs);
    explain(signal, { ...TIPS, ...tips });
    listenForKeys(signal, list, tabs.map(({ key }) => key));
    button.setAttribute("aria-keyshortcuts", "?");  // from here on
  };
}
