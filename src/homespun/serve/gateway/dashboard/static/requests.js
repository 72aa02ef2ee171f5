// The list of requests with its filter, and one request's way from question to answer.

import { byId, chip, draw, el, empty, table } from "./dom.js";
import { clock, count, dollars, plural, score, seconds } from "./format.js";
import { get } from "./api.js";
import { facts } from "./panels.js";

const OUTCOMES = { ok: "good", error: "bad", cut: "bad", timeout: "bad", interrupted: "bad", cancelled: "warn" };

export class Requests {
  constructor(failed) {
    this.failed = failed;
    this.older = [];
    this.next = null;
    byId("filter").addEventListener("submit", (event) => { event.preventDefault(); this.restart(); });
    byId("filter").addEventListener("reset", () => setTimeout(() => this.restart()));
    byId("more").addEventListener("click", () => this.more());
  }

  get filters() { return Object.fromEntries(new FormData(byId("filter"))); }

  async restart() {
    this.older = [];
    this.next = null;
    await this.refresh().catch(this.failed);
  }

  async refresh() {
    const found = await get("requests", this.filters);
    if (this.older.length === 0) this.next = found.next;
    this.newest = found.rows;
    this.show();
  }

  async more() {
    try {
      const found = await get("requests", { ...this.filters, before_time: this.next[0], before_id: this.next[1] });
      this.older.push(...found.rows);
      this.next = found.next;
      this.show();
    } catch (error) { this.failed(error); }
  }

  show() {
    const seen = new Set(this.newest.map((row) => row.id));
    const rows = [...this.newest, ...this.older.filter((row) => !seen.has(row.id))];
    const filtered = Object.values(this.filters).some(Boolean);
    byId("more").hidden = this.next === null;
    draw(byId("recent"), rows, () => (rows.length === 0
      ? empty(filtered ? "Nothing fits the filter here. Clear it, or look among older requests." : "No request yet.")
      : table(COLUMNS, rows, { label: "Requests", rowAttributes: (row) => ({ class: "open", onclick: () => open(row.id, this.failed) }) })));
    for (const [list, name] of [["models", "model"], ["names", "target"]]) {
      const values = [...new Set(rows.map((row) => row[name]).filter(Boolean))].sort();
      draw(byId(list), values, () => values.map((value) => el("option", { value })));
    }
  }
}

const COLUMNS = [
  { name: "Time", cell: (r) => el("button", { type: "button", class: "link nowrap", "data-focus": r.id, "aria-label": `Open the request of ${clock(r.time, true)}` }, clock(r.time, true)) },
  { name: "Model asked for", cell: (r) => r.model },
  { name: "Answered by", cell: (r) => r.target ?? "–" },
  { name: "Route", cell: (r) => [r.route, r.tiers.length > 1 && el("span", { class: "quiet" }, ` · ${r.tiers.length} tiers`)] },
  { name: "Outcome", cell: (r) => [chip(OUTCOMES[r.outcome] ?? "", r.outcome), r.error && el("div", { class: "quiet break" }, r.error)] },
  { name: "Sure", number: true, cell: (r) => score(r.confidence) },
  { name: "Cost", number: true, cell: (r) => dollars(r.dollars) },
  { name: "Took", number: true, cell: (r) => seconds(r.seconds) },
];

async function open(id, failed) {
  try {
    const found = await get(`requests/${encodeURIComponent(id)}`);
    const dialog = byId("decision");
    dialog.replaceChildren(
      el("header", {}, el("div", {}, el("h2", { id: "decision-title" }, "One request's way"), el("code", {}, id)), el("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Close")),
      el("div", { class: "body" }, summary(found), way(found), calls(found.attempts), labels(found.labels), reading(found.decision)));
    if (!dialog.open) dialog.showModal();
  } catch (error) { failed(error); }
}

function fact(name, value) { return el("div", {}, el("dt", {}, name), el("dd", {}, value)); }

