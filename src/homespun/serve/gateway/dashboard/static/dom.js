// What the panels are drawn with, beside the nodes themselves.

import { el } from "./nodes.js";

export { byId, chip, el, svg } from "./nodes.js";

const shown = new WeakMap();

/** Whether nodes are being replaced just now, so that a focus lost thereby is not taken for one that moved on. */
export const replacing = { now: false };

/** Draws into a place if what it shows has changed; the focus stays on the node with the same data-focus. */
export function draw(place, key, make) {
  const mark = JSON.stringify(key);
  if (shown.get(place) === mark) return;
  shown.set(place, mark);
  const active = place.contains(document.activeElement) ? document.activeElement : null;
  const focused = active?.closest("[data-focus]")?.dataset.focus;
  const open = new Set([...place.querySelectorAll("details[open]")].map((node) => node.className));
  replacing.now = true;
  place.replaceChildren(...[make()].flat());
  for (const node of place.querySelectorAll("details")) node.open = open.has(node.className);
  if (focused) [...place.querySelectorAll("[data-focus]")].find((n) => n.dataset.focus === focused)?.focus({ preventScroll: true });
  replacing.now = false;
}

export const empty = (...children) => el("p", { class: "empty" }, ...children);

/** A table; each column is {name, cell, number}. Narrow screens stack its rows. */
export function table(columns, rows, { label, rowAttributes = () => ({}) } = {}) {
  const head = columns.map((c) => el("th", { scope: "col", class: c.number && "n" }, c.name));
  const body = rows.map((row) =>
    el("tr", rowAttributes(row), columns.map((c) => el("td", { "data-name": c.name, class: c.number ? "n" : "break" }, el("span", {}, c.cell(row))))));
  return el("div", { class: "scroll" }, el("table", { class: "stack", "aria-label": label }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}
