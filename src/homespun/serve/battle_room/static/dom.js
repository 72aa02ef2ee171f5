// Nodes are made here and nowhere else. Text goes in as text, so what comes from models and programs cannot be markup.

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

/** Sets a text only where it differs, so that nothing is announced or laid out for no reason. */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const SIGNS = { good: "●", warn: "▲", bad: "✕", busy: "◌", "": "○" };

/** A state as a sign and a word, coloured too. */
export const chip = (kind, word) => el("span", { class: `chip ${kind}` }, el("span", { "aria-hidden": "true" }, SIGNS[kind]), word);

/** Arrow keys, Home and End move among buttons of which one is in the tab order. */
export function roving(group, buttons, { activate = false } = {}) {
  const enter = (button) => {
    for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
  };
  enter(buttons[0]);
  group.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = event.key === "Home" ? 0 : event.key === "End" ? buttons.length - 1 : step ? (at + step + buttons.length) % buttons.length : null;
    if (next === null) return;
    event.preventDefault();
    enter(buttons[next]);
    buttons[next].focus();
    if (activate) buttons[next].click();
  });
  return enter;
}

/** A dialog's frame: title, a button to close it, and what it holds. */
export function dialogue(dialog, title, ...content) {
  const close = el("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  dialog.replaceChildren(el("header", {}, el("h2", { id: dialog.getAttribute("aria-labelledby") }, title), close), el("div", { class: "body" }, ...content));
  if (!dialog.open) dialog.showModal();
}

let cleared = null;

/** Says something to those who listen rather than look. */
export function say(text) {
  byId("spoken").textContent = text;
  clearTimeout(cleared);
  cleared = setTimeout(() => { byId("spoken").textContent = ""; }, 6000);
}
