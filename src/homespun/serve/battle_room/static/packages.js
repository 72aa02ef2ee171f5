// The Packages tab: what the program is given to import, open to changes, and run again from here.

import { el, put } from "./dom.js";

const SOURCES = { import: "imported", url: "from an address", comment: "named in a comment", install: "asked for", edit: "yours" };

export class PackagesTab {
  constructor(panel, side, { run }) {
    this.side = side;
    this.run = run;
    this.key = null;
    this.had = "[]";
    this.body = el("tbody");
    this.note = el("span", { class: "quiet", role: "status" });
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
    this.add = el("button", { type: "button", class: "small", onclick: () => this.insert({ kind: this.kind, name: "", version: "", source: "edit" }, true) }, "Add");
    this.go = el("button", { type: "button", class: "small primary", onclick: () => this.start() }, "Run");
    const names = ["Kind", "Package", "Version", "Source"];
    const head = el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)), el("th", { scope: "col" }, el("span", { class: "hidden" }, "Remove")));
    this.table = el("table", { "aria-label": `Packages of ${side.toUpperCase()}` }, el("thead", {}, head), this.body);
    this.empty = el("p", { class: "empty" });
    panel.append(
      el("div", { class: "bar" }, this.note, el("span", { class: "grow" }), this.add, this.go), this.problem,
      el("div", { class: "scroll" }, this.table), this.empty,
      el("p", { class: "quiet hint" }, "Versions: ==1.2, >=1.2 or latest for Python; @1.2.3 or latest for npm. Packages are installed before the run; the program itself has no network."),
    );
  }

  show(run) {
    this.kind = ["javascript", "typescript", "html"].includes(run?.language) ? "npm" : "python";
    const key = run ? `${run.run}:${JSON.stringify(run.dependencies)}` : null;
    if (key !== this.key) {
      this.key = key;
      this.body.replaceChildren();
      for (const one of run?.dependencies ?? []) this.insert(one, false);
      this.had = JSON.stringify(this.rows());
      this.fail("");
    }
    this.own = run;
    this.draw();
  }

  insert(one, focus) {
    const kind = el("select", { "aria-label": "Kind", onchange: () => this.draw() }, ["python", "npm"].map((name) => el("option", { selected: name === one.kind }, name)));
    const name = el("input", { "aria-label": "Package", value: one.name, maxlength: 214, spellcheck: "false", required: true, oninput: () => this.draw() });
    const version = el("input", { "aria-label": "Version", value: one.version ?? "", maxlength: 100, spellcheck: "false", placeholder: "any", oninput: () => this.draw() });
    const remove = el("button", { type: "button", class: "icon small", "aria-label": `Remove ${one.name || "package"}`, onclick: () => { row.remove(); this.add.focus(); this.draw(); } }, "✕");
    for (const field of [name, version]) field.addEventListener("keydown", (event) => event.key === "Enter" && this.start());
    const row = el("tr", {}, [kind, name, version].map((field) => el("td", {}, field)), el("td", { class: "quiet" }, SOURCES[one.source] ?? one.source ?? ""), el("td", {}, remove));
    this.body.append(row);
    if (focus) name.focus();
    this.draw();
  }

  rows() {
    return [...this.body.rows].map((row) => {
      const [kind, name, version] = row.querySelectorAll("select, input");
      return { kind: kind.value, name: name.value.trim(), version: version.value.trim() };
    });
  }

  start() {
    if (this.go.disabled) return;
    const rows = this.rows().filter((row) => row.name);
    this.run(rows.map((row) => ({ ...row, version: row.version || "latest" })));
  }

  fail(text) {
    put(this.problem, text);
    this.problem.hidden = !text;
  }

  allow(can) {
    this.can = can;
    this.draw();
  }

  draw() {
    const has = Boolean(this.own);
    const changed = has && JSON.stringify(this.rows()) !== this.had;
    put(this.note, changed ? "changed, not run yet" : "");
    put(this.empty, has ? "This program needs nothing beyond what its language brings." : "Packages will be here when both sides are ready.");
    this.empty.hidden = has && this.body.rows.length > 0;
    this.table.hidden = this.body.rows.length === 0;
    this.add.disabled = !has;
    this.go.disabled = !this.can || !has;
  }
}
