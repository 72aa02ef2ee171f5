// Diagrams that are not over time: reliability, an interval on a line, and bars.

import { draw, el, svg } from "./dom.js";
import { count, percent, points, score } from "./format.js";
import { legend } from "./charts.js";

const SIDE = 250;

/** Share of right answers by confidence, with 95 % intervals; the diagonal is perfect calibration. */
export function reliability(place, told) {
  const x = (value) => 36 + value * (SIDE - 46);
  const y = (value) => 8 + (1 - value) * (SIDE - 40);
  const bins = told.bins.filter((bin) => bin.n > 0);
  const most = Math.max(...bins.map((bin) => bin.n));
  const marks = [0, 0.25, 0.5, 0.75, 1];
  const words = `${count(told.n)} labelled answers; expected calibration error ${score(told.ece)}, Brier score ${score(told.brier)}`;
  draw(place, told, () => [
    legend([["one", "share right"], ["ideal", "perfectly calibrated"]]),
    svg("svg", { class: "chart", viewBox: `0 0 ${SIDE} ${SIDE}`, height: SIDE, role: "img", "aria-label": `Reliability diagram. ${words}. A table follows.` },
      marks.map((mark) => [
        svg("line", { class: "grid", x1: x(0), x2: x(1), y1: y(mark), y2: y(mark) }),
        svg("text", { x: x(0) - 6, y: y(mark) + 4, "text-anchor": "end" }, mark),
        svg("text", { x: x(mark), y: y(0) + 15, "text-anchor": "middle" }, mark)]),
      svg("text", { x: x(0.5), y: SIDE - 2, "text-anchor": "middle" }, "confidence told"),
      svg("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
      bins.map((bin) => [
        svg("line", { class: "whisker", x1: x(bin.confidence), x2: x(bin.confidence), y1: y(bin.lower), y2: y(bin.upper) }),
        svg("circle", { class: "dot one", cx: x(bin.confidence), cy: y(bin.accuracy), r: 3 + 5 * Math.sqrt(bin.n / most) },
          svg("title", {}, `${percent(bin.accuracy)} of ${count(bin.n)} were right at confidence ${score(bin.confidence)}`))])),
    el("p", { class: "quiet" }, `${words}. ${told.bins.length} bins of equal width; larger dots hold more answers. Judges' own labels are left out.`),
    el("details", { class: "as-table" }, el("summary", {}, "As a table"), el("table", {},
      el("thead", {}, el("tr", {}, ["Confidence", "Right", "95 %", "n"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, bins.map((bin) => el("tr", {}, [score(bin.confidence), percent(bin.accuracy), `${percent(bin.lower)} to ${percent(bin.upper)}`, count(bin.n)].map((text) => el("td", {}, text))))))),
  ]);
}

/** A difference of quality with its interval, zero, and the margin up to which it counts as equal. */
export function interval(found, margin) {
  const reach = Math.max(0.05, Math.abs(found.low) * 1.2, Math.abs(found.high) * 1.2, margin * 1.5);
  const x = (value) => 10 + ((value + reach) / (2 * reach)) * 280;
  return svg("svg", { class: "chart", viewBox: "0 0 300 46", role: "img", "aria-label": `Difference of quality: ${points(found.mean)} points, 95 % interval ${points(found.low)} to ${points(found.high)}` },
    svg("rect", { class: "margin", x: x(-margin), width: x(reach) - x(-margin), y: 4, height: 22 }),
    svg("line", { class: "zero", x1: x(0), x2: x(0), y1: 2, y2: 28 }),
    svg("line", { class: "ranged", x1: x(found.low), x2: x(found.high), y1: 15, y2: 15 }),
    svg("circle", { class: "dot one", cx: x(found.mean), cy: 15, r: 5.5 }),
    [-margin, 0].map((value) => svg("text", { x: x(value), y: 42, "text-anchor": value ? "end" : "start" }, value ? `${points(value)} ` : " equal")));
}

/** Horizontal bars with a word, a number and a share each. */
export function bars(rows, { name, value, right }) {
  const total = rows.reduce((sum, row) => sum + value(row), 0);
  return el("ul", { class: "bars" }, rows.map((row) => el("li", {},
    el("div", { class: "head" }, el("span", {}, name(row)), el("span", {}, right(row, total ? value(row) / total : 0))),
    track([["", total ? value(row) / total : 0]]))));
}

/** A track filled by parts of one whole. */
export function track(parts) {
  return el("div", { class: "track", "aria-hidden": "true" }, parts.map(([kind, share]) => {
    const part = el("div", { class: `fill ${kind}` });
    part.style.width = `${Math.min(1, Math.max(0, share)) * 100}%`;
    return part;
  }));
}
