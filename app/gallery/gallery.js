/* The gallery of recorded runs: plain files and this script. The address says what is shown; nothing is computed. */

import { make, setText } from "../client/dom.js";
import { find } from "../client/page.js";
import { loadExample } from "../stage/data.js";
import { makeRoot, Stage } from "../stage/showing.js";
import { makeSection } from "./cards.js";
import { hashOf, placeOf } from "./places.js";
import { Beside, OneRun, say, Table } from "./shown.js";

const THEME = "loupe-theme", TITLE = "AR-RAG Loupe: recorded runs", LIST = "gallery.json", EXAMPLE = "stage.json";
const HUB = "https://huggingface.co";

/* ---- light and dark */

function chosenTheme() {
  try { return localStorage.getItem(THEME); } catch { return null; }
}

function show(dark) {
  document.body.classList.toggle("dark", dark);
  document.documentElement.classList.toggle("is-dark", dark);
}

function offerThemes() {
  show(chosenTheme() ? chosenTheme() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  find("#theme").addEventListener("click", () => {
    const dark = !document.body.classList.contains("dark");
    show(dark);
    try { localStorage.setItem(THEME, dark ? "dark" : "light"); } catch { /* private windows: for this visit only */ }
  });
}

/* ---- what is there */

class Gallery {
  /** @param {{sections: any[], hidden: any[], live: string}} list as gallery.json has it */
  constructor({ sections, hidden, live }) {
    const cards = sections.flatMap(({ runs }) => runs);
    this.order = cards;
    this.cards = new Map([...cards, ...hidden].map((card) => [card.name, card]));
    const beside = sections.flatMap((section) => section.beside);
    for (const one of beside) for (const run of one.runs) run.card = this.cards.get(run.name);
    this.beside = new Map(beside.map((one) => [one.name, one]));
    this.sweeps = new Map(sections.flatMap((section) => section.sweeps).map((one) => [one.name, one]));
    this.mains = { home: find("#gl-home"), run: find("#gl-run"), compare: find("#gl-compare"), sweep: find("#gl-sweep") };
    this.kind = "";
    this.scrolled = 0;
    this.parts = {};
    find("#gl-sections").append(...sections.map(makeSection));
    if (live) {
      find("#gl-live").hidden = false;
      find("#gl-live a").href = `${HUB}/spaces/${live}`;
    }
    addEventListener("hashchange", () => this.follow());
    document.addEventListener("keydown", (event) => this.press(event));
  }

  /** The part that shows something, made when it is first needed. */
  part(kind) {
    const kinds = { run: OneRun, compare: Beside, sweep: Table };
    this.parts[kind] ??= new kinds[kind]();
    return this.parts[kind];
  }

  /* ---- going somewhere */

  /** Show what the address asks for. */
  async follow() {
    const { kind, name, step } = placeOf(location.hash), known = { run: this.cards, compare: this.beside, sweep: this.sweeps }[kind];
    const found = known?.get(name), missing = known && !found;
    setText(find("#gl-note"), missing ? `There is no recording “${name}” here any more; these are the ones that there are.` : "");
    find("#gl-note").hidden = !missing;
    this.enter(found ? kind : "home", name);
    this.tellHub();
    if (!found) return this.showHome(name);
    document.title = `${found.prompt ?? found.title} - AR-RAG Loupe`;
    say(this.mains[kind], found.say);
    try {
      const part = this.part(kind);
      if (kind === "run") this.showAround(found);
      await part.show(found, step);
    } catch (error) {
      setText(find("#gl-note"), `This could not be shown (${error instanceof Error ? error.message : error}). Reload the page.`);
      find("#gl-note").hidden = false;
    }
  }

  /** One of the parts is in sight, and begins at its top; all runs are where they were. */
  enter(kind, name) {
    if (kind === "run" && this.kind === "run" && this.shownRun === name) return;
    if (this.kind === "home") this.scrolled = scrollY;
    if (this.kind === "run" && kind !== "run") this.parts.run?.leave();
    if (kind !== "home") this.stage?.stop();
    const same = this.kind === kind && kind === "home";
    this.kind = kind;
    this.shownRun = kind === "run" ? name : "";
    for (const [one, main] of Object.entries(this.mains)) main.hidden = one !== kind;
    document.body.dataset.shown = kind;
    if (!same) scrollTo(0, kind === "home" ? this.scrolled : 0);
  }

  showHome(anchor) {
    document.title = TITLE;
    if (!this.stage) this.makeStage();
    else this.stage.drawTicks();
    if (anchor === "own") find("#own").scrollIntoView();
  }

  /** The first screen, whose recordings are runs of the gallery, too. */
  async makeStage() {
    const root = makeRoot("section");
    this.stage = { stop: () => {}, drawTicks: () => {} }; // until it is there
    const stage = await loadExample(new URL(EXAMPLE, document.baseURI)).then((example) => {
      find("#gl-stage").append(root);
      return new Stage(root, example, false);
    }).catch(() => null);
    if (!stage) return root.remove();
    this.stage = stage;
    const { open, own, note } = stage.parts;
    for (const node of [own, note, stage.parts["off-here"]]) node.remove();
    setText(open, "Step through this run");
    open.hidden = !this.cards.has("pizza-strong");
    open.addEventListener("click", () => { location.hash = hashOf("run", `pizza-${stage.run.name}`, stage.position); });
    stage.drawTicks();
    root.dataset.state = "shown";
    if (this.kind === "home") stage.play();
  }

  /** The runs before and after one, and where else it is shown. */
  showAround(card) {
    const at = this.order.indexOf(card);
    for (const [id, other] of [["#gl-previous", this.order[at - 1]], ["#gl-next", at < 0 ? null : this.order[at + 1]]]) {
      const link = find(id);
      link.hidden = !other;
      if (other) Object.assign(link, { href: hashOf("run", other.name), title: other.prompt });
    }
    const links = [...this.beside.values()].filter(({ runs }) => runs.some((run) => run.card === card))
      .map(({ name }) => ["compare", name, "Beside others"]);
    const sweep = [...this.sweeps.keys()].find((name) => card.name.startsWith(`${name}-`));
    if (sweep) links.push(["sweep", sweep, "The sweep"]);
    if (card.parent) links.push(["run", card.parent, "The run that it branched from"]);
    find("#gl-more").replaceChildren(...links.map(([kind, name, text]) => Object.assign(make("a", "", text), { href: hashOf(kind, name) })));
  }

  /** Escape leads back to all runs, and arrow keys that nobody takes step. */
  press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && this.kind !== "home") location.hash = "";
    else if (this.kind === "run" && event.target === document.body) this.parts.run?.host.loupe.press(event);
  }

  /** On the Hub the page is inside of another one, whose address is the one that is seen. */
  tellHub() {
    if (window.parent === window || !document.referrer.startsWith(HUB)) return;
    window.parent.postMessage({ queryString: location.search.slice(1), hash: location.hash }, HUB);
  }
}

async function begin() {
  offerThemes();
  const answer = await fetch(LIST);
  if (!answer.ok) throw new Error(`${LIST} answered ${answer.status}`);
  const gallery = new Gallery(await answer.json());
  await gallery.follow();
}

begin().catch((error) => {
  setText(find("#gl-note"), `The list of the runs could not be read (${error instanceof Error ? error.message : error}). Reload the page.`);
  find("#gl-note").hidden = false;
});
