// Before the first message: what kind of round, which models, and prompts to start from.

import { byId, el } from "./dom.js";
import { MODES, title } from "./words.js";

export class Start {
  /** `pick(example)` is called when an example is chosen. */
  constructor(setup, pick) {
    this.models = setup.models;
    const modes = setup.modes.filter((name) => MODES[name]).map((name, at) => {
      const [name_, words] = MODES[name];
      return el("label", { class: "mode" }, el("input", { type: "radio", name: "mode", value: name, checked: at === 0, onchange: () => this.draw() }), el("span", {}, el("strong", {}, name_), el("span", { class: "quiet" }, words)));
    });
    byId("modes").append(...modes);
    const cards = setup.examples.map((one) =>
      el("button", { type: "button", class: "example", onclick: () => pick(one) }, el("span", { class: "head" }, el("strong", {}, one.title), el("span", { class: "tag" }, title(one.environment))), el("span", { class: "quiet" }, one.prompt)));
    byId("examples").replaceChildren(...(cards.length ? cards : [el("p", { class: "empty" }, "There are no examples here; write a prompt below.")]));
    this.choice();
    this.draw();
  }

  choice() {
    this.left = el("select", { id: "left" });
    this.right = el("select", { id: "right" });
    this.second = el("label", { class: "field" }, "B", this.right);
    this.first = el("label", { class: "field" }, el("span", {}, "A"), this.left);
    byId("choice").append(this.first, this.second, el("button", { type: "button", onclick: () => this.shuffle() }, "Random models"));
  }

  get mode() { return document.querySelector("input[name=mode]:checked").value; }

  get chosen() {
    return { battle: null, named: [this.left.value, this.right.value], direct: [this.left.value] }[this.mode];
  }

  shuffle() {
    const order = this.models.map((one) => one.name).sort(() => Math.random() - 0.5);
    this.left.value = order[0];
    this.right.value = order[1] ?? order[0];
  }

  /** In a battle no model's name is anywhere in the page. */
  offer(named) {
    if (named === this.left.length > 0) return;
    for (const select of [this.left, this.right]) select.replaceChildren(...(named ? this.models : []).map((one) => el("option", { value: one.name }, one.title || one.name)));
    if (named && this.models.length > 1) this.right.selectedIndex = 1;
  }

  draw() {
    this.offer(this.mode !== "battle");
    byId("choice").hidden = this.mode === "battle";
    this.second.hidden = this.mode === "direct";
    this.first.firstChild.textContent = this.mode === "direct" ? "Model" : "A";
  }
}
