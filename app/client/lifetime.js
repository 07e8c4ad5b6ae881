/* How long a component is on the page: Gradio may make it anew at any time, and tells none that it goes. */

/**
 * A signal that aborts when an element leaves the document.
 *
 * Whatever a component listens to or watches outside of its own elements ends by it: as the `signal` of a listener, or
 * by `until`.
 * @param {Element} element
 * @returns {AbortSignal}
 */
export function lifetimeOf(element) {
  const over = new AbortController();
  const watcher = new MutationObserver(() => {
    if (element.isConnected) return;
    watcher.disconnect();
    over.abort();
  });
  watcher.observe(document, { childList: true, subtree: true });
  return over.signal;
}

/**
 * An observer that stops with a signal.
 * @template {{disconnect(): void}} T
 * @param {AbortSignal} signal
 * @param {T} observer
 * @returns {T} the same
 */
export function until(signal, observer) {
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  return observer;
}

/** Call back whenever the page may have turned light or dark. */
export function onThemeChange(signal, callback) {
  until(signal, new MutationObserver(callback)).observe(document.body, { attributes: true, attributeFilter: ["class"] });
}
