/* A picture that is drawn slowly: whenever it is paused after a patch, the next one is asked for after a moment. */

import { find, pageStepper } from "../client/page.js";

const LOOK_MS = 450; // to see one look-up before the next
const STARTS = "#generate, .chip";

/**
 * Go on with slow pictures, until the visitor pauses one.
 * @param {AbortSignal} signal ends it
 */
export function keepPace(signal) {
  const slow = () => find("#pace input:checked")?.value === "slowly";
  let going = false, waiting = 0;
  const stop = () => { going = false; clearTimeout(waiting); };
  const goOn = () => {
    const button = find("#onward-patch"), { trace, host } = pageStepper() ?? {};
    if (going && slow() && trace && host.dataset.state === "stopped" && button) button.click();
  };
  document.addEventListener("click", ({ target, isTrusted }) => {
    if (!(target instanceof Element)) return;
    if (target.closest(STARTS)) going = slow();
    else if (isTrusted && target.closest("#stop, #onward button, #pace")) stop();
  }, { signal, capture: true });
  document.addEventListener("keydown", ({ key, target }) => {
    if (key === "Enter" && target instanceof Element && target.closest("#prompt")) going = slow();
  }, { signal, capture: true });
  document.addEventListener("loupe:trace", () => {
    clearTimeout(waiting);
    if (going) waiting = setTimeout(goOn, LOOK_MS);
  }, { signal, capture: true });
  signal.addEventListener("abort", stop);
}
