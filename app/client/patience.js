/* Waiting for news of something that the server is doing. */

const SILENT_MS = 30_000; // while one waits for one's turn, something is heard every few seconds
const MOST_ASKED = 2;

export const SILENT = "Nothing has been heard from the server for a long time.";

/** Asks when nothing is heard, and gives up when asking does not help. */
export class Patience {
  /**
   * @param {() => void} giveUp
   * @param {(() => void) | null} [ask] what became of it; null where that cannot be asked
   * @param {number} [silentMs]
   */
  constructor(giveUp, ask = null, silentMs = SILENT_MS) {
    this.giveUp = giveUp;
    this.ask = ask;
    this.silentMs = silentMs;
    this.timer = this.asked = 0;
  }

  /** Something is under way, and was heard of just now, or nothing is. */
  heard(isUnderWay) {
    this.asked = 0;
    this.wait(isUnderWay);
  }

  wait(isUnderWay) {
    clearTimeout(this.timer);
    if (isUnderWay) this.timer = setTimeout(() => this.miss(), this.silentMs);
  }

  miss() {
    if (!this.ask || this.asked++ === MOST_ASKED) return this.giveUp();
    this.ask();
    this.wait(true);
  }
}

/** Offer to do once more what failed, by the button that began it, or by the part of the page that did. */
export function doAgain(selector) {
  const began = /** @type {any} */ (document.querySelector(selector));
  if (began?.whatif) began.whatif.redo();
  else began?.click();
}
