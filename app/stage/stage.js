/*
 * The stage: the first screen, a finished example that is there before the debugger is. It stands outside of Gradio's page,
 * plays once, and asks nothing of the server but one file.
 */

import { setText } from "../client/dom.js";
import { find } from "../client/page.js";
import { loadExample } from "./data.js";
import { draw, focusPrompt, openRun, openTab, turnOff } from "./debugger.js";
import { makeRoot, Stage } from "./showing.js";

const VISITED = "loupe-visited", SHOWN = "has-stage", THEME = "loupe-theme";

/** Whether this browser has been in the debugger, or comes for something else than the example. */
function wantsDebugger() {
  if (location.search) return true;
  try { return localStorage.getItem(VISITED) === "1"; } catch { return false; }
}

/** Let the debugger be the first thing next time. */
function remember() {
  try { localStorage.setItem(VISITED, "1"); } catch { /* private windows see the stage again */ }
}

/* ---- coming and going */

function leave(root, then) {
  remember();
  root.stage?.stop();
  root.hidden = true;
  document.documentElement.classList.remove(SHOWN);
  dispatchEvent(new Event("resize"));  // what was laid out behind it may have another width now
  return then?.();
}

function wire(root, stage) {
  const { open, own, prompt, known, bring, note } = stage.parts, away = (then) => leave(root, then);
  open.addEventListener("click", () => away(() => openRun(stage.run.name)));
  stage.parts["off-here"].addEventListener("click", () => away(() => turnOff(stage.position)));
  own.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!prompt.value.trim()) return setText(note, "Say what to draw.");
    setText(note, "");
    away(() => draw(prompt.value.trim()));
  });
  for (const chip of own.querySelectorAll(".sg-chip:not([data-sg])")) chip.addEventListener("click", () => away(() => draw(chip.textContent)));
  known.addEventListener("click", () => away(focusPrompt));
  bring.addEventListener("click", () => away(() => openTab("bring")));
  document.addEventListener("keydown", (event) => event.key === "Escape" && !root.hidden && away(focusPrompt));
}

/** Show the stage; whatever fails on the way, the debugger is there instead. */
async function enter() {
  document.documentElement.classList.add(SHOWN);
  let root = /** @type {any} */ (document.getElementById("stage"));
  try {
    if (!root) {
      const loading = loadExample(new URL("./example.json", find("script[src*='stage/stage.js']").src));
      root = makeRoot("main");
      document.body.prepend(root);
      const stage = new Stage(root, await loading);
      root.stage = stage;
      wire(root, stage);
    }
    root.hidden = false;
    root.stage.drawTicks();
    root.dataset.state = "shown";
    performance.mark("loupe-stage");
    if (document.activeElement !== document.body) root.focus({ preventScroll: true });  // it came in the place of something
    root.stage.play();
  } catch {
    if (root) leave(root);
    else document.documentElement.classList.remove(SHOWN);
  }
}

function chosenTheme() {
  try { return localStorage.getItem(THEME); } catch { return null; }
}

const dark = chosenTheme() ? chosenTheme() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.classList.toggle("is-dark", dark);
document.addEventListener("loupe:stage", () => {
  document.documentElement.classList.toggle("is-dark", document.body.classList.contains("dark"));
  enter();
});
document.addEventListener("loupe:trace", remember, { capture: true });  // there is something to come back to
if (!wantsDebugger()) enter();
