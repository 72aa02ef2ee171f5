// The leaderboard: ratings with their intervals, cut by setting, environment, language or topic; renewed as votes come in.

import { get, listen } from "./api.js";
import { el, put, svg } from "./dom.js";
import { count, many, title } from "./words.js";

const SETTINGS = { all: "All votes", environment: "Same environment", code_language: "Same code language", natural_language: "Same natural language" };
const CUTS = { "": "everything", environment: "environment", language: "language", topic: "topic" };
const LISTS = { environment: "environments", language: "languages", topic: "topics" };
const [WIDTH, HEIGHT, EDGE] = [220, 18, 6];

export class Board {
  constructor(place, linked) {
    this.linked = linked;
    this.place = place;
    this.answer = null;
    this.asked = 0;
    const option = ([value, words]) => el("option", { value }, words);
    const again = () => this.load();
    this.setting = el("select", { id: "setting", onchange: again }, Object.entries(SETTINGS).map(option));
    this.by = el("select", { id: "by", onchange: () => { this.values(); this.load(); } }, Object.entries(CUTS).map(option));
    this.value = el("select", { id: "value", onchange: again });
    this.control = el("input", { type: "checkbox", id: "control", onchange: again });
    this.updated = el("p", { class: "quiet", role: "status" });
    this.body = el("div", { "aria-live": "off" });
    this.notes = el("p", { class: "quiet words" });
    place.append(
      el("div", { class: "heading" }, el("h1", { id: "board-title" }, "Leaderboard"), this.updated),
      el("form", { class: "cuts", onsubmit: (event) => event.preventDefault() },
        el("label", { class: "field" }, "Votes", this.setting), el("label", { class: "field" }, "About", this.by),
        (this.valueField = el("label", { class: "field", hidden: true }, "Which", this.value)),
        el("label", { class: "check" }, this.control, " Style control")),
      this.body, this.notes,
      el("p", { class: "quiet words" }, "Ratings are Bradley–Terry strengths on the Elo scale with a mean of 1000; the bar is the 95 % interval. A tie or both bad counts half for each. Ranks are by rating; where intervals overlap, the order is not settled."),
    );
  }

  open() {
    this.load();
    this.close ??= listen(() => "/api/leaderboard/events", ["message", "update"], () => this.load(), this.linked);
  }

  shut() {
    this.close?.();
    this.close = null;
  }

  values() {
    const list = this.by.value ? (this.answer?.[LISTS[this.by.value]] ?? []) : [];
    const was = this.value.value;
    this.value.replaceChildren(...list.map((one) => el("option", { value: one, selected: one === was }, title(one))));
    this.valueField.hidden = !this.by.value;
  }

  async load() {
    const turn = ++this.asked;
    const wanted = { setting: this.setting.value, by: this.by.value, value: this.by.value ? this.value.value : "", control: this.control.checked ? "style" : "" };
    if (wanted.by && !wanted.value) return this.none("No votes yet that could be told apart by this.");
    const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    if (!this.answer) this.body.replaceChildren(el("p", { class: "empty busy" }, el("span", { class: "spinner", "aria-hidden": "true" }), "Counting votes."));
    this.body.setAttribute("aria-busy", "true");
    let answer;
    try {
      answer = await get(`leaderboard?${query}`);
    } catch (error) {
      if (turn === this.asked) this.body.replaceChildren(el("p", { class: "problem flat" }, error.message, " ", el("button", { type: "button", onclick: () => this.load() }, "Try again")));
      return;
    } finally {
      this.body.setAttribute("aria-busy", "false");
    }
    if (turn !== this.asked) return;
    this.answer = answer;
    this.values();
    this.draw();
  }

  none(why) {
    this.body.replaceChildren(el("p", { class: "empty" }, why));
  }

  draw() {
    const { rows, votes, updated } = this.answer;
    const when = updated ? `, ranked ${new Date(updated * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" })}` : "";
    put(this.updated, `${many(votes, "vote")}${when}`);
    put(this.notes, [this.answer.notes ?? []].flat().join(" "));
    if (!rows.length) return this.none(votes ? "Too few votes compare models here." : "No votes yet. The first battle makes the first row.");
    const scale = span(rows);
    const head = ["Rank", "Model", "Rating", "95 % interval", "Votes", "Organization", "Licence"];
    const numbers = new Set(["Rank", "Rating", "Votes"]);
    const cells = (row) => [row.rank, el("strong", {}, row.title ?? row.model), Math.round(row.rating), interval(row, scale), count(row.votes), row.organization ?? "", row.licence ?? ""];
    const body = rows.map((row) => el("tr", {}, cells(row).map((cell, at) => el(at === 1 ? "th" : "td", { scope: at === 1 ? "row" : null, class: numbers.has(head[at]) ? "n" : null, "data-name": head[at] }, cell))));
    this.body.replaceChildren(el("div", { class: "scroll card" }, el("table", { class: "ranks", "aria-labelledby": "board-title" }, el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col", class: numbers.has(name) ? "n" : null }, name)))), el("tbody", {}, body))));
  }
}

function span(rows) {
  const low = Math.min(...rows.map((row) => row.low ?? row.rating)), high = Math.max(...rows.map((row) => row.high ?? row.rating));
  const wide = Math.max(1, high - low);
  return (value) => EDGE + ((value - low) / wide) * (WIDTH - 2 * EDGE);
}

function interval(row, scale) {
  if (row.low === null || row.high === null) return el("span", { class: "quiet" }, "too few votes");
  const middle = HEIGHT / 2;
  const words = `${Math.round(row.low)} to ${Math.round(row.high)}`;
  const picture = svg("svg", { class: "interval", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, "aria-hidden": "true" },
    svg("line", { class: "axis", x1: EDGE, x2: WIDTH - EDGE, y1: middle, y2: middle }),
    svg("rect", { class: "range", x: scale(row.low), y: middle - 4, width: Math.max(2, scale(row.high) - scale(row.low)), height: 8, rx: 4 }),
    svg("circle", { class: "point", cx: scale(row.rating), cy: middle, r: 4 }));
  return el("span", { class: "range-cell" }, picture, el("span", { class: "quiet" }, `−${Math.round(row.rating - row.low)} +${Math.round(row.high - row.rating)}`), el("span", { class: "hidden" }, words));
}
