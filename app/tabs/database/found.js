/* What was found: pictures by words, by meaning or by what they share, and entries by their context. */

import { make, makePatch, setText } from "../../client/dom.js";
import { percent, plural } from "../../client/numbers.js";
import { pageStepper } from "../../client/page.js";
import { drawCode, outline, prepare } from "../../stepper/drawing.js";
import { bitmapFromBase64 } from "../../stepper/trace.js";

const THUMB = 56, CROP = 72;
const number = (n) => n.toLocaleString("en");

export class Found {
  /**
   * @param {Object<string, any>} parts of the tab
   * @param {(image: number) => void} open
   */
  constructor(parts, open) {
    this.parts = parts;
    this.open = open;
    this.turn = 0;
  }

  clear() {
    this.turn++;
    this.say("Nothing searched yet", "Find pictures by a word, by a picture, or by a neighbourhood: click a cell of an opened picture.");
    this.list([], "none");
  }

  /** A search begins; returns its number, with which its answer comes. */
  wait(text) {
    setText(this.parts.said, text);
    this.parts.results.dataset.state = "waiting";
    return ++this.turn;
  }

  say(heading, text, follow = "") {
    setText(this.parts.heading, heading);
    setText(this.parts.said, text);
    this.parts.follow.hidden = !follow;
    setText(this.parts.follow, follow);
  }

  fail(message) {
    this.say("Nothing found", message);
    this.list([], "error");
  }

  list(items, kind) {
    this.parts.found.replaceChildren(...items);
    this.parts.found.scrollTop = 0;
    Object.assign(this.parts.results.dataset, { state: kind === "error" ? "error" : "ready", kind, turn: this.turn });
  }

  /** Whether an answer is to be shown: it is the last one that was asked for, and no error. */
  takes(turn, answer) {
    if (turn !== this.turn) return false;
    if (answer.error) this.fail(answer.error);
    return !answer.error;
  }

  /* ---- pictures */

  showWords(turn, answer, words) {
    if (!this.takes(turn, answer)) return;
    const { total, searched, found } = answer, shown = found.length < total ? `, of which ${found.length} are listed` : "";
    this.say(`“${words.trim()}” in captions`, `${number(total)} of the ${number(searched)} captions searched contain ${words.trim().includes(" ") ? "every word" : "the word"}, also as a part of another word${shown}. Whole words come first.`);
    this.list(found.map((one) => this.makePicture(one, "")), "words");
  }

  showMeaning(answer) {
    if (!this.takes(this.turn, answer)) return;
    this.say(`Nearest in meaning to “${answer.words}”`, `The ${answer.found.length} captions nearest in the caption encoder, as the caption filter takes them: cosine of the vectors. There is always a nearest one, however far it is.`);
    this.list(answer.found.map((one) => this.makePicture(one, `cosine ${one.likeness.toFixed(2)}`)), "meaning");
  }

  showLike(turn, answer, where) {
    if (!this.takes(turn, answer)) return;
    const { contexts, plain, nearest, found } = answer;
    const left = plain ? ` ${plural(plain, "plain context")} that stand${plain === 1 ? "s" : ""} in more places than that ${plain === 1 ? "is" : "are"} left out.` : "";
    this.say(`Pictures like ${where}`, `Each of ${contexts} of its different contexts looks up its ${nearest} nearest entries, as drawing does; the share is for how many of them a picture is among the answers.${left}`);
    this.list(found.map((one) => this.makePicture(one, `${percent(one.count / Math.max(contexts, 1))} % of its contexts`)), "like");
  }

  makePicture({ image, caption, style, thumb }, measure) {
    const canvas = makePatch("db-thumb");
    this.drawThumb(canvas, thumb);
    return this.makeRow(image, canvas, caption, [style, `#${image}`].filter(Boolean).join(" · "), measure);
  }

  async drawThumb(canvas, thumb) {
    const context = prepare(canvas, THUMB, THUMB), bitmap = thumb ? await bitmapFromBase64(thumb) : null;
    if (bitmap) context.drawImage(bitmap, 0, 0, THUMB, THUMB);
    bitmap?.close();
  }

  makeRow(image, canvas, ...texts) {
    const item = make("li"), button = make("button", "db-row"), words = make("span", "db-words");
    button.type = "button";
    button.dataset.image = String(image);
    words.append(...texts.filter(Boolean).map((text, i) => make(i ? "small" : "b", "", text)));
    button.append(canvas, words);
    button.addEventListener("click", () => this.open(image));
    item.append(button);
    return item;
  }

  /* ---- entries */

  showPatch(turn, answer, { where, asked, current, filters }) {
    if (!this.takes(turn, answer)) return;
    const { exact, exact_images: images, followers, different, sampled, found } = answer, { overview } = current;
    const scope = sampled < overview.size ? `a sample of ${number(sampled)} pictures` : "the database";
    const narrowed = filters.length ? ` The run looked up with ${filters.join(" and ")}; here all entries count, by distance alone.` : "";
    this.say(`Where the neighbourhood of ${where} stands`, exact
      ? `Exactly this one stands ${exact === 1 ? "once" : `${number(exact)} times`} in ${scope}, in ${plural(images, "picture")}.${narrowed}`
      : `Exactly this one stands nowhere in ${scope}; these are the nearest entries.${narrowed}`,
    exact > 1 ? `What came next there: ${followers.map(([code, count]) => `code ${code} ${number(count)} times`).join(", ")}${different > followers.length ? `, and ${different - followers.length} other codes` : ""}.` : "");
    const own = "image" in asked ? [asked.image, asked.position] : [-1, -1], width = overview.grid[1];
    this.list(found.map((one) => this.makeEntry(one, current, one.image === own[0] && one.row * width + one.column === own[1])), "patch");
  }

  makeEntry(one, current, itself) {
    const canvas = makePatch("db-crop");
    this.drawCrop(canvas, one, current);
    const item = this.makeRow(one.image, canvas, one.caption, [one.style, `#${one.image}`, `row ${one.row}, column ${one.column}`].filter(Boolean).join(" · "),
      `distance ${one.distance.toFixed(3)} · next: code ${one.code}${itself ? " · the cell itself" : ""}`);
    item.firstChild.dataset.entry = String(one.entry);
    return item;
  }

  /** The surroundings of an entry, its context and what came next outlined. */
  async drawCrop(canvas, { crop, top, left, cells, row, column, code }, { overview }) {
    const context = prepare(canvas, CROP, CROP), cell = CROP / cells, style = getComputedStyle(this.parts.root);
    const box = (r, c) => /** @type {[number, number, number, number]} */ ([(c - left) * cell, (r - top) * cell, cell, cell]);
    const bitmap = crop ? await bitmapFromBase64(crop) : null, stepper = pageStepper();
    if (bitmap) context.drawImage(bitmap, 0, 0, CROP, CROP);
    else drawCode(context, { trace: null, step: -1, atlas: stepper?.atlas ?? null }, code, ...box(row, column));
    bitmap?.close();
    context.lineWidth = 1;
    context.strokeStyle = style.getPropertyValue("--lp-query").trim();
    for (const [down, right] of overview.context.offsets) {
      const [x, y, width, height] = box(row + down, column + right);
      context.strokeRect(x + 1, y + 1, width - 2, height - 2);
    }
    outline(context, ...box(row, column), "#18212b");
  }
}
