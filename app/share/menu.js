/* A menu behind a button, for pointer and keyboard (ARIA's menu button). */

/** Opens and closes a menu; its items are pressed like any button. */
export class Menu {
  /**
   * @param {HTMLElement} button
   * @param {HTMLElement} menu
   * @param {AbortSignal} signal ends it
   */
  constructor(button, menu, signal) {
    this.button = button;
    this.menu = menu;
    this.items = /** @type {HTMLElement[]} */ ([...menu.querySelectorAll("[role=menuitem]")]);
    button.addEventListener("click", () => (menu.hidden ? this.open(0) : this.close()));
    button.addEventListener("keydown", (event) => this.pressButton(event));
    menu.addEventListener("keydown", (event) => this.press(event));
    menu.addEventListener("click", () => this.close());
    document.addEventListener("pointerdown", ({ target }) => {
      if (!menu.hidden && target instanceof Node && !menu.contains(target) && !button.contains(target)) this.close(false);
    }, { signal });
    menu.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget instanceof Node && !menu.contains(relatedTarget) && relatedTarget !== button) this.close(false);
    });
  }

  /** Open it with the focus on an item; -1: the last. */
  open(place) {
    this.menu.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    const { left, right } = this.menu.getBoundingClientRect(), width = document.documentElement.clientWidth;
    if (left < 8 || right > width - 8) this.menu.classList.toggle("is-left");
    this.items.at(place).focus();
  }

  /** Close it; the button takes the focus, unless that is elsewhere already. */
  close(back = true) {
    this.menu.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    if (back) this.button.focus();
  }

  pressButton(event) {
    if (!["ArrowDown", "ArrowUp"].includes(event.key)) return;
    this.keep(event);
    this.open(event.key === "ArrowDown" ? 0 : -1);
  }

  press(event) {
    const here = this.items.indexOf(/** @type {HTMLElement} */ (document.activeElement)), last = this.items.length - 1;
    const moves = { ArrowDown: here + 1, ArrowUp: here - 1 + this.items.length, Home: 0, End: last };
    event.stopPropagation();  // the stepper, in which it stands, has its own use for arrows and letters
    if (event.key in moves) this.items[moves[event.key] % this.items.length].focus();
    else if (event.key === "Escape") this.close();
    else return event.key === "Tab" ? this.close(false) : undefined;
    event.preventDefault();
  }

  /** A key that was used here is used nowhere else. */
  keep(event) {
    event.preventDefault();
    event.stopPropagation();
  }
}
