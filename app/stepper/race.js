/* The race of a step: which codes get furthest, as bars and in words. */

import { percent, short } from "../client/numbers.js";
import { drawCode, prepare } from "./drawing.js";
import { otherAt, retrievedAt } from "./step.js";
import { ofStep } from "./trace.js";

/** The distributions that a race is between: had nothing been retrieved (if that is known), and what was drawn from. */
export function racedIn(trace) {
  const drawn = trace.mixes || !trace.blenders.length ? "blended" : "model";
  if (!trace.retrieves) return [drawn];
  return trace.blenders.length ? ("top_blank" in trace.arrays ? ["blank", drawn] : [drawn]) : ["model", drawn];
}

/** The probability of a code in a distribution of a step; it must be one of the listed codes. */
function chanceAt(trace, step, kind, code) {
  const place = ofStep(trace.arrays.top_code, step, trace.shown.codes).indexOf(code);
  return ofStep(trace.arrays[`top_${kind}`], step, trace.shown.codes)[place];
}

/** What happened in the draw of a step, in a sentence or two. */
export function raceTextAt(trace, step) {
  const { arrays, rule } = trace, { pick, without, drawn } = arrays;
  if (rule !== "gumbel") {
    return `This run comes from an older version, which drew by one number in code order (u = ${arrays.u[step].toFixed(4)}). `
      + "There, a flip can also go to a code that the look-up did not raise, so do not read too much into one.";
  }
  const kinds = racedIn(trace), share = (kind, code) => `${percent(chanceAt(trace, step, kind, code))} %`;
  const [before, after] = [kinds[0], kinds.at(-1)], code = pick[step], other = without[step];
  const luck = drawn[step] ? "" : "Not drawn, so its noise is sampled in hindsight: as it may have been, had the model taken it. ";
  const ahead = arrays.margin[2 * step + 1], second = arrays.seconds[2 * step + 1];
  const close = Number.isFinite(ahead)
    ? ` It is ahead of code ${second} by ${short(ahead)} nats: had that one been ${short(Math.exp(ahead))} times as likely, it would have been drawn.`
    : " No other code had a probability.";
  if (kinds.length < 2) return `${luck}Code ${code} had ${share(after, code)}.${close}`;
  const moved = chanceAt(trace, step, after, code) >= chanceAt(trace, step, before, code) ? "raised" : "lowered";
  const still = share(before, code) === share(after, code);
  const change = still ? `The look-up left code ${code} at ${share(after, code)}` : `The look-up ${moved} code ${code} from ${share(before, code)} to ${share(after, code)}`;
  if (code !== other) {
    const less = moved === "lowered" ? `, but code ${other} further, from ${share(before, other)} to ${share(after, other)}` : "";
    return `${luck}${change}${less}; with the same luck ${otherAt(trace, step)} takes ${other}.${close}`;
  }
  const same = retrievedAt(trace, step) ? `${change}; with the same luck ${otherAt(trace, step)} takes it, too.` : `Nothing was looked up here. Code ${code} had ${share(after, code)}.`;
  return `${luck}${same}${close}`;
}

/**
 * A race: for every code and lane, ln p and then its noise as one bar; who gets furthest is drawn.
 * Noise below 0 takes back what it can: the bar ends earlier, and what is lost is only outlined. Bars of those who lose
 * may be cut off at the left, those of winners never are.
 * @param {{code: number, noise: number, chances: number[]}[]} racers codes with a probability for each lane
 * @param {{colour: string, winner: number}[]} lanes the distributions, the first one above
 * @param {object} view trace, step and atlas, which have the looks of codes, and colours
 */
export function drawRace(canvas, width, racers, lanes, view) {
  const { colours } = view;
  const thick = lanes.length > 1 ? 8 : 11, row = lanes.length * (thick + 2) + 8, labels = 66, room = 12;
  const context = prepare(canvas, Math.max(width, 160), Math.max(row * racers.length, row));
  const ends = racers.flatMap(({ noise, chances }) => chances.filter((p) => p > 0).flatMap((p) => [Math.log(p), Math.log(p) + noise]));
  if (!ends.length) return;
  const won = racers.filter(({ code }) => lanes.some(({ winner }) => winner === code)).flatMap(({ chances }) => chances.filter((p) => p > 0).map(Math.log));
  const low = Math.max(Math.min(...ends), Math.min(-8, ...won)), high = Math.max(...ends), span = Math.max(high - low, 1e-6) + 0.4;
  const at = (value) => labels + Math.max(0, (value - low + 0.4) / span) * (Math.max(width, 160) - labels - room);
  context.textBaseline = "middle";
  lanes.forEach(({ winner, colour }) => {
    const first = racers.findIndex(({ code }) => code === winner);
    if (first < 0) return;
    const lane = lanes.findIndex((other) => other.winner === winner && other.colour === colour);
    const x = at(Math.log(racers[first].chances[lane]) + racers[first].noise);
    context.strokeStyle = colour;
    context.setLineDash([2, 3]);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, row * racers.length);
    context.stroke();
    context.setLineDash([]);
  });
  racers.forEach(({ code, noise, chances }, i) => {
    const top = i * row, wins = lanes.some(({ winner }) => winner === code);
    drawCode(context, view, code, 0, top + (row - 22) / 2, 22, 22);
    context.fillStyle = colours.ink;
    context.font = `${wins ? "600 " : ""}12px "IBM Plex Mono", ui-monospace, monospace`;
    context.fillText(String(code), 27, top + row / 2);
    lanes.forEach(({ colour, winner }, lane) => {
      const y = top + 4 + lane * (thick + 2), p = chances[lane];
      if (!(p > 0)) {
        context.fillStyle = colours.soft;
        context.font = "10px sans-serif";
        return context.fillText("excluded", labels, y + thick / 2);
      }
      const [log, end] = [at(Math.log(p)), at(Math.log(p) + noise)];
      context.fillStyle = colour;
      context.fillRect(labels, y, Math.max(Math.min(log, end) - labels, 1), thick);
      context.globalAlpha = 0.38;
      if (end > log) context.fillRect(log, y, end - log, thick);
      context.globalAlpha = 1;
      context.strokeStyle = colour;
      context.lineWidth = 1;
      if (end < log) context.strokeRect(end + 0.5, y + 0.5, log - end - 1, thick - 1);
      if (winner !== code) return;
      context.beginPath();
      context.arc(end, y + thick / 2, thick / 2 + 1, 0, 2 * Math.PI);
      context.fill();
      context.strokeStyle = colours.paper;
      context.stroke();
    });
  });
}

/** The `count` codes that get furthest in any lane; the winners are among them. */
export function furthest(racers, winners, count) {
  const score = ({ code, noise, chances }) => (winners.includes(code) ? Infinity : Math.log(Math.max(...chances, 1e-30)) + noise);
  return racers.filter(({ chances }) => Math.max(...chances) > 0).sort((a, b) => score(b) - score(a)).slice(0, count).sort((a, b) => b.chances.at(-1) - a.chances.at(-1));
}

/** The codes that are listed for a step, with their noise and their probabilities in some distributions. */
export function racersAt(trace, step, kinds) {
  const listed = (name) => ofStep(trace.arrays[`top_${name}`], step, trace.shown.codes);
  const noise = listed("noise"), shares = kinds.map(listed);
  return [...listed("code")].map((code, i) => ({ code, noise: noise[i], chances: shares.map((values) => values[i]) }));
}
