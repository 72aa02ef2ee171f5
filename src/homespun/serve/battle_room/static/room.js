// One session as the page knows it: the server's State, kept current by its events. What an event cannot tell whole is
// asked for again; events that came meanwhile are laid on top by their number.

import { get, listen, post } from "./api.js";

const KINDS = ["message", "turn", "delta", "generated", "found", "no_program", "run", "log", "ran", "shown", "failed", "closed", "looked", "vote", "reveal", "ended"];
const LOG = 200_000; // characters of a running program's log that are kept here
export const SIDES = ["a", "b"];

export class Room {
  /** `changed(sides)` is called when something of these sides is to be drawn again, `linked(up)` on the stream's state. */
  constructor(changed, linked) {
    this.changed = changed;
    this.linked = linked;
    this.leave();
  }

  leave() {
    this.close?.();
    this.close = null;
    this.state = null;
    this.live = {};
    this.held = null;
  }

  get id() { return this.state?.id ?? null; }
  get sides() { return this.state ? SIDES.filter((side) => this.state.sides[side]) : []; }
  get busy() { return this.sides.filter((side) => ["generating", "building", "running", "waiting"].includes(this.state.sides[side].state)); }

  async open(id) {
    const state = await get(`sessions/${encodeURIComponent(id)}`);
    this.enter(state);
  }

  async create(options) {
    this.enter(await post("sessions", options));
  }

  enter(state) {
    this.leave();
    this.state = state;
    const address = () => `/api/sessions/${encodeURIComponent(state.id)}/events?after=${this.state?.last_event ?? 0}`;
    this.close = listen(address, KINDS, (event) => this.hear(event), this.linked);
    this.changed(SIDES);
  }

  /** Asks for something to be done in this session; the answer is its new State. */
  async ask(action, body) {
    const id = this.id;
    const state = await post(`sessions/${encodeURIComponent(id)}/${action}`, body);
    if (this.id === id && state?.sides) this.take(state);
    return state;
  }

  take(state) {
    if (state.last_event < this.state.last_event) return;
    this.state = state;
    this.changed(SIDES);
  }

  hear(event) {
    if (this.held) this.held.push(event);
    else this.apply(event);
  }

  apply(event) {
    if (!this.state || event.number <= this.state.last_event) return;
    this.state.last_event = event.number;
    const side = this.state.sides[event.side];
    const turn = side?.turns.findLast((one) => one.turn === event.turn);
    if (event.kind === "delta" && turn) turn.reply += event.text;
    else if (event.kind === "log" && side) this.log(event);
    else if (event.kind === "turn") this.begin(event);
    else if (event.kind === "generated" && turn) Object.assign(turn, { finish: event.finish, seconds: event.seconds });
    else if (event.kind === "run" && side) this.running(event, side);
    else return void this.refresh();
    this.changed(event.side ? [event.side] : SIDES);
  }

  begin(event) {
    this.state.locked = true;
    this.state.can_vote = false;
    for (const name of event.sides) {
      const side = this.state.sides[name];
      if (!side) continue;
      const turns = side.turns.filter((one) => one.turn !== event.turn);
      turns.push({ turn: event.turn, user: event.text, reply: "", finish: null, seconds: null });
      Object.assign(side, { turns, state: "generating", found: null, run: null, error: null });
      delete this.live[name];
    }
  }

  running(event, side) {
    side.state = event.state;
    if (this.live[event.side]?.run !== event.run) this.live[event.side] = { run: event.run, stdout: "", stderr: "", build: "" };
  }

  log(event) {
    const live = (this.live[event.side] ??= { run: event.run, stdout: "", stderr: "", build: "" });
    if (event.stream in live) live[event.stream] = (live[event.stream] + event.text).slice(-LOG);
  }

  async refresh() {
    if (this.held) return;
    const id = this.id;
    this.held = [];
    let state = null;
    try {
      state = await get(`sessions/${encodeURIComponent(id)}`);
    } catch {
      state = null; // the stream tells of lost connections; the next event asks again
    }
    if (this.id !== id) return;
    const held = this.held;
    this.held = null;
    if (state) this.take(state);
    for (const event of held) this.apply(event);
  }
}
