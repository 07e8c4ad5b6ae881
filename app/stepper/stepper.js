/*
 * The stepper: shows how a picture was drawn, position by position, from a trace that it holds itself.
 *
 * It takes updates (see StepperData in stepper.py). Small ones arrive while the picture is being drawn; the last one names
 * a file with the whole trace, which is fetched once. After that, stepping makes no request.
 *
 * Other parts of the page find the stepper as the property `loupe` of its host, and hear "loupe:step" from the host
 * whenever it stands somewhere else.
 *
 * Everything that came from a visitor, a caption or a trace reaches the page as text nodes and pixels only.
 */

import { hideButton, offerAgain, partsOf, setText, setTitle } from "../client/dom.js";
import { lifetimeOf, onThemeChange, until } from "../client/lifetime.js";
import { Newest } from "../client/newest.js";
import { short } from "../client/numbers.js";
import { doAgain, Patience, SILENT } from "../client/patience.js";
import { prepareSpeech, say } from "../client/speech.js";
import { explain } from "../client/tips.js";
import { Blenders } from "./blenders.js";
import { paint } from "./canvas.js";
import { boxOf, coloursOf, drawScale } from "./drawing.js";
import { isJump, Jumps } from "./jumps.js";
import { legendText, overlayOf, whyNoOverlay } from "./overlays.js";
import { Reading } from "./reading.js";
import { sourceKeys } from "./sources.js";
import { placeAt, spokenAt } from "./step.js";
import { drawSummaryPicture, showSummary, summaryText } from "./summary.js";
import { TIPS } from "./tips.js";
import { bitmapFromBase64, closeTrace, decodeSource, loadTrace, PictureOfOneFile } from "./trace.js";
import { wordsIn } from "./words.js";

const PLAY_INTERVAL_MS = 80, CALM_INTERVAL_MS = 500;
const SPEAK_AFTER_MS = 350;
const LATE_MS = 19, STILL_MS = 200, HURRIED_FRAMES = 40; // a frame that took longer than the screen's is late

