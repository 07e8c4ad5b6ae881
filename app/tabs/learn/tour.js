/*
 * The guided tour: a card beside the part of the page that it talks about. It moves the stepper as a visitor would, by its
 * scrub bar and its overlays, and asks nothing of the server. What it says comes as text and becomes text nodes.
 */

import { partsOf } from "../../client/dom.js";
import { lifetimeOf, until } from "../../client/lifetime.js";

const CARD_WIDTH = 320;
const GAP = 16;

class Tour {
  /**
   * @param {HTMLElement} card
   * @param {AbortSignal} signal aborts when the tour goes
   */
  constructor(card, signal) {
    this.card = card;
    this.parts = partsOf(card, "", "tour");
    document.body.append(card); // beside everything, so that no column clips it
    this.stops = [];
    this.parts.close.addEventListener("click", () => this.end());
    this.parts.back.addEventListener("click", () => this.show(this.at - 1));
    this.parts.next.addEventListener("click", () => this.show(this.at + 1));
    card.addEventListener("keydown", (event) => this.press(event));
    addEventListener("resize", () => this.place(), { signal });
    until(signal, new ResizeObserver(() => this.place())).observe(document.body);
    this.observer = until(signal, new MutationObserver(() => this.arrive()));
    document.addEventListener("click", ({ target }) => {
      if (target instanceof Element && target.closest("[data-tour-start]")) document.getElementById("tour-start").click();
    }, { signal });
    signal.addEventListener("abort", () => card.remove());
  }

  /** Take the stops; they are shown once the stepper has their run. */
  take({ run, stops }) {
    this.opener = /** @type {HTMLElement} */ (document.activeElement);
    this.stepper = document.getElementById("stepper");
    this.observer.observe(this.stepper, { attributes: true, attributeFilter: ["data-trace-id"] });
    this.run = run;
    this.waiting = stops;
    this.arrive();
  }

  /** The stepper shows a run: begin when it is ours, end when it is another one. */
  arrive() {
    const here = this.stepper.dataset.traceId === this.run;
    if (here && this.waiting) {
      [this.stops, this.waiting] = [this.waiting, null];
      this.show(0);
    } else if (!here && this.stops.length) this.end();
  }

  show(at) {
    if (at < 0) return;
    if (at >= this.stops.length) return this.end();
    this.at = at;
    const { part, step, overlay, title, text } = this.stops[at], { count, back, next } = this.parts;
    this.move(step, overlay);
    count.textContent = `${at + 1} of ${this.stops.length}`;
    this.parts.title.textContent = title;
    this.parts.text.textContent = text;
    back.disabled = at === 0;
    next.textContent = at === this.stops.length - 1 ? "Done" : "Next";
    this.target?.classList.remove("tour-target");
    this.target = this.stepper.querySelector(part) || this.stepper;
    this.target.classList.add("tour-target");
    this.card.hidden = false;
    requestAnimationFrame(() => requestAnimationFrame(() => { // when the stepper has drawn the position
      this.place();
      this.reveal();
      this.card.focus({ preventScroll: true });
    }));
  }

  /** Stand at a position with an overlay, by the stepper's own controls. */
  move(step, overlay) {
    const scrub = /** @type {HTMLInputElement} */ (this.stepper.querySelector("[data-part=scrub]"));
    scrub.value = step;
    scrub.dispatchEvent(new Event("input", { bubbles: true }));
    const radio = /** @type {HTMLInputElement} */ (this.stepper.querySelector(`[name=lp-overlay][value=${overlay}]`));
    if (radio && !radio.checked && !radio.disabled) radio.click();
  }

  /** Put the card beside its target: to the right, the left, or below, wherever there is room. */
  place() {
    if (this.card.hidden) return;
    const box = this.target.getBoundingClientRect(), wide = document.documentElement.clientWidth;
    const width = Math.min(CARD_WIDTH, wide - 2 * GAP);
    const right = box.right + GAP + width <= wide, left = box.left - GAP - width >= 0;
    let x = right ? box.right + GAP : left ? box.left - GAP - width : Math.max(GAP, Math.min(box.left, wide - width - GAP));
    let y = right || left ? box.top : box.bottom + GAP;
    if (y < 0) y = box.top;
    this.card.style.width = `${width}px`;
    this.card.style.left = `${x + scrollX}px`;
    this.card.style.top = `${Math.max(y, 8 - scrollY) + scrollY}px`;
  }

  /** Bring card and target into view. */
  reveal() {
    const boxes = [this.target, this.card].map((node) => node.getBoundingClientRect());
    const picture = this.stepper.querySelector("[data-part=frame]").getBoundingClientRect();
    if (Math.max(...boxes.map(({ bottom }) => bottom), picture.bottom) - picture.top <= innerHeight) boxes.push(picture);
    const top = Math.min(...boxes.map((box) => box.top)), bottom = Math.max(...boxes.map((box) => box.bottom));
    const tall = bottom - top > innerHeight, calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const by = tall ? boxes[1].bottom - innerHeight + GAP : top < 0 ? top - GAP : bottom > innerHeight ? bottom - innerHeight + GAP : 0;
    if (by) scrollBy({ top: by, behavior: calm ? "auto" : "smooth" });
  }

  press(event) {
    const moves = { ArrowRight: 1, ArrowLeft: -1 };
    if (event.key === "Escape") this.end();
    else if (event.key in moves) this.show(this.at + moves[event.key]);
    else return;
    event.preventDefault();
  }

  end() {
    this.stops = [];
    this.card.hidden = true;
    this.target?.classList.remove("tour-target");
    this.opener?.focus({ preventScroll: true });
  }
}

/** Make the tour; returns what starts it. */
export function mount({ element }) {
  const tour = new Tour(element.querySelector(".tour-card"), lifetimeOf(element));
  return (start) => start && tour.take(start);
}
