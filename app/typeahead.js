/*
 * The things that can be drawn, as suggestions below the prompt: those that what is typed begins to name, or all of them.
 *
 * The focus stays in the prompt, which names the marked one as its active descendant. The list lies over the examples, so
 * that nothing moves.
 */

import { make, partsOf, setText } from "./client/dom.js";
import { lifetimeOf } from "./client/lifetime.js";
import { promptField, writePrompt } from "./client/prompt.js";
import { suggest } from "./client/suggest.js";

const MOST = 8;

class Typeahead {
  constructor(element) {
    const { all, list, spoken } = partsOf(element);
    this.all = all;
    this.list = list;
    this.spoken = spoken;
    this.things = /** @type {string[]} */ ([]);
    this.offers = /** @type {{thing: string, text: string}[]} */ ([]);
    this.marked = -1;
    const signal = lifetimeOf(element);
    all.addEventListener("click", () => this.isOpen ? this.close() : this.openAll());
    list.addEventListener("pointerdown", (event) => event.preventDefault());  // the focus stays in the prompt
    list.addEventListener("click", ({ target }) => this.take(this.offers[[...list.children].indexOf(target.closest("[role=option]"))]));
    document.addEventListener("input", ({ target, isTrusted }) => target === promptField() && isTrusted && this.follow(), { signal });
    document.addEventListener("focusout", ({ target, relatedTarget }) => target === promptField() && relatedTarget !== all && this.close(), { signal });
    document.addEventListener("keydown", (event) => event.target === promptField() && this.press(event), { signal, capture: true });
  }

  get isOpen() { return this.list.matches(":popover-open"); }

  /** @param {{things: string[], where: string}} value */
  receive({ things, where }) {
    this.things = things;
    this.all.hidden = !things.length;
    setText(this.all, `all ${things.length.toLocaleString("en")}`);
    this.all.title = `The ${things.length.toLocaleString("en")} things that ${where} has pictures of; or type, and choose with the arrow keys`;
    this.close();
  }

  /** Suggest what the text begins to name. */
  follow() {
    this.offer(suggest(promptField().value, this.things, MOST));
  }

  openAll() {
    promptField()?.focus();
    this.offer(this.things.map((thing) => ({ thing, text: thing })));
  }

  offer(offers) {
    this.offers = offers;
    if (!offers.length) return this.close();
    this.list.replaceChildren(...offers.map(({ thing }, i) => {
      const option = make("span", "ta-thing", thing);
      Object.assign(option, { id: `things-${i}`, role: "option" });
      return option;
    }));
    this.mark(-1);
    const field = promptField(), below = document.querySelector("#chips").getBoundingClientRect(), { left, width } = field.getBoundingClientRect();
    Object.assign(this.list.style, { top: `${below.top + scrollY - 4}px`, left: `${left + scrollX}px`, width: `${width}px` });
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", this.list.id);
    this.list.showPopover();
    setText(this.spoken, `${offers.length} ${offers.length === 1 ? "suggestion" : "suggestions"}; arrow down to choose`);
  }

  close() {
    if (!this.isOpen) return;
    this.list.hidePopover();
    this.mark(-1);
    setText(this.spoken, "");
  }

  take(offer) {
    if (!offer) return;
    this.close();
    writePrompt(offer.text);
  }

  /** Keys of the prompt while there are suggestions; arrow down brings all things where nothing is typed. */
  press(event) {
    const { key } = event;
    if (!this.isOpen) return void (key === "ArrowDown" && !promptField().value.trim() && this.things.length && this.openAll());
    if (key === "ArrowDown" || key === "ArrowUp") this.mark((this.marked + (key === "ArrowDown" ? 2 : this.offers.length + 1)) % (this.offers.length + 1) - 1);
    else if (key === "Enter" && !event.ctrlKey && this.marked >= 0) this.take(this.offers[this.marked]);
    else if (key === "Escape") this.close();
    else return void (key === "Enter" && this.close());
    event.preventDefault();
    event.stopPropagation();
  }

  /** Mark a suggestion; -1 for none. */
  mark(at) {
    this.list.children[this.marked]?.removeAttribute("aria-selected");
    this.marked = at;
    const option = this.list.children[at], field = promptField();
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) field?.setAttribute("aria-activedescendant", option.id);
    else field?.removeAttribute("aria-activedescendant");
  }
}

/** Makes the suggestions; returns what takes the things and where they are. */
export function mount({ element }) {
  const typeahead = new Typeahead(element);
  return (value) => value && typeahead.receive(value);
}
