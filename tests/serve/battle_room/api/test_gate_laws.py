"""Laws of the gate and of the fold, over every order in which the two sides can finish, fail or be stopped."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.records import Execution, Message, Sampling
from homespun.serve.battle_room import views
from homespun.serve.battle_room.config import Limits
from homespun.serve.battle_room.contestants_types import ContestantError, Ended
from homespun.serve.battle_room.executions import Stage
from homespun.serve.battle_room.feed import Feed
from homespun.serve.battle_room.recovery import recover
from homespun.serve.battle_room.room import Room
from homespun.serve.battle_room.sessions import PRIVATE, SIDES, State, fold, public
from homespun.serve.store.arena import Event, RunRow, SessionRow

pytestmark = pytest.mark.slow

ENDINGS = ("program", "talk", "break")
ACTS = ("a says", "b says", "a ends", "b ends", "a runs", "b runs", "stop a", "stop b")
REPLY = {"program": "```python\nprint('SECRET')\n```", "talk": "nothing to run", "break": "it was"}


class Memory:
    """A store that keeps everything at hand."""

    def __init__(self) -> None:
        self.kept: list[Event] = []
        self.rows: list[RunRow] = []

    async def add_events(self, events: Sequence[Event]) -> None:
        self.kept += events

    async def add_run(self, row: RunRow, blobs: Any) -> None:
        self.rows.append(row)


class Puppet:
    """Contestant and runner of one side: each goes on when it is told to."""

    name = title = "Puppet"
    organization = licence = ""

    def __init__(self, ending: str) -> None:
        self.ending = ending
        self.says, self.ends, self.runs = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Ended]:
        await self.says.wait()
        yield REPLY[self.ending]
        await self.ends.wait()
        if self.ending == "break":
            raise ContestantError("it broke off")
        yield Ended()


class Hands:
    """The runner of both."""

    def __init__(self, puppets: dict[str, Puppet]) -> None:
        self.puppets, self.places = puppets, {}

    async def run(self, found: Any, *, run_id: str, dependencies: Any = None, on_log: Any = None) -> Any:
        puppet = next(one for one in self.puppets.values() if one not in self.places.values())
        self.places[run_id] = puppet
        await puppet.runs.wait()
        execution = Execution(sample_id=run_id, language="python", status="ok", stdout="SECRET", seconds=1.5)
        return SimpleNamespace(
            execution=execution, url=f"http://{run_id}.localhost:1", pictures=(), shots=(), build_log="", notes=(),
            dependencies=(),
        )  # fmt: skip

    async def close_run(self, run_id: str) -> None:
        pass


def stage(memory: Memory, puppets: dict[str, Puppet]) -> Room:
    row = SessionRow(
        id="s", created=0.0, mode="battle", environment="auto", sampling=Sampling().model_dump(exclude={"stop"}),
        model_a="one", model_b="two", voter="v",
    )  # fmt: skip
    limits = Limits(run_seconds=30)
    stand: Any = Stage(Hands(puppets), memory, limits)  # type: ignore[arg-type]
    return Room(row, Feed("s", memory), puppets, stand, limits)  # type: ignore[arg-type]


def act(room: Room, puppets: dict[str, Puppet], what: str) -> None:
    first, second = what.split()
    if first == "stop":
        room.stop([second])  # type: ignore[list-item]
    else:
        getattr(puppets[first], second).set()


async def quiet() -> None:
    """Lets everything go as far as it can; reading a reply takes a thread."""
    for _ in range(40):
        await asyncio.sleep(0)
    await asyncio.sleep(0.003)


def looks_shut(room: Room) -> None:
    """What a client can see while the gate is closed."""
    told = [views.event(room, event) for event in room.feed.events]
    assert not any(event["kind"] in ("ran", "run", "log", "shown") for event in told)
    assert all(event.get("seconds") is None for event in told)
    assert not any((PRIVATE - {"seconds"}) & set(event) for event in told)
    assert not any("time" in event for event in told if event["kind"] != "turn")
    state = views.state(room, {}, None)
    assert not state["can_vote"]
    for side in state["sides"].values():
        assert side["run"] is None
        assert side["turns"][0]["seconds"] is None
        assert side["state"] in ("generating", "waiting", "failed")


@settings(max_examples=16)
@given(st.tuples(st.sampled_from(ENDINGS), st.sampled_from(ENDINGS)), st.lists(st.sampled_from(ACTS), max_size=8))
def test_before_shown_nothing_of_a_run_is_told_and_the_gate_always_opens(endings, acts):
    async def play() -> None:
        memory, puppets = Memory(), {side: Puppet(ending) for side, ending in zip(SIDES, endings, strict=True)}
        room = stage(memory, puppets)
        room.turn("do it", SIDES)
        for what in [*acts, *ACTS[:6]]:
            act(room, puppets, what)
            await quiet()
            if room.state.gated:
                looks_shut(room)
        await room.settled()
        kinds = [event.kind for event in memory.kept]
        state = room.state
        assert not state.busy
        assert kinds.count("shown") == 1
        assert "ran" not in kinds[: kinds.index("shown")]
        assert kinds.count("ran") == sum(state.pane(side).run is not None for side in SIDES)
        assert state.can_vote == any(state.pane(side).turns[0].reply for side in SIDES)
        assert all(state.pane(side).run or state.pane(side).error for side in SIDES)
        restored(memory, state)

    asyncio.run(play())


def restored(memory: Memory, state: State) -> None:
    """From any prefix of what was kept a restart comes to rest; from all of it, to the same state."""
    again = Feed("s", memory, memory.kept)  # type: ignore[arg-type]
    assert again.state == state
    for cut in range(1, len(memory.kept)):
        prefix = memory.kept[:cut]
        assert fold(memory.kept[cut:], fold(prefix)) == state
        feed = Still(prefix)
        recover(feed, memory.rows)
        assert not feed.state.busy
        assert feed.state.turns == 1
        assert all(feed.state.pane(side).error or feed.state.pane(side).run for side in SIDES)
        assert feed.state.can_vote == any(feed.state.pane(side).turns[0].reply for side in SIDES)
        assert [event.number for event in feed.events] == sorted({event.number for event in feed.events})


class Still(Feed):
    """A feed that writes nowhere."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__("s", Memory(), events)  # type: ignore[arg-type]

    def append(self, kind: str, side: Any, body: dict[str, Any], *, stored: bool = True) -> None:
        self._take(self._next(kind, side, body))


@settings(max_examples=8)
@given(st.permutations(["a", "b", "a", "b"]), st.booleans())
def test_who_was_faster_cannot_be_read_from_what_is_shown(order, first):
    """Two sessions that differ only in who finishes first show the same, but for numbers."""

    async def play(order: Sequence[str]) -> Any:
        memory, puppets = Memory(), {side: Puppet("program") for side in SIDES}
        room = stage(memory, puppets)
        room.turn("do it", SIDES)
        for side in SIDES:
            puppets[side].says.set()
            puppets[side].ends.set()
        await quiet()
        while room.state.a.found is None or room.state.b.found is None:
            await asyncio.sleep(0.001)
        shut = views.state(room, {}, None)
        for side in order:
            puppets[side].runs.set()
            await quiet()
            if room.state.gated:
                assert {**views.state(room, {}, None), "created": 0.0} == {**shut, "created": 0.0}
                assert room.state.last == shut["last_event"]
        await room.settled()
        return [public(event)["kind"] for event in memory.kept if event.kind in ("shown", "ran")]

    assert asyncio.run(play(order)) == asyncio.run(play(order[::-1] if first else order)) == ["shown", "ran", "ran"]
