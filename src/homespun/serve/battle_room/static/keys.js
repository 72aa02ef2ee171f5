// Keys of the page, and the list of them. Single letters can be turned off, for those whose voice or aids type them.

import { byId, dialogue, el } from "./dom.js";
import { KEYS } from "./votes.js";

const PLACE = "homespun-single-keys";
const LIST = [
  ["1 2 3 4", "Vote: A is better, tie, both bad, B is better"],
  ["A  B", "Go to that side's tabs; arrow keys change the tab"],
  ["/", "Go to the prompt"],
  ["Enter", "Send; Shift Enter starts a new line"],
  ["Ctrl Enter", "In the code editor: run"],
  ["Esc, then Tab", "Leave the code editor"],
  ["Esc", "Leave a program"],
  ["G", "Regenerate both"],
  ["E", "Expand the side that has the focus, or restore it"],
  ["S", "Share the round"],
  ["N", "New round"],
  ["L", "Leaderboard and back"],
  ["?", "This list"],
];

const enabled = () => localStorage.getItem(PLACE) !== "off";

function typing(event) {
  const at = event.composedPath()[0];
  return at.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(at.tagName) && at.type !== "radio" && at.type !== "checkbox";
}

export function listenToKeys(acts) {
  const does = { a: () => acts.side("a"), b: () => acts.side("b"), "/": acts.prompt, g: acts.again, e: acts.expand, s: acts.share, n: acts.next, l: acts.board, "?": help };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing || typing(event)) return;
    if (document.querySelector("dialog[open]") || (!enabled() && event.key !== "?")) return;
    const act = KEYS[event.key] ? () => acts.vote(KEYS[event.key]) : does[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

export function help() {
  const box = el("input", { type: "checkbox", checked: enabled(), onchange: () => localStorage.setItem(PLACE, box.checked ? "on" : "off") });
  const rows = LIST.map(([keys, words]) => [el("dt", {}, keys.split("  ").map((key) => [el("kbd", {}, key), " "])), el("dd", {}, words)]);
  dialogue(
    byId("help-dialog"), "Keyboard and help",
    el("p", {}, "Both answers stream in; both programs show at the same moment, when both sides are ready. Play with them, change their code or packages, ask for more, then vote. In an anonymous battle the names follow."),
    el("dl", { class: "keys" }, rows), el("label", { class: "check" }, box, " Single keys are on"),
    el("p", { class: "quiet" }, "What you do inside a program (clicks, keys, scrolling) is recorded with the round; what you type into password fields is not. Inside a program's frame the keys belong to the program; Escape leaves it."),
  );
}

const ORDER = ["system", "light", "dark"];
const SIGN = { system: "◐", light: "☀", dark: "☾" };

export function themes() {
  const button = byId("theme");
  const draw = () => {
    const now = document.documentElement.dataset.theme;
    button.textContent = SIGN[now] ?? SIGN.system;
    button.setAttribute("aria-label", `Theme: ${now}`);
    button.title = `Theme: ${now}`;
  };
  button.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(document.documentElement.dataset.theme) + 1) % ORDER.length];
    document.documentElement.dataset.theme = next;
    localStorage.setItem("homespun-theme", next);
    draw();
  });
  draw();
}
