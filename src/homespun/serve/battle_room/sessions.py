"""A session is the fold of its events: `fold` gives the state that a page shows, from any prefix, after any restart.

The display gate is in the order of the events, not in what is left out of them: while a turn's sides are at work
nothing of a run and no timing is in the log at all. When the last of them is done, ``shown`` is appended with the
seconds of each, then ``ran`` for each. So whatever a client reads, before ``shown`` there is nothing to be seen of
speed or outcome beyond the text itself, which streams.

Kinds that change the state:

    turn       {turn, text, sides}         a new turn, or the last one again (then ``turn`` is the same number)
    delta      {turn, text}                a piece of the reply; never stored, since ``generated`` tells it whole
    generated  {turn, text, finish, …}     the whole reply
    found      {turn, environment, …}      the program in it;  no_program {turn, reason}
    failed     {turn, message}             no reply, or the rest of it is missing
    run        {run, state}                a program run again by its reader: waiting, building, running
    shown      {turn, seconds: {side: s}}  the gate has opened
    ran        {turn, run, edit, status}   how a run ended; the row itself is in the table of runs
    vote       {id, winner, …}             reveal {names, void, why}
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Literal, cast

from homespun.serve.store.arena import Event

Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")
Phase = Literal["idle", "generating", "waiting", "building", "running", "done", "failed"]
BUSY = frozenset[Phase]({"generating", "waiting", "building", "running"})
PRIVATE = frozenset({"seconds", "started", "input_tokens", "output_tokens", "dollars"})
"""Of ``generated``: what nobody is told before the gate opens."""
JSON = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One question and one side's answer."""

    turn: int
    user: str
    reply: str = ""
    finish: str | None = None
    """``None`` while it is being written, or when it broke off."""
    seconds: float | None = None
    """What it took; unknown until the gate has opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pane:
    """One side."""

    phase: Phase = "idle"
    turns: tuple[Turn, ...] = ()
    found: JSON | None = None
    """The program in the last reply."""
    run: str | None = None
    """Id of the run that is to be seen."""
    error: str | None = None

    @property
    def busy(self) -> bool:
        """Whether it is at work."""
        return self.phase in BUSY


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a session has come to."""

    a: Pane = Pane()
    b: Pane = Pane()
    gated: frozenset[Side] = frozenset()
    """Sides of the turn whose gate is closed."""
    turns: int = 0
    shown: float | None = None
    """When the gate opened last, seconds since 1970."""
    vote: JSON | None = None
    reveal: JSON | None = None
    last: int = 0
    """Number of the last event."""
    runs: frozenset[str] = field(default_factory=frozenset[str])
    """Runs that have been shown."""

    def pane(self, side: Side) -> Pane:
        """One side."""
        return self.a if side == "a" else self.b

    def with_pane(self, side: Side, pane: Pane) -> "State":
        """The state with a side replaced."""
        return replace(self, a=pane) if side == "a" else replace(self, b=pane)

    @property
    def busy(self) -> bool:
        """Whether anything is at work."""
        return bool(self.gated) or self.a.busy or self.b.busy

    @property
    def can_vote(self) -> bool:
        """Whether both sides can be compared and nobody has done so: failures count as answers, a stuck side cannot be.

        At least one side must have said something; where both failed there is nothing to compare.
        """
        if self.busy or self.vote is not None or not (self.a.turns and self.b.turns):
            return False
        return any(pane.turns[-1].reply for pane in (self.a, self.b))


def fold(events: Iterable[Event], state: State | None = None) -> State:
    """The state after these events."""
    return reduce(step, events, state or State())


def step(state: State, event: Event) -> State:
    """The state after one more event; kinds that it doesn't know change nothing but its number."""
    body, side = event.body, event.side
    if event.kind == "vote":
        return replace(state, last=event.number, vote=body)
    if event.kind == "reveal":
        return replace(state, last=event.number, reveal=body)
    state = replace(state, last=event.number)
    if event.kind == "turn":
        return _turn(state, body)
    if event.kind == "shown":
        return _shown(state, body, event.time)
    if side is None:
        return state
    if event.kind == "ran":
        state = replace(state, runs=state.runs | {str(body["run"])})
    return state.with_pane(side, _pane(state.pane(side), event.kind, body, gated=side in state.gated))


def _turn(state: State, body: JSON) -> State:
    sides = cast("list[Side]", body["sides"])
    for side in sides:
        pane = state.pane(side)
        turns = pane.turns[:-1] if pane.turns and pane.turns[-1].turn == body["turn"] else pane.turns
        fresh = Turn(turn=body["turn"], user=body["text"])
        state = state.with_pane(side, Pane(phase="generating", turns=(*turns, fresh)))
    return replace(state, gated=frozenset(sides), turns=max(state.turns, body["turn"]))


def _shown(state: State, body: JSON, time: float) -> State:
    for side in state.gated:
        pane = state.pane(side)
        last = replace(pane.turns[-1], seconds=body["seconds"].get(side))
        phase: Phase = "failed" if pane.phase == "failed" else "done"
        state = state.with_pane(side, replace(pane, phase=phase, turns=(*pane.turns[:-1], last)))
    return replace(state, gated=frozenset(), shown=time)


def _pane(pane: Pane, kind: str, body: JSON, *, gated: bool) -> Pane:
    if kind == "delta":
        return _reply(pane, pane.turns[-1].reply + body["text"], None)
    if kind == "generated":
        return replace(_reply(pane, body["text"], body["finish"]), phase="waiting" if gated else "done")
    if kind == "found":
        return replace(pane, found=body)
    if kind == "no_program":
        return replace(pane, error=body["reason"])
    if kind == "failed":
        return replace(pane, phase="failed", error=body["message"])
    if kind == "run":
        return replace(pane, phase=body["state"])
    if kind == "ran":
        return replace(pane, phase="done", run=body["run"], error=None)
    return pane


def _reply(pane: Pane, text: str, finish: str | None) -> Pane:
    return replace(pane, turns=(*pane.turns[:-1], replace(pane.turns[-1], reply=text, finish=finish)))


def public(event: Event) -> dict[str, Any]:
    """An event as clients get it."""
    body = {name: value for name, value in event.body.items() if event.kind != "generated" or name not in PRIVATE}
    told = {"number": event.number, "kind": event.kind, **body}
    if event.side is not None:
        told["side"] = event.side
    if event.kind == "generated":
        told["seconds"] = None
    if event.kind in ("turn", "shown", "vote"):  # the times of the others would tell who was faster
        told["time"] = event.time
    if event.kind == "shown":
        told["side"] = "both"
    return told
