// What the page is drawn with, beside the nodes themselves, which the gateway's dashboard shares.

import { byId, el } from "./nodes.js";

export { byId, chip, el, svg } from "./nodes.js";

/** Sets a text only where it differs, so that nothing is announced or laid out for no reason. */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

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