function summary({ request: r, decision: d }) {
  const expected = d?.expected_cost ?? null;
  return [
    el("dl", { class: "facts", id: "facts" },
      fact("When", clock(r.time, true)), fact("Asked for", r.model), fact("Answered by", r.target ?? "nobody"),
      fact("Outcome", [chip(OUTCOMES[r.outcome] ?? "", r.outcome), ` HTTP ${r.status}`]), fact("Route", r.cache ? `${r.route} (${r.cache})` : r.route), fact("Confidence", score(r.confidence)),
      fact("Cost", dollars(r.dollars)), fact("Expected cost", dollars(expected)), fact("At the strongest", dollars(r.reference_dollars)),
      fact("Tokens", `${count(r.input_tokens)} in, ${count(r.output_tokens)} out${r.estimated ? " (estimated)" : ""}`), fact("Took", seconds(r.seconds)), fact("First byte", seconds(r.first_byte_seconds)),
      fact("Key", r.key ?? r.key_id ?? "none"), fact("Router", r.router ?? "none")),
    r.error && el("p", { class: "problem" }, r.error)];
}

const STAGES = { filter: "Filter", taxonomy: "Taxonomy", learned: "Learned", blend: "Blend", ask: "Ask", judge: "Judge", accept: "Accept", fuse: "Fuse", stop: "Stop" };

function way({ decision: d, request: r }) {
  if (!d) return [el("h3", {}, "Path"), empty(r.route === "cache" ? "The answer was kept from an earlier request: nothing was decided." : "No decision was taken: the client named the model itself, or the request failed before.")];
  return [
    el("h3", {}, `Path: ${plural(d.path.length, "step")}, dial ${d.dial}${d.cell ? `, cell ${d.cell}` : ""}`),
    el("ol", { class: "path", id: "path" }, d.path.map((step) => el("li", { class: step.stage },
      el("span", { class: "stage" }, STAGES[step.stage] ?? step.stage), el("span", { class: "break" }, step.subject, step.detail && el("span", { class: "quiet" }, ` ${step.detail}`)),
      el("span", { class: "nowrap quiet" }, [step.score !== null && score(step.score), step.cost > 0 && dollars(step.cost)].filter(Boolean).join(" · "))))),
    el("p", { class: "quiet" }, `Chosen first: ${d.chosen} (with probability ${score(d.propensity)} among ${d.arms.join(", ")}). Expected quality ${score(d.expected_quality)}; expected cost ${dollars(d.expected_cost)}, actual ${dollars(r.dollars)}.`)];
}

function calls(attempts) {
  return [el("h3", {}, "Calls of upstreams"), attempts.length === 0 ? empty("None was called.") : table([
    { name: "Target", cell: (a) => a.target },
    { name: "For", cell: (a) => a.purpose },
    { name: "Outcome", cell: (a) => [chip(OUTCOMES[a.outcome] ?? "", a.status ? `${a.outcome} ${a.status}` : a.outcome), a.error && el("div", { class: "quiet break" }, a.error)] },
    { name: "Tokens", number: true, cell: (a) => `${count(a.input_tokens)} → ${count(a.output_tokens)}${a.estimated ? " est." : ""}` },
    { name: "Cost", number: true, cell: (a) => dollars(a.dollars) },
    { name: "Took", number: true, cell: (a) => seconds(a.seconds) },
  ], attempts, { label: "Calls of upstreams" })];
}

const labels = (rows) => rows.length > 0 && [el("h3", {}, "Labels"), table([
  { name: "Source", cell: (l) => l.source }, { name: "Arm", cell: (l) => l.arm }, { name: "Score", number: true, cell: (l) => score(l.score) }, { name: "Detail", cell: (l) => l.detail ?? "–" },
], rows, { label: "Labels" })];

const reading = (d) => d?.reading && el("details", { class: "reading" }, el("summary", {}, "What the router saw"), facts(d.reading));
