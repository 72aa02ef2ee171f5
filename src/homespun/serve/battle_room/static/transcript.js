// The Reply tab: every turn of one side, streaming at its end.

import { el, put } from "./dom.js";
import { Reply } from "./markdown.js";
import { seconds } from "./words.js";

export class Transcript {
  constructor(panel, side) {
    this.turns = new Map();
    this.panel = panel;
    this.log = el("div", { class: "transcript", role: "log", "aria-live": "off", "aria-label": `Conversation with ${side.toUpperCase()}` });
    this.empty = el("p", { class: "empty" }, "This side has not been asked yet.");
    panel.append(this.empty, this.log);
  }

  /** Draws the turns; how long an answer took is told only where it cannot sway a vote (`timed`). */
  show(side, timed) {
    this.timed = timed;
    const following = this.panel.scrollTop + this.panel.clientHeight >= this.panel.scrollHeight - 40;
    const fresh = side.turns.length > 0 && !this.turns.has(side.turns.at(-1).turn);
    this.empty.hidden = side.turns.length > 0;
    const kept = new Set(side.turns.map((turn) => turn.turn));
    for (const [number, made] of this.turns) if (!kept.has(number)) this.drop(number, made);
    const last = side.turns.at(-1);
    for (const turn of side.turns) this.draw(turn, turn === last && side.state === "generating", turn === last ? side.error : null);
    if (fresh || (following && side.state === "generating")) this.panel.scrollTop = this.panel.scrollHeight;
  }

  drop(number, made) {
    made.node.remove();
    this.turns.delete(number);
  }

  make(turn) {
    const user = el("div", { class: "user" }, el("span", { class: "hidden" }, "You: "), el("div", {}, turn.user));
    const place = el("div", { class: "reply" });
    const foot = el("p", { class: "quiet foot" });
    const node = el("article", { class: "turn", "aria-label": `Turn ${turn.turn}` }, user, place, foot);
    const made = { node, reply: new Reply(place), foot, said: user.lastChild };
    this.turns.set(turn.turn, made);
    this.log.append(node);
    return made;
  }

  draw(turn, writing, error) {
    const made = this.turns.get(turn.turn) ?? this.make(turn);
    put(made.said, turn.user);
    made.reply.show(turn.reply ?? "", !writing);
    made.node.classList.toggle("writing", writing);
    made.node.setAttribute("aria-busy", String(writing));
    const cut = turn.finish === "length" ? "cut at the length limit" : turn.finish === "cancelled" || turn.finish === "stopped" ? "stopped" : null;
    put(made.foot, writing ? "" : [error, cut, this.timed && turn.seconds ? seconds(turn.seconds) : null].filter(Boolean).join(" · "));
  }
}
