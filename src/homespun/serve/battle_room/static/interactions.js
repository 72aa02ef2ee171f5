// What people do inside a program comes from its frame as messages; it is checked, gathered and sent on in batches.

import { send } from "./api.js";

const TYPES = new Set(["load", "resize", "keydown", "click", "scroll", "captureError"]);
const BATCH = 100;
const MOST = 500; // records of one call; what comes faster than it can be sent is dropped
const EVERY = 1500; // milliseconds

export class Interactions {
  /** `panes()` gives the panes whose frames are listened to; nothing is sent on where `mine()` is false. */
  constructor(panes, mine) {
    this.panes = panes;
    this.mine = mine;
    this.waiting = new Map();
    this.timer = null;
    addEventListener("message", (event) => this.hear(event));
    addEventListener("pagehide", () => this.flush());
  }

  hear(event) {
    const pane = this.panes().find((one) => one.output.sent(event));
    const told = event.data;
    if (pane && told?.homespun === "escape") pane.focus(); // the keyboard's way out of a program that keeps Tab
    if (!pane || !this.mine() || told?.homespun !== "log" || !Array.isArray(told.records)) return;
    const run = pane.output.frame.dataset.run;
    const records = told.records.slice(0, MOST).filter((one) => TYPES.has(one?.type) && typeof one.time === "string" && typeof one.payload === "object");
    const list = this.waiting.get(run) ?? [];
    list.push(...records.slice(0, MOST - list.length));
    this.waiting.set(run, list);
    if (list.length >= BATCH) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), EVERY);
  }

  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    for (const [run, records] of this.waiting) if (records.length) send(`runs/${encodeURIComponent(run)}/interactions`, { records });
    this.waiting.clear();
  }
}
