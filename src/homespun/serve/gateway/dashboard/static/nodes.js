// Nodes are made here and nowhere else, for the dashboard and the battle room alike. Text goes in as text, so what comes
// from models, programs and clients cannot be markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

const SIGNS = { good: "●", warn: "▲", bad: "✕", busy: "◌", "": "○" };

/** A state as a sign and a word, coloured too. */
export const chip = (kind, word) => el("span", { class: `chip ${kind}` }, el("span", { "aria-hidden": "true" }, SIGNS[kind]), word);
