/*
 * The tab "Evaluation": a report of `core evaluate`, whose place the server says. It is fetched when the tab is first in
 * sight. All of its texts become text nodes.
 */

import { make, partsOf, setText } from "../../client/dom.js";
import { lifetimeOf, until } from "../../client/lifetime.js";
import { drawPlot } from "./plot.js";
import { tableOf } from "./table.js";

const FAILED = "The report could not be loaded. Reload the page.";
const MISSING = "There is no report on this server.";

class Report {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, signal) {
    this.parts = partsOf(element, "", "ev");
    this.place = new URL(document.baseURI);
    const seen = until(signal, new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      seen.disconnect();
      this.fetch(signal);
    }));
    seen.observe(this.parts.root);
  }

  /** Take where the report is, seen from the page. */
  receive(address) {
    if (typeof address === "string" && address) this.place = new URL(address, document.baseURI);
  }

  async fetch(signal) {
    const { root, state } = this.parts;
    setText(state, "Fetching the figures.");
    try {
      const answer = await fetch(this.place, { signal });
      if (!answer.ok) throw new Error(answer.status === 404 ? MISSING : FAILED);
      this.show(await answer.json());
      root.dataset.state = "ready";
      state.hidden = true;
    } catch (error) {
      if (signal.aborted) return;
      root.dataset.state = "failed";
      setText(state, error instanceof Error && error.message === MISSING ? MISSING : FAILED);
    }
  }

  /** @param {{about: string, headline: any, runs: any[]}} report */
  show({ about, headline, runs }) {
    const { contents, body, about: said } = this.parts;
    setText(said, about);
    said.hidden = false;
    body.replaceChildren(tableOf(headline), ...runs.map((run, i) => this.run(run, `ev-run-${i}`)));
    contents.replaceChildren(...runs.map((run, i) => {
      const link = make("a", "", run.title);
      link.setAttribute("href", `#ev-run-${i}`);
      link.addEventListener("click", (event) => {  // the address of the page is that of a run
        event.preventDefault();
        const part = /** @type {HTMLDetailsElement} */ (document.getElementById(`ev-run-${i}`));
        part.open = true;
        part.scrollIntoView({ block: "start" });
        /** @type {HTMLElement} */ (part.firstElementChild).focus({ preventScroll: true });
      });
      return link;
    }));
    contents.hidden = false;
  }

  /** One suite over one model and database, closed at first. */
  run({ title, items, command, failed, unavailable, sections }, id) {
    const part = make("details", "ev-run"), head = make("summary"), facts = make("p", "ev-facts");
    part.id = id;
    head.append(make("h3", "", title));
    facts.append(`${items} items measured. `, make("code", "", command));
    part.append(head, facts);
    const missing = [...Object.entries(unavailable), ...failed.map(({ key, reason }) => [key, reason])];
    if (missing.length) {
      const list = make("ul", "ev-missing");
      list.append(...missing.map(([name, reason]) => make("li", "", `${name}: ${reason}`)));
      part.append(make("p", "ev-facts", "Not measured:"), list);
    }
    part.append(...sections.flatMap((section) => this.section(section)));
    return part;
  }

  section({ title, text, blocks }) {
    const paragraphs = text.split(/\n\s*\n/).filter(Boolean).map((words) => make("p", "ev-text", words));
    return [make("h4", "", title), ...paragraphs, ...blocks.map((block) => this.block(block))];
  }

  block(block) {
    if (block.kind === "table") return tableOf(block);
    return block.kind === "plot" ? drawPlot(block) : this.sheet(block);
  }

  /** A contact sheet; every picture that a link draws again is one. */
  sheet({ key, title, shown, columns }) {
    const figure = make("figure", "ev-sheet"), frame = make("div", "ev-frame"), picture = make("img");
    const across = Math.min(columns, shown.length), down = Math.ceil(shown.length / across);
    Object.assign(picture, { loading: "lazy", alt: title, src: new URL(`${key}.webp`, this.place).href });
    frame.append(picture, ...shown.flatMap(({ caption, link }, i) => {
      if (!link) return [];
      const place = make("a", "ev-picture");
      place.setAttribute("href", `?${link}`);
      place.setAttribute("target", "_blank");
      place.setAttribute("aria-label", `${caption}: open it`);
      Object.assign(place.style, {
        left: `${100 * (i % across) / across}%`, top: `${100 * Math.floor(i / across) / down}%`, width: `${100 / across}%`, height: `${100 / down}%`,
      });
      return [place];
    }));
    figure.append(frame, make("figcaption", "", title));
    return figure;
  }
}

export function mount({ element }) {
  const report = new Report(element, lifetimeOf(element));
  return (address) => report.receive(address);
}
