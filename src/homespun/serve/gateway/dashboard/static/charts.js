// Charts over time, drawn as SVG: axes, a pointer's and a keyboard's cursor with the values told, and a table beside.

import { byId, draw, el, replacing, svg } from "./dom.js";

const HEIGHT = 190;
const EDGE = { left: 46, right: 10, top: 10, bottom: 24 };

/** Round steps that cover 0 … most. */
export function ticks(most, wanted = 4) {
  if (!(most > 0)) return [0, 1];
  const rough = most / wanted;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((value) => value >= rough * 0.999);
  const steps = [];
  for (let at = 0; at < most + step * 0.999; at += step) steps.push(at);
  return steps;
}

function tell(content, x, y) {
  const tip = byId("tip");
  tip.replaceChildren(...content.map((line, at) => el(at ? "span" : "b", {}, line)));
  tip.hidden = false;
  const { offsetWidth: wide, offsetHeight: high } = tip;
  tip.style.left = `${Math.max(6, Math.min(x + 14, innerWidth - wide - 6))}px`;
  tip.style.top = `${Math.max(6, y - high - 12)}px`;
}

export const untell = () => { byId("tip").hidden = true; };

export const sample = (kind) => svg("svg", { class: "chart", viewBox: "0 0 20 10", "aria-hidden": "true" },
  kind.startsWith("bar") ? svg("rect", { class: kind, x: 3, y: 0, width: 14, height: 10, rx: 2 })
    : kind === "between" ? svg("rect", { class: kind, x: 0, y: 0, width: 20, height: 10 })
    : svg("line", { class: `line ${kind}`, x1: 0, x2: 20, y1: 5, y2: 5 }));

export const legend = (entries) => el("ul", { class: "legend" }, entries.map(([kind, name]) => el("li", {}, sample(kind), name)));

export function frame(width, steps, y, format) {
  return steps.map((value) => [
    svg("line", { class: value === 0 ? "base" : "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
    svg("text", { x: EDGE.left - 7, y: y(value) + 4, "text-anchor": "end" }, format(value)),
  ]);
}

/**
 * A chart over time.
 * @param place Where it goes; it is drawn anew when its width or its values change.
 * @param rows Points, oldest first, each with `time`.
 * @param o label (what it shows), series [{name, kind, value}], style "lines" or "bars", between (two names), format, axis,
 *   time (how a moment is written), note (said of a row, if anything).
 */
export function overTime(place, rows, o) {
  const width = Math.max(240, place.clientWidth);
  draw(place, [width, rows, o.label], () => [
    legend([...o.series.map((s) => [s.kind, s.name]), ...(o.between ? [["between", o.between]] : [])]),
    drawing(width, rows, o),
    el("details", { class: "as-table" }, el("summary", {}, "As a table"), asTable(rows, o)),
  ]);
}

function asTable(rows, o) {
  const head = ["Time", ...o.series.map((s) => s.name)].map((name) => el("th", { scope: "col" }, name));
  const body = rows.map((row) => el("tr", {}, el("td", {}, o.time(row.time)), o.series.map((s) => el("td", {}, o.format(s.value(row))))));
  return el("div", { class: "scroll", tabindex: 0 }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}

function drawing(width, rows, o) {
  const stacked = o.style === "bars";
  const heights = rows.map((row) => (stacked ? o.series.reduce((sum, s) => sum + (s.value(row) ?? 0), 0) : Math.max(0, ...o.series.map((s) => s.value(row) ?? 0))));
  const steps = ticks(Math.max(...heights, 0));
  const top = steps.at(-1);
  const inner = width - EDGE.left - EDGE.right;
  const x = (at) => EDGE.left + ((at + 0.5) * inner) / rows.length;
  const y = (value) => EDGE.top + (HEIGHT - EDGE.top - EDGE.bottom) * (1 - value / top);
  const cursor = svg("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, visibility: "hidden" });
  const node = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, tabindex: 0, role: "img", "data-focus": o.label,
    "aria-label": `${o.label}. Arrow keys go through the points; a table follows.` },
    frame(width, steps, y, o.axis ?? o.format), times(rows, x, width, o), o.between ? between(rows, o, x, y) : null,
    stacked ? bars(rows, o, x, y, inner / rows.length) : o.series.map((s) => line(rows, s, x, y)), cursor);
  follow(node, rows, x, cursor, width, (row) => [o.time(row.time), ...o.series.map((s) => `${s.name}: ${o.format(s.value(row))}`)]);
  return node;
}

function times(rows, x, width, o) {
  const every = Math.ceil(rows.length / Math.max(2, Math.floor(width / 95)));
  return rows.map((row, at) => at % every === Math.floor(every / 2) && svg("text", { x: x(at), y: HEIGHT - 6, "text-anchor": "middle" }, o.tick(row.time)));
}

function bars(rows, o, x, y, room) {
  const wide = Math.max(1, room * 0.78);
  return rows.map((row, at) => {
    let below = 0;
    return o.series.map((s) => {
      const value = s.value(row) ?? 0;
      const [low, high] = [y(below), y(below + value)];
      below += value;
      return value > 0 && svg("rect", { class: s.kind, x: x(at) - wide / 2, y: high, width: wide, height: Math.max(1, low - high), rx: 1 });
    });
  });
}

/** A curve with gaps where the value is unknown; a lone point is a dot. */
function line(rows, s, x, y) {
  const parts = [];
  let run = [];
  rows.forEach((row, at) => {
    const value = s.value(row);
    if (value === null || value === undefined) { if (run.length) parts.push(run); run = []; } else run.push([x(at), y(value)]);
  });
  if (run.length) parts.push(run);
  return parts.map((points) => points.length === 1
    ? svg("circle", { class: `dot ${s.kind}`, cx: points[0][0], cy: points[0][1], r: 3 })
    : svg("polyline", { class: `line ${s.kind}`, points: points.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ") }));
}

function between(rows, o, x, y) {
  const side = (s) => rows.map((row, at) => `${x(at).toFixed(1)},${y(s.value(row) ?? 0).toFixed(1)}`);
  return svg("polygon", { class: "between", points: [...side(o.series[0]), ...side(o.series[1]).reverse()].join(" ") });
}

const cursors = new Map(); // where the cursor of each chart stands, from one drawing to the next

function follow(node, rows, x, cursor, width, lines) {
  const name = node.dataset.focus;
  const show = (next, spoken) => {
    const at = Math.max(0, Math.min(rows.length - 1, next));
    cursors.set(name, at);
    const box = node.getBoundingClientRect();
    cursor.setAttribute("x1", x(at));
    cursor.setAttribute("x2", x(at));
    cursor.setAttribute("visibility", "visible");
    tell(lines(rows[at]), box.left + (x(at) * box.width) / width, box.top + 40);
    if (spoken) byId("spoken").textContent = lines(rows[at]).join(", ");
  };
  const hide = () => {
    if (replacing.now) return;
    cursors.delete(name);
    cursor.setAttribute("visibility", "hidden");
    untell();
  };
  node.addEventListener("pointermove", (event) => {
    const box = node.getBoundingClientRect();
    const inside = (((event.clientX - box.left) * width) / box.width - EDGE.left) / (width - EDGE.left - EDGE.right);
    show(Math.floor(inside * rows.length), false);
  });
  node.addEventListener("pointerleave", hide);
  node.addEventListener("blur", hide);
  node.addEventListener("focus", () => { if (cursors.has(name)) show(cursors.get(name), false); });
  node.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -rows.length, End: rows.length }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show((cursors.get(name) ?? (step > 0 ? -1 : rows.length)) + step, true);
  });
}
