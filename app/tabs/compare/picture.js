/* A picture of the comparison. */

import { make } from "../../client/dom.js";

/** A picture with its name; the handles are on the parts that change. */
export function makePicture(letter, label, open) {
  const item = make("li", "cp-run"), name = make("p", "cp-name"), canvas = make("canvas", "cp-canvas");
  name.append(make("b", "", letter), make("span", "", label));
  name.title = label;
  canvas.setAttribute("role", "img");
  const foot = make("p", "cp-foot"), count = make("span");
  foot.append(count);
  const button = make("button", "cp-open", "Open");
  button.type = "button";
  button.title = `Open ${letter} in the stepper`;
  button.setAttribute("aria-label", button.title);
  if (open) {
    button.addEventListener("click", open);
    foot.append(button);
  }
  item.append(name, canvas, foot);
  return { item, canvas, count, button };
}
