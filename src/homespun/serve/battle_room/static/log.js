// The Log tab: what building and running said, while it happens and afterwards.

import { el, put } from "./dom.js";

const STREAMS = { build: "Build", stdout: "Standard output", stderr: "Standard error" };

export class LogTab {
  constructor(panel, side) {
    this.parts = Object.entries(STREAMS).map(([name, title]) => {
      const text = el("pre", { tabindex: "0", role: "region", "aria-label": `${title} of ${side.toUpperCase()}` });
      const part = el("section", { class: `stream ${name}`, hidden: true }, el("h3", {}, title), text);
      return { name, text, part };
    });
    this.notes = el("p", { class: "quiet", hidden: true });
    this.empty = el("p", { class: "empty" }, "Nothing has been said yet.");
    panel.append(this.empty, this.notes, ...this.parts.map((one) => one.part));
  }

  show(run, live) {
    const done = run && run.status ? { build: run.build_log, stdout: run.stdout, stderr: run.stderr } : null;
    const told = done ?? live ?? {};
    for (const { name, text, part } of this.parts) {
      const bottom = text.scrollTop + text.clientHeight >= text.scrollHeight - 4;
      put(text, told[name] ?? "");
      part.hidden = !told[name];
      if (bottom && !done) text.scrollTop = text.scrollHeight;
    }
    const notes = [run?.notes ?? []].flat().join(" ");
    put(this.notes, notes);
    this.notes.hidden = !notes;
    this.empty.hidden = this.parts.some((one) => !one.part.hidden) || Boolean(notes);
    put(this.empty, done ? "The program said nothing." : "Nothing has been said yet.");
  }
}
