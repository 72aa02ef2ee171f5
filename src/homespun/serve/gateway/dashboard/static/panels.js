// The panels above the list of requests.

import { byId, chip, draw, el, empty, table } from "./dom.js";
import { ago, clock, count, dollars, percent, plural, points, score, seconds, short } from "./format.js";
import { overTime } from "./charts.js";
import { bars, interval, reliability, track } from "./diagrams.js";

const NO_TRAFFIC = ["No requests in this time. Point a client at ", el("code", {}, `${location.origin}/v1`), " or choose a longer time."];
const noTraffic = () => empty(...NO_TRAFFIC.map((part) => (typeof part === "string" ? part : part.cloneNode(true))));

function tile(label, value, more) {
  return el("div", { class: "card tile" }, el("div", { class: "label" }, label), el("div", { class: "value", id: `v-${label.toLowerCase().replaceAll(" ", "-")}` }, value), el("div", { class: "quiet" }, more));
}

export function tiles(o) {
  const t = o.totals;
  draw(byId("tiles"), [t, o.minute, o.at_work, o.counted], () => [
    tile("Requests", count(t.requests), o.counted < 1 ? `counting older ones: ${percent(o.counted, 0)} done` : `${plural(o.minute.requests, "request")} in the last minute, ${count(o.at_work)} at work`),
    tile("Failed", percent(t.requests ? t.failed / t.requests : null), `${count(t.failed)} of ${count(t.requests)}`),
    tile("Median latency", seconds(t.p50), `95 % within ${seconds(t.p95)}`),
    tile("Spent", dollars(t.dollars), `${short(t.input_tokens)} tokens in, ${short(t.output_tokens)} out, ${count(t.cached)} from the cache`),
  ]);
}

export function savings(o) {
  const { savings: s, quality: q } = o;
  draw(byId("savings"), [s, q], () => [
    el("div", { class: "hero-row" },
      s.share === null
        ? el("div", {}, el("div", { class: "value unknown", id: "v-saved" }, "unknown"), el("p", { class: "quiet" }, "Nothing to compare yet: the cost at the strongest model is known once a request was answered."))
        : el("div", {}, el("div", { class: s.saved < 0 ? "value loss" : "value", id: "v-saved" }, dollars(s.saved)), el("p", { class: "quiet" }, `against ${q.strongest ?? "the strongest model"} for all ${plural(s.requests, "request")}: ${dollars(s.reference)} there, ${dollars(s.spent)} here`)),
      el("div", {}, el("h3", {}, "Share of the cost saved"), s.share === null ? el("p", { class: "quiet" }, "unknown") : [
        el("div", { class: "figure", id: "v-share" }, percent(s.share.mean)), el("p", { class: "quiet" }, s.share.low === null ? `no interval: ${plural(s.share.n, "request")} are too few` : `95 % interval ${percent(s.share.low)} to ${percent(s.share.high)}`)]),
      el("div", {}, el("h3", {}, "Quality beside the strongest"), qualityOf(q))),
    el("details", { class: "how" }, el("summary", {}, "How this is known"), HOW.map((text) => el("p", {}, text))),
  ]);
}

function qualityOf(q) {
  const d = q.difference;
  if (d === null) return [chip("", "unknown"), el("p", { class: "quiet" }, "No request has labels for both its answer and the strongest model's. Shadow traffic ([learning] shadow) or graded pairs make them.")];
  if (d.low === null) return [chip("", "too few pairs"), el("p", { class: "quiet" }, `${points(d.mean)} points over ${plural(d.n, "pair")}; an interval needs 30`)];
  const verdict = d.low >= -q.margin ? chip("good", "equal within the margin") : d.high < -q.margin ? chip("bad", "worse than the strongest") : chip("warn", "equality not shown");
  return [verdict, el("p", { id: "v-quality" }, `${points(d.mean)} points (95 %: ${points(d.low)} to ${points(d.high)}), ${plural(d.n, "pair")}`), interval(d, q.margin)];
}

