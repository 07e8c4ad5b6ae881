/* A run in one sentence: what look-ups changed, and which picture most of it comes from. */

import { make } from "../client/dom.js";
import { plural } from "../client/numbers.js";

const PICTURE_SIZE = 28;
const LEAST_SHARE = 0.05; // of a picture: less than that is not said to come from a source

/** What look-ups changed, as a sentence without its end. */
export function changedText({ looked_up: lookedUp, steps, drawn, changed, hindsight }) {
  if (!drawn) {
    const patches = hindsight === 1 ? "1 patch" : `${hindsight} of ${plural(steps, "patch", "patches")}`;
    return `This picture was read, not drawn${lookedUp && hindsight !== null ? `; in hindsight, look-ups would have changed ${patches}` : ""}`;
  }
  if (!lookedUp) return "Nothing was looked up: the model drew alone";
  if (changed === null) return `Looked up at ${lookedUp} of ${plural(steps, "patch", "patches")}; what that changed was not recorded`;
  return changed ? `Look-ups changed ${changed} of ${plural(steps, "patch", "patches")}` : "Look-ups changed no patch";
}

/** Which picture most of it comes from; empty where none is worth naming. */
export function sourceText({ share, drawn }) {
  return drawn && share >= LEAST_SHARE ? `${Math.round(100 * share)} % comes from` : "";
}

const briefly = ({ caption, style }) => (style && !caption.includes(style) ? `${caption}, ${style}` : caption);

/** The whole sentence, as it is said. */
export function summaryText(trace) {
  const { summary, sources } = trace, from = sourceText(summary);
  const parts = [changedText(summary), from && `${from} ${briefly(sources[summary.place])}`].filter(Boolean);
  return `${parts.join("; ")}.${summary.why ? ` ${summary.why}.` : ""}`;
}

/**
 * Show the sentence, with the source's picture in it and a button to the next change.
 * @param {HTMLElement} line
 * @param {object} trace
 * @param {() => void} next goes to the next change
 * @returns {HTMLCanvasElement | null} where the source's picture is to be drawn
 */
export function showSummary(line, trace, next) {
  const { summary, sources } = trace, from = sourceText(summary), parts = [make("b", "", changedText(summary))];
  let picture = null;
  if (from) {
    const about = sources[summary.place];
    picture = make("canvas");
    picture.setAttribute("aria-hidden", "true");
    parts.push(make("span", "", `; ${from} `), picture, make("span", "", ` ${briefly(about)}`));
  }
  parts.push(make("span", "", summary.why ? `. ${summary.why}.` : "."));
  if (summary.changed) {
    const button = make("button", "", "Next change: ");
    button.type = "button";
    button.append(make("kbd", "", "n"));
    button.addEventListener("click", next);
    parts.push(button);
  }
  line.replaceChildren(...parts);
  line.hidden = false;
  return picture;
}

/** Draw the source's picture in the sentence, once it is decoded. */
export function drawSummaryPicture(canvas, bitmap) {
  const density = window.devicePixelRatio || 1, side = Math.round(PICTURE_SIZE * density);
  if (canvas.width === side && canvas.shows === bitmap) return;
  Object.assign(canvas, { width: side, height: side, shows: bitmap });
  canvas.style.width = canvas.style.height = `${PICTURE_SIZE}px`;
  canvas.getContext("2d").drawImage(bitmap, 0, 0, side, side);
}
