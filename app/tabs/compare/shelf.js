/*
 * The shelf: the visitor's kept runs as small pictures, of which two to four are chosen to be compared.
 *
 * It takes ShelfData (see shelf.py). A change of what is chosen triggers "pick" with the ids in their order.
 */

import { make, partsOf, rowsFor, setChildren, setText } from "../../client/dom.js";
import { LETTERS } from "./letters.js";

class Shelf {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {(event: string, data: object) => void} trigger tells the server
   */
  constructor(element, trigger) {
    this.trigger = trigger;
    this.parts = partsOf(element, "sh-");
    this.rows = [];
    this.runs = [];
    this.chosen = [];
  }

  /** Show the runs; those that were chosen stay so, unless the server names others. */
  receive(shelf) {
    if (!shelf) return;
    const rows = rowsFor(this.rows, shelf.runs.map(({ id }) => id), () => this.makeRun());
    this.runs = shelf.runs.map((run, i) => this.showRun(rows[i], run));
    const there = new Set(shelf.runs.map(({ id }) => id));
    this.chosen = (shelf.chosen || this.chosen).filter((id) => there.has(id));
    setChildren(this.parts.runs, rows.map(({ item }) => item).reverse());
    this.parts.empty.hidden = this.runs.length > 0;
    this.show();
  }

  makeRun() {
    const item = make("li"), button = make("button", "sh-run"), image = make("img"), letter = make("b", "sh-letter");
    const title = make("span", "sh-name"), text = make("small"), made = { item, button, image, letter, title, text };
    button.type = "button";
    image.alt = "";
    button.append(image, letter, title, text);
    button.addEventListener("click", () => this.toggle(made.key));
    item.append(button);
    return made;
  }

  /** Put a run into its place on the shelf. */
  showRun({ button, image, letter, title, text }, { id, name, label, picture }) {
    button.title = `${name}: ${label}. Click to compare.`;
    const source = `data:image/webp;base64,${picture}`;
    if (image.src !== source) image.src = source;
    setText(title, name);
    setText(text, label);
    return { id, button, letter };
  }

  /** Choose a run, or do not choose it any more; a fifth one takes the place of the fourth. */
  toggle(id) {
    const others = this.chosen.filter((other) => other !== id);
    this.chosen = others.length < this.chosen.length ? others : [...others.slice(0, LETTERS.length - 1), id];
    this.show();
    if (this.chosen.length > 1) this.trigger("pick", { runs: this.chosen });
  }

  show() {
    for (const { id, button, letter } of this.runs) {
      const place = this.chosen.indexOf(id);
      button.setAttribute("aria-pressed", String(place >= 0));
      letter.textContent = place >= 0 ? LETTERS[place] : "";
    }
  }
}

/** Make the shelf; returns what takes its runs. */
export function mount({ element, trigger }) {
  const shelf = new Shelf(element, trigger);
  return (runs) => shelf.receive(runs);
}
