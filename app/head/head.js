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

/** Focus the picture of the stepper. */
const goToPicture = () => find("#stepper").loupe?.goHere();

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

// where the arrows step although the focus is elsewhere: on a button that draws also Home and End, which scroll otherwise
const DRAWING = "#ask button, #swap button, #onward button";
const OWN_ARROWS = "[role=tab], [role=menu], [role=listbox], [role=radiogroup], .sw-tile, .grid-wrap";

/** Whether the picture takes a key that was pressed on something outside of it. */
function stepsFrom(target, key) {
  if (/^[a-z]$/i.test(key)) return true;
  if (/^(Home|End)$/.test(key)) return Boolean(target.closest(DRAWING));
  if (!/^Arrow(Left|Right)$/.test(key)) return false;
  return target === document.body || Boolean(target.closest("button") && !target.closest(OWN_ARROWS));
}

const PLACES = {
  "?": () => list.showModal(),
  "/": () => find("#prompt textarea, #prompt input").focus(),
  g: goToPicture,
};

function press(event) {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229 || find("dialog[open]")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    find("#generate").click();
    return goToPicture();
  }
  const target = event.target instanceof Element ? event.target : document.body;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest(`${FIELDS}, [role=dialog]`)) return;
  if (event.key in PLACES) PLACES[event.key]();
  else if (/^[1-9]$/.test(event.key)) openTab(Number(event.key) - 1);
  else if (stepsFrom(target, event.key)) return find("#stepper").loupe?.press(event);
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", press);
element.querySelector(".page-keys").setAttribute("aria-keyshortcuts", "?"); // from here on

/* ---- number fields: a decimal comma is a point, and what a field does not take is said below it, in the browser's words */

const NUMBER = "input[type=number]", STAY_MS = 4000;
const SEEDS = { min: 0, max: 2 ** 32 - 1 };  // Gradio is not told: it would refuse them in words of its own
const said = element.querySelector(".page-said");
document.body.append(said);  // it is placed by the page

/** Why a field does not take what was typed; steps between whole numbers are the only ones that must be kept. */
function whyNot(field) {
  if (field.closest("#seed")) Object.assign(field, SEEDS);
  const { valid, badInput, rangeUnderflow, rangeOverflow, stepMismatch } = field.validity;
  const refused = badInput || rangeUnderflow || rangeOverflow || (stepMismatch && Number(field.step || 1) % 1 === 0);
  return !valid && refused ? field.validationMessage : "";
}

/** Say what is wrong with a field, or stop saying so. */
function judge(field) {
  const reason = field.isConnected ? whyNot(field) : "";
  if (reason) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  if (!reason && said.field !== field) return;
  const box = field.getBoundingClientRect();
  Object.assign(said, { textContent: reason, hidden: !reason, field });
  said.style.top = `${box.bottom + scrollY + 4}px`;
  said.style.left = `${Math.max(8, Math.min(box.left + scrollX, document.documentElement.clientWidth - said.offsetWidth - 8))}px`;
}

/** A field was left a while ago: the widget may have mended its value, and what was said of it has been read. */
function leave(field) {
  judge(field);
  if (said.field === field && document.activeElement !== field) said.hidden = true;
}

/**
 * Let writing the value that a field has already be nothing. Gradio writes back what was typed, a little later; when "1."
 * stands in the field by then, whose value is 1, that would take the point away and put the caret in front: 1.5 became 51.
 */
function keepTyped(field) {
  if (Object.hasOwn(field, "value")) return;
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  Object.defineProperty(field, "value", {
    configurable: true,
    get,
    set(value) { if (String(value ?? "") !== get.call(this)) set.call(this, value); },
  });
}

document.addEventListener("focusin", ({ target }) => target.matches(NUMBER) && keepTyped(target), true);
document.addEventListener("beforeinput", (event) => {
  if (!event.target.matches(NUMBER) || !/^[^.,]*,[^.,]*$/.test(event.data ?? "")) return;
  event.preventDefault();
  document.execCommand("insertText", false, event.data.replace(",", "."));  // the one way that leaves Undo intact
}, true);
document.addEventListener("input", ({ target }) => target.matches(NUMBER) && judge(target), true);
document.addEventListener("focusout", ({ target }) => target.matches(NUMBER) && setTimeout(leave, STAY_MS, target), true);
