/*
 * The shelf: the visitor's kept runs as small pictures, of which two to four are chosen to be compared.
 *
 * `props.value` is a ShelfData (see shelf.py). A change of what is chosen triggers "pick" with the ids in their order.
 */

const LETTERS = ["A", "B", "C", "D"];

class Shelf {
  /** @param {HTMLElement} element where the template was mounted */
  constructor(element) {
    this.parts = partsOf(element, "sh-");
    Object.assign(this, { runs: [], chosen: [] });
  }

  /** Show the runs; those that were chosen stay so, unless the server names others. */
  receive(shelf) {
    if (!shelf) return;
    this.runs = shelf.runs.map((run) => ({ ...run, ...this.makeRun(run) }));
    const there = new Set(shelf.runs.map(({ id }) => id));
    this.chosen = (shelf.chosen || this.chosen).filter((id) => there.has(id));
    this.parts.runs.replaceChildren(...this.runs.map(({ item }) => item).reverse());
    this.parts.empty.hidden = this.runs.length > 0;
    this.show();
  }

  makeRun({ id, name, label, picture }) {
    const item = make("li"), button = make("button", "sh-run"), image = make("img"), letter = make("b", "sh-letter");
    button.type = "button";
    button.title = `${name}: ${label}. Click to compare.`;
    image.src = `data:image/webp;base64,${picture}`;
    image.alt = "";
    button.append(image, letter, make("span", "sh-name", name), make("small", "", label));
    button.addEventListener("click", () => this.toggle(id));
    item.append(button);
    return { item, button, letter };
  }

  /** Choose a run, or do not choose it any more; a fifth one takes the place of the fourth. */
  toggle(id) {
    const others = this.chosen.filter((other) => other !== id);
    this.chosen = others.length < this.chosen.length ? others : [...others.slice(0, LETTERS.length - 1), id];
    this.show();
    if (this.chosen.length > 1) trigger("pick", { runs: this.chosen });
  }

  show() {
    for (const { id, button, letter } of this.runs) {
      const place = this.chosen.indexOf(id);
      button.setAttribute("aria-pressed", String(place >= 0));
      letter.textContent = place >= 0 ? LETTERS[place] : "";
    }
  }
}

const shelf = new Shelf(element);
watch("value", () => shelf.receive(props.value));
shelf.receive(props.value);
