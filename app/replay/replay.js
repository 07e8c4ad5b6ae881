"use strict";
/* Gives the stepper what is in this file, as a server would. */

/** The content of a data block as an ArrayBuffer. */
function blockBytes(id) {
  const node = document.getElementById(id);
  const bytes = Uint8Array.from(atob(node.textContent.trim()), (character) => character.charCodeAt(0));
  node.remove();
  return bytes.buffer;
}

const element = document.getElementById("stepper");
const about = JSON.parse(new TextDecoder().decode(blockBytes("about")));
const recorded = { bytes: blockBytes("trace") };
const props = { value: { ...about, run: 1, number: 1, step: -1, file: recorded, atlas: { url: "atlas", bytes: blockBytes("atlas") } } };

document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
document.getElementById("theme").addEventListener("click", () => document.body.classList.toggle("dark"));

{
  const length = new DataView(recorded.bytes).getUint32(8, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(recorded.bytes, 16, length)));
  for (const [name, value] of Object.entries({ prompt: header.prompt, ...header.settings })) {
    const pair = document.createElement("div");
    const term = document.createElement("dt"), number = document.createElement("dd");
    term.textContent = name;
    number.textContent = Array.isArray(value) ? value.join(", ") || "all" : String(value);
    pair.append(term, number);
    document.getElementById("settings").append(pair);
  }
}
