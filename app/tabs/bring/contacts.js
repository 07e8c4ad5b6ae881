/* The pictures that a visitor has brought, from one sheet; a click on one triggers "draw" with its caption. */

import { make, makePatch, partsOf } from "../../client/dom.js";
import { prepare } from "../../stepper/drawing.js";
import { bitmapFromBase64 } from "../../stepper/trace.js";

const SIDE = 76;

/** Make the shelf; returns what takes its value, see ContactsData in contacts.py. */
export function mount({ element, trigger }) {
  const { root, shelf } = partsOf(element, "", "bs");
  let newest = 0;
  return async (value) => {
    const number = ++newest, sheet = value?.sheet ? await bitmapFromBase64(value.sheet) : null;
    if (number !== newest) return;  // others came while this one was decoded
    root.hidden = !sheet;
    shelf.replaceChildren(...(sheet ? value.captions.map((caption, i) => itemOf(caption, sheet, i, value.columns)) : []));
    sheet?.close();
  };

  /** One picture with its caption, as a button. */
  function itemOf(caption, sheet, number, columns) {
    const item = make("li"), button = make("button", "bs-picture"), canvas = makePatch(), size = sheet.width / columns;
    const from = [(number % columns) * size, Math.floor(number / columns) * size, size, size];
    button.type = "button";
    button.title = `Draw “${caption}”`;
    prepare(canvas, SIDE, SIDE).drawImage(sheet, ...from, 0, 0, SIDE, SIDE);
    button.append(canvas, make("span", "", caption));
    button.addEventListener("click", () => trigger("draw", { caption }));
    item.append(button);
    return item;
  }
}
