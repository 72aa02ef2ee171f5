"""Parts of the room without a network: settings, draws, targets as contestants, apps that nobody looks at."""

import asyncio
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from homespun.arena.pairing import Pairing
from homespun.errors import ConfigError
from homespun.records import Message, Sampling
from homespun.serve.battle_room import server
from homespun.serve.battle_room.app import Closings
from homespun.serve.battle_room.config import Arena, Limits, parse
from homespun.serve.battle_room.contestants_types import ContestantError, Ended, FleetContestant
from homespun.serve.battle_room.drawing import Drawing
from homespun.serve.battle_room.executions import Shown, Stage
from homespun.serve.battle_room.rooms import Rooms
from homespun.serve.gateway.config import GatewayConfig, Target
from homespun.serve.gateway.types import GatewayError
from homespun.serve.gateway.upstream import Fleet
from homespun.serve.store.arena import ArenaStore, RunRow, Vote
from homespun.serve.store.database import Database

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TARGETS = [{"name": name, "kind": "scripted", "model": "echo", "price": {"input": 1, "output": 2}} for name in "xyz"]


@pytest.mark.parametrize(
    ("arena", "fault"),
    [
        ({"model": [{"name": "w"}]}, "no target is called 'w'"),
        ({"model": [{"name": "x"}, {"name": "x"}]}, "two contestants are called 'x'"),
        ({"jail": "docker"}, "jail"),
        ({"colour": "red"}, "unknown setting 'colour'"),
        ({"apps_pattern": "http://localhost:{port}/{run}"}, "apps_pattern"),
        ({"apps_pattern": "http://{run}{run}.localhost"}, "apps_pattern"),
        ({"origins": ["https://room.example/path"]}, "origins"),
        ({"limits": {"turns": 0}}, "turns"),
        ({"pairing": "random"}, "pairing"),
    ],
)
def test_wrong_settings_are_told_in_one_line(arena, fault):
    with pytest.raises(ConfigError) as caught:
        parse({"target": TARGETS, "arena": arena})
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_who_takes_part():
    config = parse({"target": TARGETS, "arena": {"model": [{"name": "x", "title": "Ex"}, {"name": "y", "weight": 3}],
                                                 "shipped": False, "outage": ["x"]}})  # fmt: skip
    assert [(row["contestant"], row["title"], row["drawn"]) for row in server.inspect(config)] == [
        ("x", "Ex", 0.0), ("y", "y", 3.0),
    ]  # fmt: skip
    shipped = [row["contestant"] for row in server.inspect(parse({}))]
    assert shipped[0] == "local:smollm2"
    assert "scripted:loom" in shipped


def test_everywhere_is_no_name():
    with pytest.raises(ConfigError, match="origins"):
        server.origins(Arena(), "0.0.0.0", 8700)
    assert "https://room.example" in server.origins(Arena(origins=("https://room.example",)), "0.0.0.0", 8700)
    assert server.origins(Arena(), "::1", 80)[-1] == "http://[::1]:80"


def contestant(name: str, *known: str) -> Any:
    one = SimpleNamespace(name=name, title=name, organization="", licence="")
    if known:
        one.knows = lambda requests: requests[0] in known
    return one


async def test_draws_follow_the_formula_and_the_settings():
    arena = parse({"target": TARGETS, "arena": {
        "model": [{"name": "x", "weight": 2}, {"name": "y", "newcomer": False}, {"name": "z"}],
        "never_meet": [["x", "z"]], "outage": ["o"], "boost": 3, "enough": 10,
    }}).arena  # fmt: skip
    everyone = {name: contestant(name) for name in "xyzo"} | {"k": contestant("k", "the one example")}
    drawing = Drawing(arena, everyone, np.random.default_rng(0))
    expected = Pairing(
        list("xyzo"), weights={"x": 2}, votes={"y": 10}, outage=["o"], never_meet=[("x", "z")], config=None
    )
    assert drawing.table(list("xyzo")).probabilities().keys() == expected.probabilities().keys()
    drawn = [await drawing.draw("something else") for _ in range(2000)]
    pairs = Counter(frozenset(draw[:2]) for draw in drawn)
    assert set(pairs) == {frozenset("xy"), frozenset("yz")}
    # weights: x 2 * 3 as a newcomer, y 1, z 1 * 3: xy 6, yz 3
    assert pairs[frozenset("xy")] / 2000 == pytest.approx(2 / 3, abs=0.04)
    assert Counter(draw.left for draw in drawn)["y"] / 2000 == pytest.approx(1 / 2, abs=0.04)
    assert "k" in {name for _ in range(50) for name in (await drawing.draw("the one example"))[:2]}


