/* Gives the stepper what is in this file, as a server would. */

import { mount } from "../stepper/stepper.js";
import { parseTrace } from "../stepper/trace.js";
import { mount as mountInside } from "../tabs/inside/inside.js";
import { recordedAt } from "../tabs/inside/recorded.js";
import { showSettings } from "./settings.js";

/** The content of a data block as an ArrayBuffer. */
function blockBytes(id) {
  const node = document.getElementById(id);
  const bytes = Uint8Array.from(atob(node.textContent.trim()), (character) => character.charCodeAt(0));
  node.remove();
  return bytes.buffer;
}

document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
document.getElementById("theme").addEventListener("click", () => document.body.classList.toggle("dark"));

const about = JSON.parse(new TextDecoder().decode(blockBytes("about")));
const [trace, atlas] = ["trace", "atlas"].map(blockBytes);
const parsed = parseTrace(trace), inside = document.getElementById("inside");
showSettings(document.getElementById("settings"), parsed);
mount({ element: document.getElementById("stepper") })(
  { ...about, run: 1, number: 1, step: -1, file: { bytes: trace }, atlas: { url: "atlas", bytes: atlas } });
if (parsed.inside) {
  inside.hidden = false;
  mountInside({ element: inside, trigger: () => {}, server: { at: async (asked) => recordedAt(parsed, asked) } });
}
