/* What the stage asks of the debugger behind it: by its own buttons and fields, as a visitor would. */

import { find } from "../client/page.js";

/** The debugger takes clicks and keys; that is a moment after the page is there. */
export const ready = () => new Promise((resolve) => {
  const here = () => find(".page-keys[aria-keyshortcuts]") && find("#generate");
  if (here()) return resolve(undefined);
  const watcher = new MutationObserver(() => {
    if (!here()) return;
    watcher.disconnect();
    resolve(undefined);
  });
  watcher.observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["aria-keyshortcuts"] });
});

const moment = () => new Promise((resolve) => { setTimeout(resolve, 60); });

/** Type a prompt into the debugger, and draw it. */
export async function draw(prompt) {
  await ready();
  const field = find("#prompt textarea, #prompt input"), kind = Object.getPrototypeOf(field);
  Object.getOwnPropertyDescriptor(kind, "value").set.call(field, prompt);  // as typing does, which Gradio hears of
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await moment();
  find("#generate").click();
}

/** Draw a run of the example anew, so that everything can be done with it. */
export async function openRun(name) {
  await ready();
  find(`#stage-${name}`)?.click();
}

/** Draw the strong run anew, and go on from a position with nothing looked up. */
export async function turnOff(position) {
  await ready();
  document.documentElement.dataset.stagePosition = String(position);
  find("#stage-branch")?.click();
}

/** Open a tab of the debugger. */
export async function openTab(name) {
  await ready();
  find(`#workbench [role=tab][data-tab-id=${name}]`)?.click();
  find("#workbench").scrollIntoView({ block: "start" });
}

/** Put the focus into the prompt. */
export async function focusPrompt() {
  await ready();
  find("#prompt textarea, #prompt input").focus();
}
