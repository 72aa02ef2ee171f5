// One side of a round: who it is, how far it is, and its five tabs.

import { chip, el, put, roving } from "./dom.js";
import { CodeTab } from "./editor.js";
import { LogTab } from "./log.js";
import { OutputTab } from "./output.js";
import { PackagesTab } from "./packages.js";
import { Transcript } from "./transcript.js";

const TABS = { reply: "Reply", output: "Output", code: "Code", packages: "Packages", log: "Log" };
const STATES = {
  idle: ["", "not asked"], generating: ["busy", "writing"], building: ["busy", "building"], running: ["busy", "starting"],
  waiting: ["busy", "ready, waiting"], done: ["good", "ready"], failed: ["bad", "failed"],
};

export class Pane {
  /** `acts` are what can be done to a side: regenerate, stop, run. */
  constructor(side, acts, limits) {
    this.side = side;
    this.acts = acts;
    const letter = side.toUpperCase();
    this.name = el("span", { class: "name" }, `Model ${letter}`);
    this.state = el("span", { class: "state" });
    this.regenerate = el("button", { type: "button", class: "small", onclick: () => acts.regenerate(side) }, "Regenerate");
    this.stop = el("button", { type: "button", class: "small stop", onclick: () => acts.stop(side) }, "Stop");
    const title = el("h2", { id: `title-${side}` }, el("span", { class: "badge", "aria-hidden": "true" }, letter), this.name);
    this.node = el("section", { class: "pane", id: `pane-${side}`, "data-side": side, "aria-labelledby": `title-${side}` }, el("header", {}, title, this.state, el("span", { class: "grow" }), this.stop, this.regenerate), this.tabs());
    this.transcript = new Transcript(this.panels.reply, side);
    this.output = new OutputTab(this.panels.output, side, { rerun: () => acts.run(side, {}), expand: () => this.enlarge() });
    this.code = new CodeTab(this.panels.code, side, { run: (code) => acts.run(side, { code }), longest: limits.code });
    this.packages = new PackagesTab(this.panels.packages, side, { run: (dependencies) => acts.run(side, { dependencies }) });
    this.log = new LogTab(this.panels.log, side);
    this.open("reply");
  }

  tabs() {
    const letter = this.side.toUpperCase();
    this.buttons = {};
    this.panels = {};
    for (const [name, title] of Object.entries(TABS)) {
      const [tab, panel] = [`tab-${name}-${this.side}`, `panel-${name}-${this.side}`];
      this.buttons[name] = el("button", { type: "button", role: "tab", id: tab, "aria-controls": panel, "aria-selected": "false", onclick: () => this.open(name) }, title);
      this.panels[name] = el("div", { role: "tabpanel", id: panel, class: `panel ${name}`, "aria-labelledby": tab });
    }
    const list = el("div", { class: "tabs", role: "tablist", "aria-label": `Views of ${letter}` }, Object.values(this.buttons));
    this.enter = roving(list, Object.values(this.buttons), { activate: true });
    return [list, el("div", { class: "panels" }, Object.values(this.panels))];
  }

  open(name) {
    this.tab = name;
    for (const [other, button] of Object.entries(this.buttons)) {
      button.setAttribute("aria-selected", String(other === name));
      this.panels[other].classList.toggle("shown", other === name);
    }
    this.enter(this.buttons[name]);
  }

  focus() {
    this.buttons[this.tab].focus();
  }

  enlarge(on = !document.body.classList.contains("enlarged")) {
    document.body.classList.toggle("enlarged", on);
    for (const pane of this.node.parentNode.children) pane.classList.toggle("large", on && pane === this.node);
    this.output.expand.textContent = on ? "Restore" : "Expand";
    this.output.expand.setAttribute("aria-pressed", String(on));
  }

  /** Draws the side; `mine` tells whether this browser may change anything. */
  show(state, live, mine) {
    const side = state.sides[this.side];
    const busy = ["generating", "building", "running", "waiting"].includes(side.state);
    const [kind, usual] = STATES[side.state] ?? STATES.idle;
    const word = side.state === "waiting" && side.run ? "waiting its turn" : usual; // run again by its reader
    const told = side.state === "done" && side.run && side.run.status !== "ok" ? ["warn", "ran, with a failure"] : [kind, word];
    if (this.told !== told.join()) this.state.replaceChildren(chip(...told));
    this.told = told.join();
    const name = state.names?.[this.side];
    put(this.name, name ?? `Model ${this.side.toUpperCase()}`);
    this.node.classList.toggle("named", Boolean(name));
    this.stop.hidden = !mine || !busy || side.state === "waiting";
    this.regenerate.hidden = !mine || busy || side.turns.length === 0 || (state.mode === "battle" && state.vote !== null);
    const can = mine && !busy && side.run !== null;
    const timed = state.mode !== "battle" || state.vote !== null;
    this.transcript.show(side, timed);
    this.output.show(side, can, timed);
    this.code.show(side.run && side.run.code ? side.run : null);
    this.code.allow(can);
    this.packages.show(side.run);
    this.packages.allow(can);
    this.log.show(side.run, live);
    this.settle(state, side);
  }

  /** When the programs are first shown, Output comes up by itself; a reply without a program stays where it is. */
  settle(state, side) {
    const shown = side.run && side.state === "done" ? `${side.run.turn}` : null;
    const writing = side.state === "generating" ? `writing ${side.turns.at(-1)?.turn}` : null;
    const step = shown ?? writing ?? this.step;
    if (step === this.step) return;
    this.step = step;
    this.open(shown ? "output" : "reply");
  }
}
