/*
 * Whether the server can be reached: says so while it cannot, and asks until it can.
 *
 * The document's element has `data-cut` from the moment at which a stream was cut until what waited for it has failed,
 * `data-unreached` after a request that did not come through, and in `data-line` what is said.
 */

import { make, setText } from "../client/dom.js";

const FIRST_MS = 500, LONGEST_MS = 15_000, ANSWER_MS = 8_000;
const HERE_MS = 120_000; // well under the time after which the server ends a visit
const AWAY_MS = 20_000;
const BACK_MS = 3_000, FAILING_MS = 3_000; // how long Gradio may take to say that an event failed
const PLACE = "loupe-visit";
const SAID = {
  offline: "You are offline. What you have drawn is still here.",
  unreached: "The server cannot be reached. Trying again…",
  back: "Connected again.",
  restarted: "The server was restarted, and has none of your runs any more.",
};

/** The token of this browser's visit; "" before there is one, and where nothing can be stored. */
function recall() {
  try { return localStorage.getItem(PLACE) ?? ""; } catch { return ""; }
}

function remember(token) {
  try { localStorage.setItem(PLACE, token); } catch { /* the visit is that of this page alone */ }
}

/** How long to wait after the nth question without an answer. */
export const waitAfter = (n) => Math.min(FIRST_MS * 2 ** n, LONGEST_MS);

/** Wait, or until something happens that may have mended it. */
function pause(ms) {
  return new Promise((resolve) => {
    const over = new AbortController(), { signal } = over;
    const end = () => { over.abort(); clearTimeout(timer); resolve(undefined); };
    const timer = setTimeout(end, ms);
    addEventListener("online", end, { signal });
    document.addEventListener("visibilitychange", end, { signal });
  });
}

export class Line {
  /**
   * @param {typeof fetch} fetch the browser's
   * @param {string} address where a page says that it is there
   */
  constructor(fetch, address) {
    this.fetch = fetch;
    this.address = address;
    this.server = this.token = "";
    this.mending = null;
    this.again = this.isOther = false;
    this.contact = Date.now();
    this.parts = null;
  }

  /** From now on, say every now and then that this page is there, and whenever it may have been away. */
  keep() {
    setInterval(() => this.here(), HERE_MS);
    const back = () => Date.now() - this.contact > AWAY_MS && document.visibilityState === "visible" && this.here();
    document.addEventListener("visibilitychange", back);
    addEventListener("online", () => this.here());
    addEventListener("offline", () => this.mend());
    addEventListener("pageshow", ({ persisted }) => persisted && this.here());
  }

  /** Say that this page is there; where that does not come through, until it does. */
  async here() {
    if (!this.tab) return;
    if (!this.mending && !(await this.ask())) this.mend();
  }

  /** A stream was cut: what it brought is to be asked for. */
  cut() {
    this.mark("cut", this.mend(true));
  }

  /** A request did not come through. */
  unreached() {
    this.mend();
    this.mark("unreached");
  }

  /** Say why events fail; what fails a while later did so for another reason. */
  async mark(why, until = null) {
    const { dataset } = document.documentElement;
    dataset[why] = "true";
    await until;
    setTimeout(() => { delete dataset[why]; }, FAILING_MS);
  }

  /**
   * Wait until the server answers; says that it does not, when a question was in vain.
   * @param {boolean} [again] streams were lost, which end on the other side, too
   */
  mend(again = false) {
    this.again ||= again;
    this.mending ??= this.askOn().finally(() => { this.mending = null; });
    return again ? this.mending.then(() => this.again && this.mend()) : this.mending;
  }

  async askOn() {
    let inVain = 0;
    while (!(await this.ask())) {
      this.say(navigator.onLine === false ? "offline" : "unreached");
      await pause(waitAfter(inVain++));
    }
    if (!inVain) return;
    this.say("back", BACK_MS);
  }

  /** The name of this tab, which Gradio gives it. */
  get tab() {
    return /** @type {any} */ (globalThis).__gradio_session_hash__ ?? "";
  }

  /** One question, which is a contact as well; whether it was answered. */
  async ask() {
    const { again, tab } = this, body = JSON.stringify({ tab, token: recall() || this.token, again });
    if (!tab) return true;
    try {
      const answer = await this.fetch(this.address, { method: "POST", body, signal: AbortSignal.timeout(ANSWER_MS), cache: "no-store" });
      if (!answer.ok) return false;
      this.take(await answer.json());
    } catch {
      return false;
    }
    if (again) this.again = false;
    this.contact = Date.now();
    return true;
  }

  take({ token, server }) {
    this.token = token;
    remember(token);
    this.isOther ||= Boolean(this.server) && this.server !== server;
    this.server = server;
    if (this.isOther) this.say("");
  }

  /* ---- what is said */

  /** The line, with its live region; readers hear only what changes in one that was there before. */
  prepare() {
    const line = make("p"), said = make("span"), reload = make("button", "", "Reload the page");
    line.id = "page-line";
    line.setAttribute("role", "status");
    Object.assign(reload, { type: "button", hidden: true, onclick: () => location.reload() });
    line.append(said, reload);
    document.body.append(line);
    this.parts = { line, said, reload };
  }

  /** Say one of SAID, or nothing; for how long, if not until something else is said. Of another server, that stays. */
  say(wanted, ms = 0) {
    if (!this.parts) this.prepare();
    clearTimeout(this.timer);
    const state = this.isOther && ["", "back"].includes(wanted) ? "restarted" : wanted;
    setText(this.parts.said, SAID[state] ?? "");
    this.parts.reload.hidden = state !== "restarted";
    if (state) document.documentElement.dataset.line = state;
    else delete document.documentElement.dataset.line;
    if (ms) this.timer = setTimeout(() => this.say(""), ms);
  }
}
