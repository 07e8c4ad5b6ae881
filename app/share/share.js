/*
 * Beside the title of the stepper: its link and its files; and the address bar, which follows what is shown.
 *
 * It takes the run that the server has in the stepper (see ShareData in share.py). What is offered is of the trace that the
 * stepper shows, and only while that is the same run.
 */

import { onPress, partsOf, setOff, setText, setTitle } from "../client/dom.js";
import { lifetimeOf } from "../client/lifetime.js";
import { find, pageStepper } from "../client/page.js";
import { say } from "../client/speech.js";
import { Address, addressOf } from "./address.js";
import { Asking } from "./asking.js";
import { Menu } from "./menu.js";

const RECORDED = "This is not one of your runs; draw something to keep it.", NOTHING = "Draw something first.";
const LINKED = "Copy an address that draws this run again and opens it at this position";

class Share {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {(event: string, data: object) => void} trigger tells the server
   * @param {any} server answers calls
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, trigger, server, signal) {
    this.trigger = trigger;
    this.server = server;
    this.run = this.query = this.shown = "";
    this.reason = NOTHING;
    this.parts = partsOf(element, "ks-");
    this.host = /** @type {any} */ (element.closest("#share")) || element;
    this.host.loupe = this;
    this.address = new Address();
    this.asking = new Asking(this.parts.save, this.parts.told, signal);
    this.menu = new Menu(this.parts.save, this.parts.menu, signal);
    this.listen(signal);
    this.update();
  }

  listen(signal) {
    const { copy, menu, close, words, texts, bar } = this.parts;
    copy.addEventListener("click", () => this.copyLink(this.parts.told));
    menu.addEventListener("click", ({ target }) => {
      const item = target instanceof Element && target.closest("[data-kind]");
      if (item) this.save(/** @type {HTMLElement} */ (item).dataset.kind);
    });
    close.addEventListener("click", () => words.close());
    words.addEventListener("click", (event) => event.target === words && words.close());
    for (const button of texts.querySelectorAll("[data-copies]")) {
      onPress(button, () => this.copyText(find(`#${button.dataset.copies}`), this.parts.copied));
    }
    for (const what of ["trace", "step"]) document.addEventListener(`loupe:${what}`, () => this.update(), { signal, capture: true });
    signal.addEventListener("abort", () => { this.address.stop(); bar.remove(); });
  }

  /** Take what the server has in the stepper. */
  receive(value) {
    if (value) Object.assign(this, value);
    this.update();
  }

  /** The trace that is shown and is the server's run, if there is one. */
  get trace() {
    const trace = pageStepper()?.trace;
    return trace && trace.id === this.run ? trace : null;
  }

  /** Stand beside the title, offer what there is, and follow in the address bar. */
  update() {
    const slot = find("#stepper [data-part=keep]"), { bar, copy, save, told, open } = this.parts, stepper = pageStepper();
    if (slot && bar.parentElement !== slot) slot.append(bar);
    const { trace } = this, shown = trace?.id ?? "";
    if (this.shown !== shown) setText(told, "");
    this.shown = shown;
    setOff(copy, !trace || !this.query);
    setTitle(copy, trace && this.query ? LINKED : this.why());
    setOff(save, !trace);
    setTitle(save, trace ? "Save the picture, this position, and what was recorded" : this.why());
    open.href = this.link(stepper?.step ?? -1) || location.pathname;
    if (stepper?.trace) this.address.show(trace ? this.query : "", stepper.step);
    this.host.dataset.run = shown;
  }

  /** Why there is no link, "" where there is one. */
  why() {
    if (this.trace) return this.reason;
    return pageStepper()?.trace ? RECORDED : NOTHING;
  }

  /** The link of the run at a position, "" without one. */
  link(step) {
    return this.trace && this.query ? location.origin + addressOf(location.pathname, "", this.query, step) : "";
  }

  /** Copy the link, and show what came of it; returns the link, "" without one. */
  copyLink(told) {
    const { step } = pageStepper() ?? { step: -1 }, link = this.link(step);
    const tell = (text) => { setText(told, text); say(text); };
    if (!link) tell(this.why());
    else this.write(link, () => tell(`Copied, with position ${step}.`), () => tell("Copying is not allowed here: take the link from the address bar."));
    return link;
  }

  copyText(field, told) {
    const byHand = () => { field.select(); setText(told, "Copying is not allowed here: it is selected, copy it by hand."); };
    this.write(field.value, () => { setText(told, "Copied."); say("Copied."); }, byHand);
  }

  write(text, done, byHand) {
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, byHand);
    else byHand();
  }

  /** Ask for a file, or for words, of what is shown. */
  save(kind) {
    if (!this.trace) return this.asking.tell(this.why());
    const step = pageStepper().step;
    if (kind === "words") return this.showWords(step);
    const item = this.parts.menu.querySelector(`[data-kind=${CSS.escape(kind)}]`);
    this.asking.begin(item.dataset.what);
    this.trigger("save", { kind, run: this.run, step });
  }

  /** Caption, command line and citation, in a dialog. */
  async showWords(step) {
    const { words, caption, command, citation, copied } = this.parts;
    const said = await this.server.words({ run: this.run, step }).catch(() => ({ error: "The server did not answer. Try again." }));
    if (said.error) return this.asking.tell(said.error);
    Object.assign(caption, { value: said.caption });
    Object.assign(command, { value: said.command });
    Object.assign(citation, { value: said.citation });
    setText(copied, "");
    words.showModal();
    words.dataset.run = this.run;
  }

  /** What was asked for did not come about, and no answer will say so. */
  fail(message) {
    this.asking.end({ name: "", problem: message });
  }
}

/** Make it; returns what takes the run. */
export function mount({ element, trigger, server }) {
  const share = new Share(element, trigger, server, lifetimeOf(element));
  return (value) => share.receive(value);
}
