/* What is said to screen readers: by one live region, so that nothing is said twice and nothing is talked over. */

import { make } from "./dom.js";

const region = () => document.getElementById("page-spoken") ?? document.body.appendChild(Object.assign(make("p"), { id: "page-spoken" }));

/** Put the region into the page; readers hear only what changes in one that was there before. */
export function prepareSpeech() {
  const spoken = region();
  spoken.setAttribute("role", "status");
  spoken.setAttribute("aria-live", "polite");
}

/** Say something; what was said before is not said again. */
export function say(text) {
  const spoken = region();
  if (spoken.textContent !== text) spoken.textContent = text;
}
