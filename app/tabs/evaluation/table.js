/* Tables of a report: measured values stand with the interval that holds them in 95 % of resampled runs. */

import { make } from "../../client/dom.js";

/** What a cell says: text, a number, or a value with its interval. */
export function cellTexts(cell, digits) {
  if (typeof cell === "string") return { value: cell, interval: "" };
  if (typeof cell === "number") return { value: Number.isInteger(cell) ? String(cell) : signed(cell, digits), interval: "" };
  const { value, low, high } = cell, [from, to] = [low, high].map((end) => signed(end, digits));
  return { value: signed(value, digits), interval: low === high ? "" : `${from} to ${to}` };
}

/** How many items all measured values are of; null where that differs, or there are none. */
export function commonCount(rows) {
  const counts = new Set(rows.flat().flatMap((cell) => (cell?.n ? [cell.n] : [])));
  return counts.size === 1 ? [...counts][0] : null;
}

/** What stands below a table: its note, and n where all values have the same. */
export function noteOf({ rows, note }) {
  const n = commonCount(rows);
  return [note, n === null ? "" : `n = ${n}.`].filter(Boolean).join(" ");
}

/** A number with a true minus; what rounds to nothing has no sign. */
function signed(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** A table that scrolls by itself where it is too wide. */
export function tableOf({ head, rows, digits, note }) {
  const below = noteOf({ rows, note }), differs = commonCount(rows) === null && !head.includes("n");
  const place = make("div", "ev-table"), table = make("table"), top = make("thead"), body = make("tbody"), line = make("tr");
  place.tabIndex = 0;
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", head.filter(Boolean).join(", "));
  line.append(...head.map((name) => {
    const cell = make(name ? "th" : "td", "", name);  // a heading says something
    if (name) cell.setAttribute("scope", "col");
    return cell;
  }));
  top.append(line);
  body.append(...rows.map((row) => {
    const line = make("tr");
    line.append(...row.map((cell, i) => {
      const { value, interval } = cellTexts(cell, digits), node = make(i ? "td" : "th", typeof cell === "string" ? "" : "is-number", value);
      const small = [interval, differs && cell?.n ? `n = ${cell.n}` : ""].filter(Boolean).join(", ");
      if (i) node.title = head[i];
      else node.setAttribute("scope", "row");
      if (small) node.append(" ", make("small", "", small));
      return node;
    }));
    return line;
  }));
  table.append(top, body);
  place.append(table);
  if (below) place.append(make("p", "ev-note", below));
  return place;
}
