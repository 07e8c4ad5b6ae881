/*
 * Maps of an image that was read: how surprising each patch was for every method. They take what surprise_maps in image.py
 * makes. The maps follow the stepper, and a click on a cell moves it; no request is made.
 */

import { make, partsOf, setText } from "../../client/dom.js";
import { lifetimeOf } from "../../client/lifetime.js";
import { short } from "../../client/numbers.js";
import { pageStepper } from "../../client/page.js";
import { boxOf, cividis, drawScale, outline, prepare } from "../../stepper/drawing.js";
import { finiteRange } from "../../stepper/trace.js";

const MAP = 176;

class Maps {
  /**
   * @param {HTMLElement} element where the template was mounted
   * @param {AbortSignal} signal aborts when it goes
   */
  constructor(element, signal) {
    this.parts = partsOf(element, "", "wm");
    document.addEventListener("loupe:step", () => this.value && this.draw(), { capture: true, signal });
  }

  get loupe() {
    return pageStepper();
  }

  show(value) {
    if (!value) return;
    this.value = value;
    const [low, high] = finiteRange(value.methods.flatMap(({ surprise }) => surprise)) || [0, 1];
    this.range = [Math.min(0, low), high];
    this.parts.root.hidden = false;
    this.maps = value.methods.map((method) => {
      const figure = make("figure", "wm-map"), canvas = make("canvas"), words = make("figcaption");
      const mean = method.surprise.reduce((sum, x) => sum + x, 0) / method.surprise.length;
      const agree = method.picks.filter((code, p) => code === value.codes[p]).length;
      words.append(make("b", "", method.name), make("span", "", ` ${mean.toFixed(3)} nats a code`),
        make("small", "", `would have picked ${agree} of ${value.codes.length} codes`));
      words.title = "Mean surprise over all patches, and how many codes of the image the same luck would have drawn";
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Surprise for ${method.name}, ${mean.toFixed(3)} nats a code`);
      canvas.addEventListener("pointerdown", (event) => this.pick(event, canvas));
      figure.append(canvas, words);
      return { figure, canvas };
    });
    this.parts.maps.replaceChildren(...this.maps.map(({ figure }) => figure));
    setText(this.parts.low, short(this.range[0]));
    setText(this.parts.high, short(this.range[1]));
    drawScale(this.parts.bar);
    this.draw();
  }

  /** Move the stepper to the cell under the pointer, if the image is what it shows. */
  pick(event, canvas) {
    const box = canvas.getBoundingClientRect(), [height, width] = this.value.grid;
    const col = Math.floor(((event.clientX - box.left) / box.width) * width), row = Math.floor(((event.clientY - box.top) / box.height) * height);
    this.loupe?.move(Math.min(Math.max(row, 0), height - 1) * width + Math.min(Math.max(col, 0), width - 1));
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.render());
  }

  render() {
    const { loupe } = this, [height, width] = this.value.grid, grid = { height, width }, step = loupe?.step ?? -1;
    const cell = MAP / width;
    this.value.methods.forEach(({ surprise }, i) => {
      const context = prepare(this.maps[i].canvas, MAP, Math.round(cell * height));
      surprise.forEach((value, p) => {
        context.fillStyle = cividis((value - this.range[0]) / (this.range[1] - this.range[0] || 1));
        context.fillRect(...boxOf(p, grid, cell));
      });
      if (step >= 0 && step < surprise.length) outline(context, ...boxOf(step, grid, cell), loupe.colours.cursor);
    });
    const here = step >= 0 && step < this.value.codes.length;
    setText(this.parts.here, here ? `Position ${step}, code ${this.value.codes[step]}: ${this.value.methods.map(({ name, surprise, picks }) => (
      `${name} ${surprise[step].toFixed(2)} nats, ${picks[step] === this.value.codes[step] ? "would have picked the same" : `would have picked ${picks[step]}`}`)).join("; ")}.` : "");
  }
}

/** Make the maps; returns what takes their values. */
export function mount({ element }) {
  const maps = new Maps(element, lifetimeOf(element));
  return (value) => maps.show(value);
}
