/* A run in the rail: its picture, its words, and what is asked in the place of these. */

import { isComposing, make, setText, setTitle } from "../client/dom.js";

const SIZE = 44;

/** The elements of a run, which does what the rail says; its buttons are the rail's own, but for the box to choose it. */
export function makeRun(rail) {
  const item = make("li", "rl-run"), picture = make("img"), words = make("span", "rl-words");
  const name = make("b"), tags = make("small"), box = make("span", "rl-box"), made = { key: "", item, picture, words, name, tags, box };
  Object.assign(picture, { width: SIZE, height: SIZE, alt: "" });
  picture.setAttribute("aria-hidden", "true");
  item.setAttribute("role", "treeitem");
  box.setAttribute("aria-hidden", "true");  // readers have the state of the run itself, and the space bar
  box.title = "Choose this run, to compare two to four";
  words.append(name, tags);
  item.append(picture, words, box);
  item.addEventListener("click", ({ target }) => {
    if (!(target instanceof Element) || target.closest("input, button")) return;
    rail.focus(made.key);
    if (box.contains(target)) rail.toggle(made.key);
    else rail.open(made.key);
  });
  return made;
}

/** Show a run in its elements; letter: what it is called in the comparison, "" where it is not chosen. */
export function showRun({ item, picture, name, tags, box }, run, { letter, isShown, isAt }) {
  const source = `data:image/webp;base64,${run.picture}`;
  if (picture.src !== source) picture.src = source;
  setText(name, run.name);
  setText(tags, run.tags.join(" · "));
  setText(box, letter);
  setTitle(item, `${run.name}: ${run.about}`);
  item.dataset.run = run.id;
  item.tabIndex = isAt ? 0 : -1;
  item.classList.toggle("is-shown", isShown);
  item.setAttribute("aria-level", run.level);
  item.setAttribute("aria-checked", String(Boolean(letter)));
  if (isShown) item.setAttribute("aria-current", "true");
  else item.removeAttribute("aria-current");
}

/** Put something in the place of a run's words; returns what puts these back. */
function ask({ item, words }, asked) {
  item.replaceChild(asked, words);
  asked.addEventListener("keydown", (event) => event.key === "Tab" || event.stopPropagation());
  let over = false;
  return () => {
    if (over) return;  // taking it out of the page takes the focus from it, which puts the words back, too
    over = true;
    item.replaceChild(words, asked);
  };
}

/**
 * Let the name be typed in its place; Enter keeps it, Escape does not. An input method's own Enter does neither.
 * @param {any} row the run's elements
 * @param {string} name
 * @param {number} longest how many characters it may have
 * @param {(name: string) => void} keep takes another name
 * @param {() => void} leave takes the focus
 */
export function askName(row, name, longest, keep, leave) {
  if (!row.words.isConnected) return;
  const input = make("input", "rl-name");
  Object.assign(input, { type: "text", value: name, maxLength: longest });
  input.setAttribute("aria-label", "Name of this run");
  const putBack = ask(row, input);
  let over = false;
  const done = (kept, stay) => {
    if (over) return;
    over = true;
    const typed = input.value.trim();
    putBack();
    if (stay) leave();
    if (kept && typed && typed !== name) keep(typed);
  };
  input.addEventListener("keydown", (event) => {
    if (isComposing(event) || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();  // what gets the focus is not pressed by this key
    done(event.key === "Enter", true);
  });
  input.addEventListener("blur", () => done(true, false));
  input.focus({ preventScroll: true });
  input.select();
}

/**
 * Ask once more before a run is deleted.
 * @param {any} row the run's elements
 * @param {string} name
 * @param {() => void} drop deletes it
 * @param {() => void} leave takes the focus
 */
export function askWhetherToDelete(row, name, drop, leave) {
  if (!row.words.isConnected) return;
  const asked = make("span", "rl-sure"), yes = make("button", "", "Delete"), no = make("button", "", "Keep");
  asked.setAttribute("role", "group");
  asked.setAttribute("aria-label", `Delete ${name}?`);
  yes.setAttribute("aria-label", `Delete ${name}`);
  asked.append(yes, no);
  const putBack = ask(row, asked), end = () => { putBack(); leave(); };
  for (const button of [yes, no]) button.type = "button";
  yes.addEventListener("click", () => { end(); drop(); });
  no.addEventListener("click", end);
  asked.addEventListener("keydown", (event) => event.key === "Escape" && end());
  asked.addEventListener("focusout", ({ relatedTarget }) => asked.contains(/** @type {Node} */ (relatedTarget)) || putBack());
  no.focus({ preventScroll: true });
}