class Stepper {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, signal) {
    this.parts = partsOf(element);
    this.root = this.parts.root;
    this.host = /** @type {any} */ (element.closest("#stepper")) || this.root;
    this.newest = new Newest();
    this.patience = new Patience(() => this.fail(SILENT, "#generate"), () => this.tell("missed"));
    this.trace = null;
    this.previous = null;
    this.missing = "";
    this.step = this.previousStep = -1;
    this.steps = 0;
    this.grid = { height: 16, width: 16 };
    this.picture = null;
    this.pictured = 0; // how many patches the picture of a drawing shows
    this.patches = new PictureOfOneFile();
    this.atlas = null;
    this.overlayName = "none";
    this.overlay = null;
    this.focus = -1;
    this.reading = new Reading(this.parts);
    this.blenders = new Blenders(this.parts);
    this.sections = new Map([
      [this.parts.frame, () => this.renderStage()],
      [this.parts.asked, (view) => this.reading.showAsked(view)],
      [this.parts.likely, (view) => this.reading.showCodes(view)],
      [this.parts.draw, (view) => this.reading.showDraw(view)],
      [this.parts.verdict, (view) => this.reading.showVerdict(view)],
      [this.parts.blenders, (view) => this.blenders.show(view)],
      [this.parts.neighbours, (view) => this.reading.showNeighbours(view)],
    ]);
    this.inSight = new Set();
    this.rendered = this.hurried = this.turn = 0;
    this.whole = false;
    this.source = null;
    this.radios = [...this.root.querySelectorAll("[name=lp-overlay]")];
    for (const radio of this.radios) radio.parentElement.dataset.meaning = radio.parentElement.title;
    this.jumps = new Jumps(this.root, this.parts, () => this.step, (step) => this.move(step));
    this.host.tabIndex = -1;
    this.host.loupe = this;
    this.listen();
    this.watch(signal);
    this.readColours();
    this.setState("idle");
    this.measure();
  }

  /* ---- updates from the server */

  /** Take one update; answers of an older run, and late ones of this run, are dropped. */
  async receive(update) {
    const { run } = this.newest;
    this.patience.heard(this.root.dataset.state === "streaming");
    if (!this.newest.take(update)) return;
    if (update.run > run) this.pause();
    return this.follow(update);
  }

  /** Show what an update brings; where that fails, the visitor can try again, and what was there before stays usable. */
  async follow(update) {
    try {
      if (update.state === "streaming") await this.showProgress(update);
      else if (update.state === "error") this.showError(update.message, this.missing);
      else await this.showTrace(update);
    } catch (error) {
      if (!this.newest.is(update)) return;
      this.showError(`The picture could not be shown (${error instanceof Error ? error.message : error}).`);
      offerAgain(this.parts.again, () => this.follow(update));
    }
  }

  /** A picture is being drawn: show what there is so far. */
  async showProgress(update) {
    const picture = update.picture ? await bitmapFromBase64(update.picture) : null;
    if (!this.newest.is(update)) return picture?.close();
    const goesOn = !this.trace && !picture && update.number > 0;  // what was seen last stays until there is more to see
    if (this.trace) Object.assign(this, { previous: this.trace, previousStep: this.step });
    else if (!goesOn) this.picture?.close();
    this.trace = null;
    if (!goesOn) Object.assign(this, { picture, pictured: picture ? update.steps : 0 });
    this.grid = { height: update.height, width: update.width };
    this.showMessage(update.message);
    setText(this.parts.title, update.prompt);
    this.parts.facts.replaceChildren();
    this.parts.sentence.hidden = true;
    this.setState("streaming");
    if (!update.number) this.reveal();
    this.setSteps(update.steps, update.steps - 1);
  }

  /** The drawing ended: fetch the whole trace and stand where the update says. */
  async showTrace(update) {
    this.patience.heard(false);
    const [trace, atlas] = await Promise.all([loadTrace(update.file), this.patches.load(update.atlas)]);
    if (!this.newest.is(update)) return closeTrace(trace);
    this.atlas = atlas;
    this.release();
    this.open(trace, update.state, update.step);
    this.showMessage(update.message);
    this.decodePictures(trace);
  }

  /** Free the pictures of what was shown before. */
  release() {
    if (!this.trace) this.picture?.close();
    for (const old of [this.trace, this.previous]) if (old) closeTrace(old);
    this.previous = null;
  }

  /** Show a trace, at a position, or where it says most (-1); until one moves, all of a finished picture is seen. */
  open(trace, state, step = -1) {
    Object.assign(this, { trace, picture: trace.drawn, grid: trace.grid, focus: -1 });
    this.reading.build(trace);
    this.blenders.build(trace);
    this.blenders.measure();
    setText(this.parts.title, trace.prompt);
    this.setState(state);
    for (const node of [this.root, this.host]) delete node.dataset.shown;
    this.whole = state === "ready";
    this.setSteps(trace.steps, step >= 0 && step < trace.steps ? step : trace.summary.start);
    this.offerOverlays();
    this.jumps.offer(trace);
    this.source = showSummary(this.parts.sentence, trace, () => this.jumps.press("n", false));
    say(`${state === "stopped" ? "Paused" : "Drawn"}. ${summaryText(trace)}`);
    this.tell("trace");
  }

  /** Tell the panels of the page that there is another trace, or another step or source to look at. */
  tell(what) {
    this.host.dispatchEvent(new CustomEvent(`loupe:${what}`));
  }

  /** Decode the source pictures one after the other, those of the shown position first as they are asked for. */
  async decodePictures(trace) {
    for (let i = 0; i < trace.sources.length; i++) {
      if (this.trace !== trace) return;
      await decodeSource(trace, i);
      if (i % 64 === 0) this.draw();
    }
    this.draw();
  }

  /** Decode a source picture that is on view, and draw again when it is there. */
  async showSource(trace, image) {
    await decodeSource(trace, image);
    if (trace === this.trace && trace.bitmaps[image]) this.draw();
  }

  /** Show what went wrong, and offer to do it again; a picture that is already there stays usable. */
  showError(message, again = "") {
    this.showMessage(message);
    this.missing = "";
    if (again) offerAgain(this.parts.again, () => doAgain(again));
    const { previous } = this;
    this.previous = null;
    if (!this.trace && previous) return this.open(previous, "error", this.previousStep);
    this.setState("error");
    if (!this.trace) this.setSteps(0, -1);
  }

  /** What was asked for did not come about, and no answer will say so; after a cut, it may have come about unheard. */
  fail(message, again) {
    if (!("cut" in document.documentElement.dataset) || this.root.dataset.state !== "streaming") return this.showError(message, again);
    this.missing = again;
    this.tell("missed");
  }

  /* ---- state that the outside can see */

  setState(state) {
    const paused = Boolean(this.trace) && this.trace.steps < this.grid.width * this.grid.height;
    for (const node of [this.root, this.host]) Object.assign(node.dataset, { state, paused, traceId: this.trace?.id ?? "" });
    if (state === "ready" && document.activeElement?.closest("#onward")) this.parts.canvas.focus({ preventScroll: true }); // it goes
    this.patience.heard(state === "streaming");
    const idle = !this.trace;
    for (const name of ["previous", "play", "next", "scrub"]) this.parts[name].disabled = idle;
    if (idle) this.jumps.offer(null);
  }

  setSteps(steps, step) {
    this.steps = steps;
    this.parts.scrub.max = (this.trace ? steps : this.grid.width * this.grid.height) - 1;
    this.setStep(step);
  }

  setStep(step) {
    this.step = step;
    for (const node of [this.root, this.host]) Object.assign(node.dataset, { step, steps: this.steps });
    this.draw();
    if (this.trace) this.tell("step");
  }

  showMessage(message) {
    setText(this.parts.notice, message || "");
    this.parts.notice.hidden = !message;
    if (message) say(message);
    hideButton(this.parts.again, this.parts.canvas);
  }

  /* ---- moving */

  /** Go to a position (clamped). */
  go(step) {
    if (!this.trace) return;
    this.whole = false;
    this.setStep(Math.min(Math.max(step, 0), this.steps - 1));
  }

  /** Go there by hand: a running playback ends. */
  move(step) {
    this.pause();
    this.go(step);
  }

  /** On a narrow page, where the picture may be out of sight: show it. */
  reveal() {
    if (matchMedia("(max-width: 720px)").matches) this.parts.frame.scrollIntoView({ block: "nearest" });
  }

  /** Bring the picture into sight, and focus it: there the arrow keys step. */
  goHere() {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.host.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
    this.parts.canvas.focus({ preventScroll: true });
  }

  toggle() {
    if (this.timer) return this.pause();
    if (!this.trace) return;
    if (this.step >= this.steps - 1) this.go(0);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.timer = setInterval(() => {
      this.go(this.step + 1);
      if (this.step >= this.steps - 1) this.pause();
    }, calm ? CALM_INTERVAL_MS : PLAY_INTERVAL_MS);
    this.showPlaying(true);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.showPlaying(false);
  }

  showPlaying(playing) {
    this.parts.play.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.parts.play.classList.toggle("is-playing", playing);
    this.speak();
  }

  /* ---- events */

  listen() {
    const { previous, next, play, scrub, canvas } = this.parts;
    previous.addEventListener("click", () => this.move(this.step - 1));
    next.addEventListener("click", () => this.move(this.step + 1));
    play.addEventListener("click", () => this.toggle());
    scrub.addEventListener("input", () => this.move(Number(scrub.value)));
    canvas.addEventListener("pointerdown", (event) => this.pick(event));
    canvas.addEventListener("pointermove", (event) => event.buttons === 1 && this.pick(event));
    this.host.addEventListener("keydown", (event) => this.press(event));
    for (const radio of this.radios) radio.addEventListener("change", () => this.choose(radio.value));
  }

  /** Follow what is around it, until it goes. */
  watch(signal) {
    const sizes = until(signal, new ResizeObserver(() => this.measure()));
    for (const node of [this.parts.frame, this.parts.reading]) sizes.observe(node);
    const sight = until(signal, new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.inSight[isIntersecting ? "add" : "delete"](target);
      this.draw();
    }));
    for (const section of this.sections.keys()) sight.observe(section);
    onThemeChange(signal, () => { this.readColours(); this.draw(); });
    signal.addEventListener("abort", () => this.close());
  }

  /** It goes: nothing moves any more, and pictures are freed. */
  close() {
    this.pause();
    clearTimeout(this.speaking);
    this.patience.heard(false);
    this.release();
    Object.assign(this, { trace: null, picture: null });
    this.jumps.offer(null);
  }

  /** Read the sizes that drawing depends on; not while drawing, where it would force a layout. */
  measure() {
    this.sizes = { stage: this.parts.frame.clientWidth, strip: this.parts.draw.clientWidth };
    this.reading.nearest.measure();
    this.blenders.measure();
    this.draw();
  }

  /** Go to the cell under the pointer. */
  pick(event) {
    const box = this.parts.canvas.getBoundingClientRect();
    const col = Math.floor(((event.clientX - box.left) / box.width) * this.grid.width);
    const row = Math.floor(((event.clientY - box.top) / box.height) * this.grid.height);
    if (col < 0 || row < 0 || col >= this.grid.width || row >= this.grid.height) return;
    this.move(row * this.grid.width + col);
  }

  /** Arrows, Home, End, Space and the letters of jumps, except where a control has its own use for them. */
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.trace) return;
    const target = event.target;
    if (["radio", "number"].includes(target.type) || (event.key === " " && target.tagName === "BUTTON")) return;
    const width = this.grid.width;
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width, PageUp: -width, PageDown: width };
    if (event.key in moves) this.move(this.step + moves[event.key]);
    else if (event.key === "Home") this.move(0);
    else if (event.key === "End") this.move(this.steps - 1);
    else if (event.key === " ") this.toggle();
    else if (isJump(event.key.toLowerCase())) this.jumps.press(event.key.toLowerCase(), event.shiftKey);
    else return;
    event.preventDefault();
  }

  /* ---- drawing the current position */

  /** Draw in the next frame, once, however many changes come before it. */
  draw() {
    if (this.frame) return;
    cancelAnimationFrame(this.resting);
    this.frame = requestAnimationFrame((now) => { this.frame = 0; this.render(now); });
  }

  render(now) {
    this.root.classList.toggle("is-stale", !this.trace);
    if (this.trace) this.root.classList.add("has-reading");
    this.renderTransport();
    this.renderLegend();
    if (!this.trace) return this.renderStage();
    const first = this.firstSections(now);
    this.renderSections((section) => first.includes(section));
    this.resting = requestAnimationFrame(() => {
      this.renderSections((section) => !first.includes(section));
      for (const node of [this.root, this.host]) node.dataset.shown = String(this.step);  // by all sections
    });
    this.speak();
  }

  /**
   * The sections to show in this frame; the others have a frame of their own, which a newer step takes. Those in sight, or,
   * after a late frame and for some while, the picture, what was looked up and taken, and one of the others in turn.
   */
  firstSections(now) {
    const since = now - this.rendered, seen = [...this.sections.keys()].filter((section) => this.inSight.has(section));
    this.rendered = now;
    this.hurried = since > STILL_MS ? 0 : since > LATE_MS ? HURRIED_FRAMES : Math.max(0, this.hurried - 1);
    if (!this.hurried) return seen;
    const { frame, asked, verdict } = this.parts, leading = seen.filter((section) => [frame, asked, verdict].includes(section));
    const others = seen.filter((section) => !leading.includes(section));
    return others.length ? [...leading, others[this.turn++ % others.length]] : leading;
  }

  /** Show the step in some of the sections. */
  renderSections(wanted) {
    if (!this.trace) return;
    const view = {
      trace: this.trace, step: this.step, atlas: this.atlas, colours: this.colours, stripWidth: this.sizes.strip,
      wanted: (image) => this.showSource(this.trace, image),
    };
    for (const [section, show] of this.sections) if (wanted(section)) show(view);
  }

  readColours() {
    this.colours = coloursOf(this.root);
  }

  renderStage() {
    const { grid, colours, trace, step, steps, picture, overlay, focus } = this, shown = !trace ? Math.min(steps, this.pictured) : this.whole ? steps : step + 1;
    const cell = Math.max(4, this.sizes.stage / grid.width);
    paint(this.parts.canvas, { grid, cell, colours, trace, step, steps, shown, picture, overlay, focus });
    if (!trace) return;
    const [x, y, width, height] = boxOf(step, grid, cell), source = this.source && trace.bitmaps[trace.summary.place];
    this.reading.nearest.drawTether(x + width / 2, y + height / 2);
    if (source) drawSummaryPicture(this.source, source);
  }

  renderTransport() {
    const { scrub, where, progress, canvas } = this.parts;
    const total = this.grid.width * this.grid.height;
    if (scrub.valueAsNumber !== Math.max(this.step, 0)) scrub.value = Math.max(this.step, 0);
    const share = Math.max(this.step, 0) / Math.max(scrub.max, 1);
    scrub.style.setProperty("--lp-filled", `${100 * share}%`);
    const streaming = this.root.dataset.state === "streaming";
    progress.style.transform = `scaleX(${streaming ? this.steps / total : 0})`;
    const at = `position ${this.step}, ${placeAt(this.grid, this.step)}`;
    setText(where, this.trace ? `${this.step} / ${this.steps - 1}` : streaming ? `${this.steps} of ${total}` : "–");
    scrub.setAttribute("aria-valuetext", at);
    for (const [name, value] of Object.entries({ valuemax: Math.max(this.steps - 1, 0), valuenow: Math.max(this.step, 0), valuetext: this.trace ? at : "nothing drawn yet" })) {
      canvas.setAttribute(`aria-${name}`, String(value));
    }
  }

  /** Disable the overlays that do not apply to the trace, saying why, and fall back to none. */
  offerOverlays() {
    for (const radio of this.radios) {
      const missing = whyNoOverlay(this.trace, radio.value);
      radio.disabled = Boolean(missing);
      setTitle(radio.parentElement, missing || radio.parentElement.dataset.meaning || "");
      if (missing && radio.value === this.overlayName) this.overlayName = "none";
    }
    this.radios.find((radio) => radio.value === this.overlayName).checked = true;
    this.choose(this.overlayName);
  }

  /** Show which patches one source shaped, by its rank; all sources for -1. */
  focusSource(rank) {
    if (!this.trace || whyNoOverlay(this.trace, "source")) return;
    this.focus = rank;
    this.radios.find((radio) => radio.value === "source").checked = true;
    this.choose("source");
  }

  /** Choose an overlay by name. */
  choose(name) {
    if (name !== "source") this.focus = -1;
    this.overlayName = name;
    this.overlay = this.trace ? overlayOf(this.trace, name) : null;
    this.parts.legend.hidden = !this.overlay;
    if (this.overlay) this.describeOverlay();
    this.draw();
    if (this.trace) this.tell("focus");
  }

  /** Draw the colour scale and its ends. */
  describeOverlay() {
    const { marks, sources, range } = this.overlay;
    this.parts["legend-bar"].hidden = Boolean(marks || sources);
    setText(this.parts["legend-low"], marks || sources ? "" : short(range[0]));
    setText(this.parts["legend-high"], marks || sources ? "" : short(range[1]));
    drawScale(this.parts["legend-bar"]);
    this.parts["legend-sources"].hidden = !sources;
    if (sources) this.parts["legend-sources"].replaceChildren(...sourceKeys(this.trace));
  }

  renderLegend() {
    if (this.overlay && this.trace) setText(this.parts["legend-text"], legendText(this.trace, this.overlay, this.step, this.focus));
  }

  /** Say the current position once it has stood still for a moment; nothing while playing. */
  speak() {
    clearTimeout(this.speaking);
    if (!this.trace || this.timer) return;
    this.speaking = setTimeout(() => this.trace && !this.whole && say(spokenAt(this.trace, this.step, wordsIn(this.trace.drawn, this.grid.width, this.step))), SPEAK_AFTER_MS);
  }
}

/** Make a stepper of the mounted template; returns what takes its updates. */
export function mount({ element }) {
  prepareSpeech();
  const signal = lifetimeOf(element), stepper = new Stepper(element, signal);
  explain(signal, TIPS);
  return (update) => stepper.receive(update);
}
