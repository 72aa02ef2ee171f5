// The vote bar: four choices, what may be added to them, and the names when it is done.

import { el, put, roving, say } from "./dom.js";
import { ASPECTS, WINNERS } from "./words.js";

const CHOICES = ["a", "tie", "both_bad", "b"]; // as they lie on the screen: A's side left, B's right
export const KEYS = { 1: "a", 2: "tie", 3: "both_bad", 4: "b" };
const SHORT = { a: "A", b: "B", tie: "tie", both_bad: "bad" };
const REASON = 4000; // characters

export class VoteBar {
  constructor(place, vote, next) {
    this.place = place;
    this.vote = vote;
    this.id = null;
    this.session = null;
    this.hint = el("p", { class: "quiet hint", id: "vote-hint" });
    this.buttons = Object.fromEntries(CHOICES.map((name) => [name, this.button(name)]));
    const ordered = CHOICES.map((name) => this.buttons[name]);
    this.bar = el("div", { class: "choices", role: "toolbar", "aria-label": "Your vote", "aria-describedby": "vote-hint" }, ordered);
    roving(this.bar, ordered);
    this.more = el("button", { type: "button", class: "link", "aria-expanded": "false", "aria-controls": "aspects", onclick: () => this.unfold() }, "Say more");
    this.extra = this.details();
    this.result = el("div", { class: "result", hidden: true, tabindex: "-1" });
    this.next = next;
    place.append(this.bar, this.hint, this.more, this.extra, this.result);
  }

  button(name) {
    const key = Object.keys(KEYS).find((one) => KEYS[one] === name);
    return el("button", { type: "button", class: `vote ${name}`, "data-winner": name, "aria-keyshortcuts": key, "aria-disabled": "true", onclick: () => this.cast(name) }, WINNERS[name], " ", el("kbd", {}, key));
  }

  details() {
    const rows = Object.entries(ASPECTS).map(([aspect, title]) => {
      const choices = CHOICES.map((name) => el("label", {}, el("input", { type: "radio", name: `aspect-${aspect}`, value: name }), el("span", { title: WINNERS[name] }, SHORT[name])));
      return el("fieldset", { class: "aspect" }, el("legend", {}, title), el("div", { class: "pills" }, choices));
    });
    this.reason = el("textarea", { id: "reason", rows: "2", maxlength: REASON, placeholder: "Why? (optional)" });
    return el("div", { class: "aspects", id: "aspects", hidden: true }, rows, el("label", { class: "hidden", for: "reason" }, "Why"), this.reason);
  }

  unfold(open = this.extra.hidden) {
    this.extra.hidden = !open;
    this.more.setAttribute("aria-expanded", String(open));
    put(this.more, open ? "Say less" : "Say more");
  }

  /** What is added to the vote: the aspects that were chosen and the reason. */
  added() {
    const aspects = {};
    for (const aspect of Object.keys(ASPECTS)) {
      const chosen = this.extra.querySelector(`input[name="aspect-${aspect}"]:checked`);
      if (chosen) aspects[aspect] = chosen.value;
    }
    const reason = this.reason.value.trim();
    return { ...(Object.keys(aspects).length && { aspects }), ...(reason && { reason }) };
  }

  get open() { return this.buttons.a.getAttribute("aria-disabled") === "false"; }

  async cast(winner) {
    if (!this.open || this.sending) return;
    this.sending = true;
    this.id ??= crypto.randomUUID?.() ?? fallback();
    this.allow(false);
    const done = await this.vote({ id: this.id, winner, ...this.added() });
    this.sending = false;
    if (done) this.result.focus({ preventScroll: true });
    else this.allow(true);
  }

  allow(can) {
    for (const button of Object.values(this.buttons)) button.setAttribute("aria-disabled", String(!can));
    this.place.classList.toggle("open", can);
  }

  show(state, mine) {
    const battle = state !== null && state.mode !== "direct";
    this.place.hidden = !battle || (!mine && !state.vote);
    if (!battle) return;
    if (this.session !== state.id) this.fresh(state.id);
    const voted = state.vote !== null;
    for (const part of [this.bar, this.hint, this.more]) part.hidden = voted;
    this.result.hidden = !voted;
    if (voted) this.unfold(false);
    if (voted) return this.reveal(state);
    const can = state.can_vote && mine && !this.sending;
    if (can && !this.open && !this.sending) say("Both sides are ready. You can vote: 1 A is better, 2 tie, 3 both bad, 4 B is better.");
    this.allow(can);
    put(this.hint, can ? "Play with both, then vote." : hint(state));
  }

  fresh(id) {
    this.session = id;
    this.id = null;
    this.revealed = null;
    this.unfold(false);
    this.reason.value = "";
    for (const input of this.extra.querySelectorAll("input:checked")) input.checked = false;
  }

  reveal(state) {
    const key = JSON.stringify([state.vote, state.names, state.void, state.why]);
    if (this.revealed === key) return;
    this.revealed = key;
    const [a, b] = [state.names?.a ?? "A", state.names?.b ?? "B"];
    const verdict = { a: `You preferred A`, b: `You preferred B`, tie: "You called it a tie", both_bad: "You found both bad" }[state.vote.winner];
    const side = (letter, name) => el("span", { class: `who ${letter} ${state.vote.winner === letter ? "won" : ""}` }, el("span", { class: "badge", "aria-hidden": "true" }, letter.toUpperCase()), el("span", { class: "name" }, name));
    const empty = state.void ? el("p", { class: "void" }, el("strong", {}, "This vote does not count. "), state.why ?? "A model gave its name away in the conversation, so the vote was no longer blind.") : null;
    this.result.replaceChildren(el("span", { class: "verdict" }, verdict), side("a", a), side("b", b), el("button", { type: "button", class: "primary", onclick: () => this.next() }, "New round"), ...[empty].filter(Boolean));
    say(`${verdict}. A was ${a}, B was ${b}.${state.void ? " This vote does not count." : ""}`);
  }
}

function hint(state) {
  const states = Object.values(state.sides).filter(Boolean).map((side) => side.state);
  if (states.every((one) => one === "idle")) return "Voting opens when both have answered.";
  if (states.some((one) => ["generating", "building", "running", "waiting"].includes(one))) return "Voting opens when both sides have answered and run.";
  return "There is nothing to vote on yet: both sides need an answer.";
}

// Plain http addresses other than localhost have no randomUUID.
function fallback() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
