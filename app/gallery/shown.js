/* One run, runs beside each other, a table of runs: each gives a part of the page what a server would. */

import { setText } from "../client/dom.js";
import { find } from "../client/page.js";
import { showSettings } from "../replay/settings.js";
import { mount as mountStepper } from "../stepper/stepper.js";
import { mount as mountCompare } from "../tabs/compare/compare.js";
import { mount as mountInside } from "../tabs/inside/inside.js";
import { recordedAt } from "../tabs/inside/recorded.js";
import { mount as mountSources } from "../tabs/sources/sources.js";
import { mount as mountSweep } from "../tabs/sweep/sweep.js";
import { hashOf } from "./places.js";

const SETTLE_MS = 250; // browsers take a hundred changes of the address in half a minute
const READY = { number: 1, state: "ready", message: "" };

const goTo = (run) => { location.hash = hashOf("run", run); };

/** What must be known of a run besides its figures. */
const noticeOf = ({ steps, positions }) => (steps < positions ? `Paused after ${steps} of ${positions} patches.` : "");

/** The stepper, with what follows it, for one run at a time. */
export class OneRun {
  number = 0;

  constructor() {
    this.host = find("#stepper");
    this.receive = mountStepper({ element: this.host });
    this.inside = find("#inside");
    mountInside({ element: this.inside, trigger: () => {}, server: { at: async (asked) => this.answer(asked) } });
    mountSources({ element: find("#sources") });
    this.host.addEventListener("loupe:trace", () => this.opened());
    this.host.addEventListener("loupe:step", () => this.stepped());
  }

  /** What the trace says of the inside of its model at a position. */
  answer(asked) {
    const { trace } = this.host.loupe;
    return trace?.inside && trace.id === asked.run ? recordedAt(trace, asked) : { error: "This was not recorded." };
  }

  /** Show a run at a step, -1 for where it says most; the one that is shown only moves. */
  async show(card, step) {
    const { loupe } = this.host;
    if (this.card === card && loupe.trace?.id === card.name) return step >= 0 && step !== loupe.step ? loupe.move(step) : undefined;
    this.card = card;
    this.host.setAttribute("aria-busy", "true");
    await this.receive({
      ...READY, run: ++this.number, state: card.steps < card.positions ? "stopped" : "ready", message: noticeOf(card), step,
      file: { url: card.file }, atlas: { url: card.atlas },
    });
    if (this.card !== card) return;
    this.host.removeAttribute("aria-busy");
    if (step >= 0) loupe.go(loupe.step); // the picture as far as it was at that patch
    loupe.parts.canvas.focus({ preventScroll: true }); // there the arrow keys step
  }

  opened() {
    const { trace } = this.host.loupe;
    this.inside.hidden = !trace.inside;
    showSettings(find("#settings"), trace);
  }

  /** The address names the patch, once it stands still; until one moves, the run alone. */
  stepped() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      const { loupe } = this.host, { card } = this;
      const shown = location.hash.startsWith(hashOf("run", card?.name ?? ""));
      if (!shown || !loupe.trace || loupe.trace.id !== card.name || loupe.whole) return;
      try { history.replaceState(history.state, "", hashOf("run", card.name, loupe.step)); } catch { /* not allowed here: no harm */ }
    }, SETTLE_MS);
  }

  /** It is not in sight any more. */
  leave() {
    clearTimeout(this.waiting);
    this.host.loupe.pause();
  }
}

/** Runs beside each other. */
export class Beside {
  number = 0;

  constructor() {
    this.receive = mountCompare({ element: find("#compare"), trigger: (event, { run }) => event === "open" && goTo(run) });
  }

  /** @param {{name: string, title: string, runs: {label: string, card: any}[]}} one */
  async show({ name, title, runs }) {
    if (this.name === name) return;
    this.name = name;
    await this.receive({
      ...READY, run: ++this.number, prompt: title, atlas: { url: runs[0].card.atlas },
      runs: runs.map(({ label, card }) => ({ id: card.name, label, file: { url: card.file } })),
    });
  }
}

/** A table of runs. */
export class Table {
  number = 0;

  constructor() {
    this.receive = mountSweep({ element: find("#sweep"), trigger: (event, { run }) => event === "open" && goTo(run) });
  }

  async show({ name, file }) {
    if (this.name === name) return;
    const answer = await fetch(file);
    if (!answer.ok) throw new Error(`the table answered ${answer.status}`);
    await this.receive({ ...READY, run: ++this.number, ...(await answer.json()) });
    this.name = name;
  }
}

/** Say what there is to see of something. */
export const say = (main, text) => setText(main.querySelector(".gl-say"), text);