const HOW = [
  "Dollars: over the requests whose cost at the strongest (dearest) model is known, what that model would have cost for as many tokens, less everything spent on them: every attempt, judge call and sample. The sum is exact. The interval is about traffic like this: saved share = 1 − Σ spent / Σ reference, a ratio of means over n requests, with its standard error by linearisation over all of them, not a sample.",
  "Quality: over the requests on which more than one model's answer was labelled (shadow traffic, mostly), the mean score of the answer given less that of the strongest model's on the same request; zero where the strongest answered. Validators count before people, people before regenerations, those before judges. The newest 10,000 labels are read; from 30 pairs on there is a normal 95 % interval. Answers count as equal if the whole interval lies above −2 points.",
];

export function curves(o, window) {
  const long = window === "week" || window === "month";
  const time = (at) => `${clock(at, window !== "hour", false)} to ${clock(at + o.step, false, false)}`;
  const tick = (at) => (long ? clock(at, true).split(",")[0] : clock(at, false, false));
  const places = ["requests-chart", "latency-chart", "dollars-chart"].map(byId);
  if (o.totals.requests === 0) return places.forEach((place) => draw(place, "none", noTraffic));
  overTime(places[0], o.curve, { label: "Requests over time", style: "bars", time, tick, format: count, axis: short,
    series: [{ name: "answered", kind: "bar", value: (r) => r.requests - r.failed }, { name: "failed", kind: "bar failed", value: (r) => r.failed }] });
  overTime(places[1], o.curve, { label: "Latency over time", style: "lines", time, tick, format: seconds, axis: (v) => `${short(v)} s`,
    series: [{ name: "median", kind: "one", value: (r) => r.p50 }, { name: "95th percentile", kind: "two", value: (r) => r.p95 }] });
  overTime(places[2], o.curve, { label: "Dollars over time", style: "lines", time, tick, format: dollars, axis: (v) => `$${short(v)}`, between: "saved",
    series: [{ name: "spent", kind: "one", value: (r) => r.spent }, { name: "at the strongest", kind: "two", value: (r) => r.reference }] });
  return undefined;
}

export function mixes(o) {
  const right = (row, share) => `${count(row.requests)} · ${percent(share)} · ${dollars(row.dollars)}`;
  const value = (row) => row.requests;
  const tiers = (row) => `${row.name} ${row.name === "1" ? "model" : "models"} asked`;
  draw(byId("mix"), [o.routes, o.tiers], () => (o.routes.length === 0 ? noTraffic() : [
    bars(o.routes, { name: (row) => row.name, value, right }),
    el("h3", {}, "Tiers asked for an answer"),
    bars([...o.tiers].sort((a, b) => a.name - b.name), { name: tiers, value, right })]));
  draw(byId("targets"), o.targets, () => (o.targets.length === 0 ? noTraffic() : bars(o.targets, { name: (row) => (row.name === "none" ? "nobody" : row.name), value, right })));
}

export function confidence(told) {
  if (told.n > 0) return reliability(byId("confidence"), told);
  return draw(byId("confidence"), "none", () => empty("Nothing tells yet whether answers were right. Send ", el("code", {}, "POST /v1/feedback"), " with a request's id and a score, or let validators check answers; the diagram appears by itself."));
}

const STATES = { ok: ["good", "ok"], slow: ["warn", "slow"], failing: ["bad", "failing"], open: ["bad", "breaker open"], idle: ["", "idle"] };
const ORDER = ["open", "failing", "slow", "ok", "idle"];

export function upstreams(s) {
  const rows = [...s.upstreams].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  draw(byId("upstreams"), rows, () => (rows.length === 0 ? empty("No upstream was called in the last hour.") : [
    table([
      { name: "Upstream", cell: (u) => [u.target, u.last_error && el("div", { class: "quiet break" }, `last failure: ${u.last_error}`)] },
      { name: "State", cell: (u) => chip(...STATES[u.state]) },
      { name: "Calls", number: true, cell: (u) => count(u.calls) },
      { name: "Failed", number: true, cell: (u) => (u.calls ? percent(u.failures / u.calls) : "–") },
      { name: "Median", number: true, cell: (u) => seconds(u.p50) },
      { name: "95 %", number: true, cell: (u) => seconds(u.p95) },
    ], rows, { label: "Upstreams" }),
    el("p", { class: "quiet" }, "Calls of the last hour, the newest 1,000 of each.")]));
}

