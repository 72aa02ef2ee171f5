// The Output tab: the program at work in a frame of its own origin, or what it printed and drew.

import { el, put } from "./dom.js";
import { ENVIRONMENTS, seconds } from "./words.js";

const SANDBOX = "allow-scripts allow-same-origin allow-forms allow-modals allow-pointer-lock allow-downloads";
const WAITING = {
  idle: "What the program does will be seen here.",
  generating: "The answer is being written. Programs show when both sides are ready, so that speed decides nothing.",
  building: "Packages are being put in place.",
  running: "The program is starting.",
  waiting: "Ready. It shows as soon as the other side is, too.",
};
const STATUS = { failed: "The program failed", timeout: "The program took too long", memory: "The program ran out of memory", unavailable: "The program could not be run" };

export class OutputTab {
  constructor(panel, side, { rerun, expand }) {
    this.side = side;
    this.key = null;
    this.frame = null;
    this.facts = el("span", { class: "quiet facts" });
    this.reload = el("button", { type: "button", class: "small", onclick: () => this.restart() }, "Restart");
    this.expand = el("button", { type: "button", class: "small", "aria-pressed": "false", onclick: () => expand() }, "Expand");
    this.again = el("button", { type: "button", class: "small", onclick: () => rerun() }, "Run again");
    this.stage = el("div", { class: "stage" });
    panel.append(el("div", { class: "bar" }, this.facts, el("span", { class: "grow" }), this.again, this.reload, this.expand), this.stage);
  }

  get origin() {
    return this.frame ? new URL(this.frame.dataset.url).origin : null;
  }

  /** Whether a message came from the program that is shown here. */
  sent(event) {
    return this.frame !== null && event.source === this.frame.contentWindow && event.origin === this.origin;
  }

  show(side, canRun, timed) {
    const run = side.run;
    const shown = run && ready(run) ? run : null;
    put(this.facts, shown ? facts(shown, timed) : "");
    this.reload.hidden = !shown?.url;
    this.again.hidden = !shown || Boolean(shown.url) || !canRun;
    const key = shown ? JSON.stringify([shown.run, shown.url, shown.status]) : JSON.stringify([side.state, reason(side)]);
    if (key === this.key) return;
    this.key = key;
    this.frame = null;
    this.stage.replaceChildren(...(shown ? this.result(shown) : [this.wait(side)]));
  }

  wait(side) {
    const why = reason(side);
    if (why && side.state === "failed") return el("div", { class: "empty" }, el("strong", {}, "There is no answer"), el("p", {}, why));
    if (why) return el("div", { class: "empty" }, el("strong", {}, "No program to run"), el("p", {}, why));
    const busy = ["generating", "building", "running"].includes(side.state);
    return el("div", { class: `empty ${busy ? "busy" : ""}` }, busy && el("span", { class: "spinner", "aria-hidden": "true" }), el("p", {}, WAITING[side.state] ?? WAITING.idle));
  }

  result(run) {
    const made = [];
    const failed = run.status !== "ok";
    if (failed) made.push(failure(run));
    if (run.url) made.push(this.framed(run));
    for (const [number, url] of (run.pictures ?? []).entries()) made.push(el("img", { class: "picture", src: url, alt: `Figure ${number + 1} of the program`, loading: "lazy" }));
    if (!run.url && !run.pictures?.length) made.push(...photographs(run));
    if (!run.url && run.stdout) made.push(el("pre", { class: "printed", tabindex: "0", role: "region", "aria-label": "What the program printed" }, run.stdout));
    if (!made.length) made.push(el("p", { class: "empty" }, "The program ended without printing or drawing anything."));
    this.stage.classList.toggle("live", Boolean(run.url) && !failed);
    return made;
  }

  framed(run) {
    this.frame = el("iframe", {
      sandbox: SANDBOX, src: run.url, title: `Program of ${this.side.toUpperCase()}, ${ENVIRONMENTS[run.environment] ?? run.environment}`,
      referrerpolicy: "no-referrer", allow: "fullscreen; autoplay", "data-url": run.url, "data-run": run.run,
    });
    return this.frame;
  }

  restart() {
    if (!this.frame) return;
    const fresh = this.frame.cloneNode();
    this.frame.replaceWith(fresh);
    this.frame = fresh;
    fresh.focus();
  }
}

const ready = (run) => run.status !== null && run.status !== undefined && run.status !== "waiting";
const reason = (side) => side.error ?? side.reason ?? side.found?.reason ?? null;

function facts(run, timed) {
  return [ENVIRONMENTS[run.environment] ?? run.environment, run.exit_code ? `exit ${run.exit_code}` : null, timed && run.seconds !== null ? seconds(run.seconds) : null].filter(Boolean).join(" · ");
}

function failure(run) {
  const tail = (run.stderr || run.build_log || run.notes || "").toString().trim().split("\n").slice(-8).join("\n");
  return el("div", { class: "problem flat" }, el("strong", {}, STATUS[run.status] ?? run.status, run.exit_code ? ` (exit ${run.exit_code})` : ""), tail && el("pre", {}, tail));
}

function photographs(run) {
  const shot = (run.screenshots ?? []).findLast((one) => one.url && !one.blank) ?? null;
  return shot ? [el("figure", { class: "photo" }, el("img", { src: shot.url, alt: "The program as it looked when it ran" }), el("figcaption", { class: "quiet" }, "The program is closed; this is how it looked."))] : [];
}
