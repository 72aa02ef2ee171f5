// The Code tab: the program as it ran, open to changes, and run again from here. The editor itself loads when first needed.

import { el, put } from "./dom.js";

const bundle = () => import("/static/vendor/editor.js");
const same = (one, other) => one.trimEnd() === other.trimEnd(); // the server ends a program with one line break

/** Code as pieces [text, class]; null where the language is not known or the editor cannot be loaded. */
export async function highlight(code, language) {
  const loaded = await bundle().catch(() => null);
  return loaded?.highlight(code, language) ?? null;
}

export class CodeTab {
  /** `run(code)` runs it again; `longest` is how many characters a program may have. */
  constructor(panel, side, { run, longest }) {
    this.side = side;
    this.longest = longest;
    this.run = run;
    this.own = null; // the program as the server has it
    this.key = null;
    this.editor = null;
    this.wanted = null;
    this.file = el("span", { class: "file" }, "");
    this.note = el("span", { class: "quiet", role: "status" });
    this.reset = el("button", { type: "button", class: "small", onclick: () => this.show(this.own, true) }, "Undo changes");
    this.go = el("button", { type: "button", class: "small primary", title: "Ctrl Enter", onclick: () => this.start() }, "Run");
    this.place = el("div", { class: "editor" });
    this.empty = el("p", { class: "empty" }, "The program will be here when both sides are ready.");
    panel.append(el("div", { class: "bar" }, this.file, this.note, el("span", { class: "grow" }), this.reset, this.go), this.empty, this.place);
    this.draw();
  }

  start() {
    if (this.editor && !this.go.disabled) this.run(this.editor.code());
  }

  get edited() { return this.editor !== null && this.own !== null && !same(this.editor.code(), this.own.code); }

  /** A program to show; changes that were not run stay while the turn is the same. */
  async show(run, anew = false) {
    const key = run ? `${run.turn}` : null;
    const kept = this.edited && key === this.key && !anew && run !== null && !same(run.code, this.editor.code());
    const differs = run?.code !== this.own?.code || key !== this.key || anew;
    this.own = run;
    this.key = key;
    if (run && differs && !kept) await this.fill(run);
    this.draw();
  }

  async fill(run) {
    this.wanted = run;
    const loaded = await bundle().catch(() => null);
    if (this.wanted !== run) return;
    if (!loaded) return void put(this.file, "The editor could not be loaded; reload the page.");
    if (this.editor) this.editor.show(run.code, run.language);
    else this.editor = loaded.createEditor(this.place, {
      code: run.code, language: run.language, longest: this.longest, label: `Program of ${this.side.toUpperCase()}`,
      onChange: () => this.draw(), onRun: () => this.start(),
    });
    this.draw();
  }

  allow(can) {
    this.can = can;
    this.draw();
  }

  draw() {
    put(this.file, this.own ? this.own.filename || this.own.language || "" : "");
    put(this.note, this.edited ? "changed, not run yet" : this.own?.edit ? `your change ${this.own.edit}` : "");
    this.empty.hidden = this.own !== null;
    this.place.hidden = this.own === null;
    this.reset.hidden = !this.edited;
    this.go.disabled = !this.can || this.own === null;
  }
}
