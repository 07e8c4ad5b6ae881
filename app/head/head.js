/*
 * The page's head: light and dark, the skip link, and the shortcuts that work everywhere but in a field.
 *
 * Gradio runs this as the body of a function with `element`, the mounted head. Keys that a part of the page has used are
 * marked by it as done (preventDefault), and are left alone here.
 */

const THEME = "loupe-theme";
const FIELDS = "textarea, select, [contenteditable=true], input:not([type=radio], [type=checkbox], [type=range], [type=button])";
const find = (selector) => document.querySelector(selector);

/* ---- light and dark: the system's, until the visitor chooses */

/** What the visitor chose; null before, and where nothing can be stored. */
function chosenTheme() {
  try { return localStorage.getItem(THEME); } catch { return null; }
}

function switchTheme() {
  const dark = document.body.classList.toggle("dark");
  try { localStorage.setItem(THEME, dark ? "dark" : "light"); } catch { /* private windows: for this visit only */ }
}

if (chosenTheme()) document.body.classList.toggle("dark", chosenTheme() === "dark");
element.querySelector(".page-theme").addEventListener("click", switchTheme);

/* ---- going to places */

/** Focus the picture of the stepper, where the arrow keys step. */
function goToPicture() {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  find("#stepper").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  find("#stepper [data-part=canvas]").focus({ preventScroll: true });
}

element.querySelector(".page-skip").addEventListener("click", (event) => {
  event.preventDefault();
  goToPicture();
});

/** Open a tab by its place; on a narrow page it may be in the menu of those that do not fit. */
function openTab(place) {
  const every = [...document.querySelectorAll("#workbench > .tab-wrapper .visually-hidden button")];
  const offered = [...document.querySelectorAll("#workbench > .tab-wrapper :is([role=tab], .overflow-dropdown button)")];
  const tab = every[place] && offered.find(({ textContent }) => textContent.trim() === every[place].textContent.trim());
  if (!tab) return;
  tab.click();
  tab.focus();
  tab.scrollIntoView({ block: "nearest" });
}

/* ---- the list of shortcuts: a modal dialog, which keeps the focus and gives it back */

const list = element.querySelector(".page-shortcuts");
element.querySelector(".page-keys").addEventListener("click", () => list.showModal());
list.querySelector(".page-close").addEventListener("click", () => list.close());
list.addEventListener("click", (event) => event.target === list && list.close());
list.addEventListener("keydown", (event) => {
  if (event.key !== "?") return;
  event.preventDefault();
  list.close();
});

/* ---- keys */

const PLACES = {
  "?": () => list.showModal(),
  "/": () => find("#prompt textarea, #prompt input").focus(),
  g: goToPicture,
};

function press(event) {
  if (event.defaultPrevented || event.isComposing || find("dialog[open]")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    find("#generate").click();
    return goToPicture();
  }
  const target = event.target instanceof Element ? event.target : document.body;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest(`${FIELDS}, [role=dialog]`)) return;
  if (event.key in PLACES) PLACES[event.key]();
  else if (/^[1-9]$/.test(event.key)) openTab(Number(event.key) - 1);
  else if (/^[a-z]$/i.test(event.key) || (/^Arrow(Left|Right)$/.test(event.key) && target === document.body)) {
    return find("#stepper").loupe?.press(event);
  } else return;
  event.preventDefault();
}

document.addEventListener("keydown", press);
element.querySelector(".page-keys").setAttribute("aria-keyshortcuts", "?"); // from here on
