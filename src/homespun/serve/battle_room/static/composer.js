// Where prompts are written: environment, settings, who gets it, how long it may be.

import { byId, dialogue, el, put } from "./dom.js";
import { count, title } from "./words.js";

const NEAR = 0.8; // share of the limit from which the count is shown

export class Composer {
  constructor(setup, { send, stop, again }) {
    this.setup = setup;
    this.text = byId("text");
    this.send = send;
    this.prompts = setup.default_system_prompt ?? {};
    this.sampling = { ...setup.sampling };
    this.system = null; // what the reader wrote in its place
    byId("environment").append(...setup.environments.map((name) => el("option", { value: name }, title(name))));
    byId("composer").addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.text.addEventListener("input", () => this.draw());
    this.text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    });
    byId("settings").addEventListener("click", () => this.settings());
    byId("stop").addEventListener("click", stop);
    byId("again").addEventListener("click", again);
    this.state = null;
    this.mine = true;
    this.draw();
  }

  get environment() { return byId("environment").value; }

  get limit() {
    const mode = this.state?.mode ?? document.querySelector("input[name=mode]:checked")?.value;
    return this.setup.limits[mode === "direct" ? "characters_direct" : "characters_battle"];
  }

  /** What a new session is made with, beside its mode and models. */
  get options() {
    return { environment: this.environment, sampling: this.sampling, ...(this.system !== null && { system_prompt: this.system }) };
  }

  get sides() {
    if (this.state?.mode === "direct" || byId("target-field").hidden) return this.state?.mode === "direct" ? ["a"] : ["a", "b"];
    const target = byId("target").value;
    return target === "both" ? ["a", "b"] : [target];
  }

  fill(text, environment) {
    this.text.value = text;
    if (environment && [...byId("environment").options].some((one) => one.value === environment)) byId("environment").value = environment;
    this.draw();
    this.text.focus();
  }

  async submit() {
    const text = this.text.value.trim();
    if (!text || byId("send").disabled || this.sending) return;
    this.sending = true;
    this.draw();
    const done = await this.send(text);
    this.sending = false;
    if (done) this.text.value = "";
    this.draw();
    if (done) this.text.focus();
  }

  show(room, mine) {
    this.state = room.state;
    this.mine = mine;
    this.busy = room.busy;
    if (this.state) byId("environment").value = this.state.environment;
    this.draw();
  }

  fresh() {
    this.state = null;
    this.busy = [];
    this.mine = true;
    byId("target").value = "both";
    byId("environment").value = "auto";
    this.draw();
  }

  draw() {
    const { state } = this;
    const busy = Boolean(this.busy?.length);
    const turns = Math.max(0, ...Object.values(state?.sides ?? {}).filter(Boolean).map((side) => side.turns.length));
    const full = turns >= this.setup.limits.turns;
    const length = this.text.value.length;
    const over = length > this.limit;
    byId("composer").hidden = !this.mine || (state?.mode === "battle" && state.vote !== null); // with the names known there is no battle left
    byId("environment").disabled = Boolean(state?.locked);
    byId("locked").hidden = !state?.locked;
    put(byId("count"), full ? `The ${this.setup.limits.turns} turns of this round are used` : length > NEAR * this.limit ? `${count(length)} of ${count(this.limit)} characters` : "");
    byId("count").classList.toggle("over", over || full);
    byId("stop").hidden = !busy;
    byId("send").hidden = busy;
    byId("send").disabled = over || full || this.sending || !length;
    byId("again").hidden = busy || turns === 0 || state?.mode === "direct";
    byId("target-field").hidden = turns === 0 || state?.mode === "direct";
    this.text.placeholder = turns ? "Ask for a change…" : "Ask for a program: a game, a chart, a small tool…";
  }

  settings() {
    const locked = Boolean(this.state?.locked);
    const given = this.prompts[this.environment] ?? this.prompts.auto ?? "";
    const prompt = el("textarea", { id: "system", rows: "12", spellcheck: "false", maxlength: 20000, readonly: locked });
    prompt.value = this.state?.system_prompt ?? this.system ?? given;
    const number = (name, words, low, high, step) => el("label", { class: "field" }, words, el("input", { type: "number", name, min: low, max: high, step, value: this.sampling[name] ?? "", disabled: locked }));
    const numbers = [number("temperature", "Temperature", 0, 2, 0.1), number("top_p", "Top p", 0.05, 1, 0.05), number("max_tokens", "Longest answer, tokens", 64, 32768, 64)];
    const keep = (event) => {
      event.preventDefault();
      this.system = prompt.value.trim() === given.trim() ? null : prompt.value;
      for (const input of event.target.querySelectorAll("input")) if (input.value !== "") this.sampling[input.name] = Number(input.value);
      byId("settings-dialog").close();
    };
    const actions = locked
      ? el("p", { class: "quiet" }, "Environment and system prompt are locked after the first message of a round.")
      : el("div", { class: "row" }, el("button", { type: "button", onclick: () => { prompt.value = given; } }, "Reset the prompt"), el("span", { class: "grow" }), el("button", { type: "submit", class: "primary" }, "Keep"));
    dialogue(byId("settings-dialog"), "Settings of the round", el("form", { onsubmit: keep }, el("label", { class: "over", for: "system" }, `System prompt, ${title(this.environment)}`), prompt, el("div", { class: "numbers" }, numbers), actions));
  }
}