const amount = (unit, value) => (unit === "nanodollars" ? dollars(value / 1e9) : short(value));
const UNITS = { nanodollars: "dollars", requests: "requests", tokens: "tokens" };

export function budgets(s) {
  draw(byId("budgets"), s.limits, () => (s.limits.length === 0
    ? empty("No limits are set: any key may spend without end. ", el("code", {}, "homespun keys create --help"), " tells how to set them.")
    : el("ul", { class: "bars" }, s.limits.map(budget))));
}

function budget(l) {
  const spent = l.amount ? l.spent / l.amount : 1;
  const reserved = l.amount ? l.reserved / l.amount : 0;
  const [kind, word] = spent >= 1 ? ["bad", "used up"] : spent >= 0.9 ? ["warn", "nearly used up"] : ["", ""];
  const subject = { all: "everybody", team: `team ${l.name}`, key: `key ${l.name}` }[l.subject_kind];
  const span = l.period === "ever" ? "in all" : `per ${l.period}`;
  return el("li", {},
    el("div", { class: "head" }, el("span", {}, `${subject}: ${amount(l.unit, l.amount)} ${UNITS[l.unit] === "dollars" ? "" : UNITS[l.unit]} ${span} `, word && chip(kind, word)), el("span", { class: "nowrap" }, percent(spent, 0))),
    track([[kind, spent], ["reserved", reserved]]),
    el("div", { class: "quiet" }, `${amount(l.unit, l.spent)} spent, ${amount(l.unit, l.reserved)} reserved, ${amount(l.unit, l.left)} left`));
}

const ROUTER = { live: "good", canary: "warn", rejected: "bad", rolled_back: "bad" };

export function routers(s) {
  draw(byId("routers"), s.routers, () => (s.routers.length === 0
    ? empty("No fitted router: models are tried from cheap to dear, judged. ", el("code", {}, "homespun route fit"), " makes one, or learning does.")
    : table([
      { name: "Version", cell: (r) => r.version },
      { name: "State", cell: (r) => chip(ROUTER[r.status] ?? "", r.status.replace("_", " ")) },
      { name: "Traffic", number: true, cell: (r) => percent(r.share, 0) },
      { name: "Made", cell: (r) => el("span", { class: "nowrap", title: clock(r.created, true) }, ago(r.created, s.now)) },
      { name: "Report", cell: (r) => (r.report ? el("details", { class: `report-${r.version}` }, el("summary", {}, "why"), facts(r.report)) : "–") },
    ], s.routers, { label: "Routers" })));
}

/** Anything of JSON as a list of names and values. */
export function facts(value) {
  if (value === null || typeof value !== "object") return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
  if (Array.isArray(value)) return value.every((v) => typeof v !== "object") ? value.map(facts).join(", ") : el("div", {}, value.map((v) => el("div", {}, facts(v))));
  return el("dl", { class: "facts" }, Object.entries(value).map(([name, inner]) => el("div", {}, el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, facts(inner)))));
}

export function alarms(s) {
  draw(byId("alarms"), s.alarms, () => (s.alarms.length === 0
    ? empty("None. Drift of the questions, disagreement of judges and too many escalations would be told here.")
    : table([
      { name: "Alarm", cell: (a) => [a.kind.replaceAll("_", " "), el("div", { class: "quiet" }, a.detail)] },
      { name: "State", cell: (a) => (a.cleared === null ? chip("bad", "open") : chip("", "cleared")) },
      { name: "Value", number: true, cell: (a) => `${score(a.value)} (from ${score(a.threshold)})` },
      { name: "Since", cell: (a) => el("span", { class: "nowrap" }, ago(a.time, s.now)) },
    ], s.alarms, { label: "Alarms" })));
}