async def test_nobody_left_to_draw():
    some = {"k": contestant("k", "hello"), "j": contestant("j", "hello")}
    with pytest.raises(GatewayError) as caught:
        await Drawing(Arena(), some).draw("goodbye")
    assert caught.value.status == 422
    with pytest.raises(GatewayError) as caught:
        await Drawing(Arena(outage=("k",)), some).draw("hello")
    assert caught.value.status == 503


async def test_the_active_mode_seeks_the_one_nobody_knows():
    arena = Arena(pairing="active", boost=1.0)
    drawing = Drawing(arena, {name: contestant(name) for name in "xyzn"}, np.random.default_rng(0))
    pairs = [("x", "y"), ("y", "z"), ("x", "z")]
    for number in range(300):
        a, b = pairs[number % 3]
        drawing.counted(vote(a, b, "ab"[number % 2]))
    for _ in range(3):
        drawing.counted(vote("n", "x", "a"))
    drawing.counted(vote("n", "x", "b", void=True))
    drawn = [await drawing.draw("hello") for _ in range(300)]
    share = sum("n" in draw[:2] for draw in drawn) / 300
    assert share > 0.7 + 0.3 * 0.3  # the favourite pair, and half of those by weight


def vote(a: str, b: str, winner: Any, *, void: bool = False) -> Vote:
    return Vote(
        id="i", session="s", time=0.0, mode="battle", winner=winner, void=void, voter="v", address_hash="h",
        model_a=a, model_b=b,
    )  # fmt: skip


async def test_a_target_answers_and_its_cost_is_told():
    fleet = Fleet(GatewayConfig.model_validate({"target": TARGETS}))
    target = Target.model_validate(TARGETS[0])
    made = FleetContestant(fleet=fleet, target=target, title="Ex")
    pieces = [one async for one in made.stream([Message(role="user", content="say this")], Sampling(max_tokens=50))]
    assert "".join(one for one in pieces if isinstance(one, str)) == "say this"
    assert isinstance(pieces[-1], Ended)
    assert pieces[-1].cost.output_tokens > 0
    assert pieces[-1].cost.dollars > 0
    await fleet.close()


async def test_a_target_that_fails_is_not_named():
    target = {**TARGETS[0], "name": "secret-model", "model": "failing"}
    fleet = Fleet(GatewayConfig.model_validate({"target": [target], "retries": {"attempts": 1}}))
    made = FleetContestant(fleet=fleet, target=Target.model_validate(target), title="Ex")
    with pytest.raises(ContestantError) as caught:
        _ = [one async for one in made.stream([Message(role="user", content="hello")], Sampling())]
    assert "secret-model" not in caught.value.message
    await fleet.close()


@pytest.fixture
async def store(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/room.db")
    database.migrate()
    made = ArenaStore(database)
    await made.start()
    yield made
    await made.close()
    database.close()


async def test_apps_are_closed_when_nobody_looks_or_when_they_are_too_many(store):
    closed: list[str] = []

    class Player:
        async def run(self, *_: Any, **__: Any) -> Any:
            raise AssertionError

        async def close_run(self, run_id: str) -> None:
            closed.append(run_id)

    arena = Arena(limits=Limits(apps=2, idle_seconds=100, rooms=4))
    rooms = Rooms(arena, [contestant("x")], store, Stage(Player(), store, arena.limits))
    now, opened = time.monotonic(), []
    for number in range(3):
        room = await rooms.open("direct", ["x"], "auto", None, Sampling(), "v")
        await rooms.begin(room, "hello")
        run = RunRow(
            run=f"run{number}", session=room.row.id, side="a", turn=1, edit=0, created=0.0, environment="react",
            language="html", filename="", code="", status="ok",
        )  # fmt: skip
        room.feed.append("turn", None, {"turn": 1, "text": "", "sides": ["a"]}, stored=False)
        room._show("a", Shown(run, "http://app"))
        room.looked = now - 10 + number
        opened.append(room)
    await rooms.sweep(now)
    await asyncio.sleep(0)
    assert [bool(room.urls) for room in opened] == [False, True, True]
    await rooms.sweep(now + 91.5)
    await asyncio.sleep(0.01)
    assert [bool(room.urls) for room in opened] == [False, False, True]
    assert closed == ["run0", "run1"]
    assert opened[1].feed.events[-1].kind == "closed"
    closings = Closings()
    closings.listen(rooms.app_closed)
    await closings("run2", "idle")  # whoever serves it has closed it
    assert opened[2].urls == {}
    assert opened[2].feed.events[-1].kind == "closed"
    for _ in range(3):  # there is no room for so many, and those at rest make way
        (await rooms.open("direct", ["x"], "auto", None, Sampling(), "v")).looked = now - 60
    kept = [await rooms.open("direct", ["x"], "auto", None, Sampling(), "v") for _ in range(4)]
    assert (await rooms.get(kept[0].row.id)) is kept[0]
    with pytest.raises(GatewayError):
        await rooms.open("direct", ["x"], "auto", None, Sampling(), "v")
    await rooms.close()
