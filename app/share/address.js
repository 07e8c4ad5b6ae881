/* The address bar is the link of the run that is shown; no visit to it is kept in the history. */

const SETTLE_MS = 600; // browsers take a hundred changes in half a minute
const KEPT = ["embed", "hide", "view", "footer"];

/**
 * The address of a run.
 * @param {string} path of the page
 * @param {string} search the query that the page has now, whose parameters that say how it is shown stay
 * @param {string} query that draws the run again, "" for none
 * @param {number} step where it stands, -1 for nowhere
 */
export function addressOf(path, search, query, step) {
  const params = [...new URLSearchParams(search)].filter(([name]) => KEPT.includes(name) || name.startsWith("__"));
  const link = query && step >= 0 ? `${query}&step=${step}` : query, kept = new URLSearchParams(params).toString();
  if (!kept) return `${path}${link}`;
  return `${path}${link ? `${link}&` : "?"}${kept}`;
}

/** Follows what is shown, once it has stood still for a moment. */
export class Address {
  waiting = 0;

  /** Show a run's link, "" for one without. */
  show(query, step) {
    clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => {
      const address = addressOf(location.pathname, location.search, query, step) + location.hash;
      if (address === location.pathname + location.search + location.hash) return;
      try { history.replaceState(history.state, "", address); } catch { /* a browser that does not let it: no harm */ }
    }, SETTLE_MS);
  }

  /** It goes. */
  stop() {
    clearTimeout(this.waiting);
  }
}
