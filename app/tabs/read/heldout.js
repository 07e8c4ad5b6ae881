/* Held-out pictures to choose from. It takes what shelf_of in reading.py makes; a click triggers "take" with the place of a picture. */

import { make, makePatch, partsOf } from "../../client/dom.js";
import { prepare } from "../../stepper/drawing.js";
import { bitmapFromBase64 } from "../../stepper/trace.js";

const SIDE = 56;

/** Make the shelf; returns what takes its value. */
export function mount({ element, trigger }) {
  const { root, shelf } = partsOf(element, "ho-");
  return async (value) => {
    if (!value) return;
    const sheet = await bitmapFromBase64(value.sheet), size = sheet.height;
    shelf.replaceChildren(...value.captions.map((caption, picture) => {
      const item = make("li"), button = make("button", "ho-picture"), canvas = makePatch();
      button.type = "button";
      button.setAttribute("aria-label", `Read: ${caption}`);
      button.title = `Read: ${caption}`;
      prepare(canvas, SIDE, SIDE).drawImage(sheet, picture * size, 0, size, size, 0, 0, SIDE, SIDE);
      button.append(canvas);
      button.addEventListener("click", () => {
        for (const other of shelf.querySelectorAll("button")) other.classList.toggle("is-taken", other === button);
        trigger("take", { picture });
      });
      item.append(button);
      return item;
    }));
    root.dataset.state = "ready";
  };
}
