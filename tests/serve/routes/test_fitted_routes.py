"""The fitted cascade on recorded answers: the same score and dollars as in replay, question by question."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from homespun.data import path
from homespun.errors import ConfigError
from homespun.models.recorded import Recorded
from homespun.records import Message, Prompt
from homespun.router import fit
from homespun.router.evaluation import held_out
from homespun.router.outcomes import read_outcomes
from homespun.router.replay import replay
from homespun.serve.gateway.config import built_in, parse
from homespun.serve.gateway.routes import RouterVersion, Switchboard, shipped
from homespun.serve.gateway.routes.reader import Reader, find_problem
from homespun.serve.gateway.types import Attempt, GatewayError, Reply, UpstreamError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fitted_routes")]

ARMS = ("gpt-3.5-turbo/cot", "gpt-3.5-turbo/pot", "gpt-4/ltm", "gpt-4/pot")


class RecordedFleet:
    """Recorded answers behind the interface of the fleet; ``failing`` arms do not answer."""

    def __init__(self, config, completion) -> None:
        self.targets = {target.name: target for target in config.target}
        self.failing: set[str] = set()
        self.completion = completion

    def bound(self, target, body):
        return 4000, 10**9

    def bounded(self, target, body):
        return body

    def serves(self, target, body):
        return None

    async def call(self, target, call, attempts, *, fallbacks=True):
        attempt = Attempt(target=target, purpose=call.purpose, time=0.0)
        attempts.append(attempt)
        found = self.targets[target]
        if found.arm_name in self.failing:
            raise UpstreamError("connect", "down")
        if found.kind == "local":
            return Reply(target, attempt, body=self.completion("a small answer"))
        prompt = Prompt(
            id="p",
            problem_id=f"{call.problem['task']}/{call.problem['id']}",
            strategy=found.strategy,
            task=call.problem["task"],
            messages=(Message(role="user", content="?"),),
        )
        [sample] = await Recorded(found.model).sample(prompt)
        if sample.error:
            raise UpstreamError("refused", sample.error)
        attempt.nanodollars = round(sample.cost.dollars * 10**9)
        return Reply(target, attempt, body=self.completion(sample.text))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A router of four arms, fitted on a quarter of two data sets."""
    folder = tmp_path_factory.mktemp("small")
    arm = pl.format("{}/{}", "model", "strategy")
    table = shipped.outcomes().filter(arm.is_in(ARMS) & pl.col("dataset").is_in(["svamp", "date"]))
    ids = table["id"].unique(maintain_order=True).gather_every(4)
    table.filter(pl.col("id").is_in(ids.implode())).write_parquet(folder / "outcomes.parquet")
    router = fit.fit(folder / "outcomes.parquet", folder / "router")
    outcomes = held_out(router, read_outcomes(folder / "outcomes.parquet"), "outcomes")
    return SimpleNamespace(router=router, outcomes=outcomes, path=folder / "router")


def config_of(small, **sections):
    names = [f"recorded:{arm}" for arm in ARMS]
    targets = [target.model_dump() for target in built_in() if target.name in (*names, "local:smollm2")]
    return parse({"target": targets, "auto": {"router": str(small.path)}, **sections})


@pytest.fixture
def desk(small, fakes):
    return make_desk(small, fakes)


def make_desk(small, fakes, **sections):
    config = config_of(small, **sections)
    return SimpleNamespace(config=config, fleet=RecordedFleet(config, fakes.completion), make=fakes.Board.make)


def run(desk, work, routers=()):
    async def inside():
        board = Switchboard(desk.config, desk.fleet)
        try:
            await board.use(routers)
            return await work(board)
        finally:
            await board.close()

    return asyncio.run(inside())


def said(routed) -> str:
    return routed.reply.body["choices"][0]["message"]["content"]


@pytest.mark.parametrize("dial", ["quality", "economy"])
def test_a_replay_through_the_switchboard_is_the_replay_of_route_eval(small, desk, dial: str) -> None:
    expected = replay(small.router.knowledge.fusion(small.router.presets["fusion"][dial]), small.outcomes)

    async def all_of_them(board):
        rows = []
        for text in small.outcomes.prompts:
            attempts: list[Attempt] = []
            routed = await board.answer(desk.make(text, dial=dial), attempts)
            rows.append((routed, sum(a.nanodollars for a in attempts) / 1e9, len(attempts)))
        return rows

    rows = run(desk, all_of_them)
    arms = small.outcomes.arms
    chosen = [arms[arm] if arm >= 0 else None for arm in expected.chosen]
    assert [routed.decision.chosen if routed.confidence else None for routed, _, _ in rows] == chosen
    assert np.allclose([cost for _, cost, _ in rows], expected.cost, atol=5e-9)
    assert [calls for _, _, calls in rows] == expected.calls.tolist()
    assert np.allclose([routed.confidence for routed, _, _ in rows], expected.confidence, atol=1e-9)
    assert {routed.route for routed, _, _ in rows} == {"cascade"}


def test_any_other_question_goes_to_the_local_model(small, desk) -> None:
    routed = run(desk, lambda board: board.answer(desk.make("Who are you?"), []))
    assert routed.reply.target == "local:smollm2"
    assert routed.router is None
    assert routed.record["router"] == "none"


def test_arms_that_fail_are_evidence_and_all_of_them_a_failure(small, desk) -> None:
    text = small.outcomes.prompts[0]

    async def answer(board):
        return await board.answer(desk.make(text, dial="quality"), [])

    first = run(desk, answer).record["chosen"]
    desk.fleet.failing = {first}
    routed = run(desk, answer)
    assert routed.record["chosen"] == first
    assert routed.decision.chosen != first
    assert any(step.detail.startswith("failed: ") for step in routed.decision.path)
    desk.fleet.failing = set(ARMS)
    with pytest.raises(UpstreamError):
        run(desk, answer)


def test_a_budget_below_every_call_is_refused_and_one_call_gives_the_best_so_far(small, desk) -> None:
    text = small.outcomes.prompts[0]
    attempts: list[Attempt] = []
    with pytest.raises(GatewayError, match="budget"):
        run(desk, lambda board: board.answer(desk.make(text, budget=1), attempts))
    assert attempts == []
    routed = run(desk, lambda board: board.answer(desk.make(text, dial="quality", budget=10**9), attempts))
    assert len(attempts) == 1
    assert routed.reply.target == attempts[0].target


def test_the_record_tells_numbers_of_every_arm(small, desk) -> None:
    row = run(desk, lambda board: board.answer(desk.make(small.outcomes.prompts[0]), [])).record
    assert set(row["reading"]["quality"]) == set(row["reading"]["cost"]) == set(ARMS)
    assert sum(row["reading"]["cells"].values()) == pytest.approx(1, abs=1e-3)
    assert row["router"] == small.router.origin["fingerprint"]
    assert row["cell"] in ("svamp", "date", "other")
    assert small.outcomes.prompts[0] not in json.dumps(row)
    assert 0 <= row["expected_quality"] <= 1


def test_turns_that_carry_tools_are_single_calls(small, desk) -> None:
    body = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    attempts: list[Attempt] = []
    routed = run(desk, lambda board: board.answer(desk.make(small.outcomes.prompts[0], body=body), attempts))
    assert (routed.route, len(attempts)) == ("single", 1)


def test_a_conversation_changes_its_arm_only_for_a_gain(small, fakes) -> None:
    text = small.outcomes.prompts[0]
    for delta, stays in ((5.0, True), (0.0, False)):
        desk = make_desk(small, fakes, auto={"router": str(small.path), "mode": "single", "delta": delta})

        async def answer(board, desk=desk):
            free = await board.answer(desk.make(text), [])
            other = next(arm for arm in ARMS if arm != free.record["chosen"])
            return free, other, await board.answer(desk.make(text, previous=other), [])

        free, other, bound = run(desk, answer)
        assert bound.record["chosen"] == (other if stays else free.record["chosen"])
        assert bound.record["propensity"] == 1.0


def test_exploration_is_logged_with_its_propensity_and_can_be_forbidden(small, fakes) -> None:
    text = small.outcomes.prompts[0]

    def propensities(**sections):
        auto = {"router": str(small.path), "mode": "single"} | sections.pop("auto", {})
        desk = make_desk(small, fakes, auto=auto, **sections)

        async def many(board):
            return [
                (await board.answer(desk.make(text, request_id=f"r{i}", dial="quality"), [])).record for i in range(60)
            ]

        return run(desk, many)

    wide = {"learning": {"enabled": True, "explore": 0.2}}
    rows = propensities(**wide)
    chosen = {row["chosen"]: row["propensity"] for row in rows}
    assert len(chosen) > 1
    assert sum(chosen.values()) == pytest.approx(1.0, abs=0.2)
    for arm, p in chosen.items():  # frequencies agree with what was logged
        share = sum(row["chosen"] == arm for row in rows) / len(rows)
        assert abs(share - p) < 4 * (p * (1 - p) / len(rows)) ** 0.5 + 1e-6
    for quiet in ({}, wide | {"auto": {"safety_sensitive": True}}):
        rows = propensities(**quiet)
        assert {row["propensity"] for row in rows} == {1.0}
        assert len({row["chosen"] for row in rows}) == 1


def test_canaries_get_their_share_by_conversation(small, desk) -> None:
    versions = [RouterVersion("one", small.path, 0.8), RouterVersion("two", small.path, 0.2)]
    text = small.outcomes.prompts[0]

    async def many(board):
        given = {}
        for i in range(150):
            for turn in range(2):
                ask = desk.make(text, request_id=f"r{i}-{turn}", conversation=f"c{i}")
                given.setdefault(i, set()).add((await board.answer(ask, [])).router)
        return given

    given = run(desk, many, versions)
    assert all(len(each) == 1 for each in given.values())
    assert 10 <= sum(each == {"two"} for each in given.values()) <= 55


def test_a_router_of_other_arms_is_refused(small, fakes) -> None:
    config = fakes.settings(["a", "b"], auto={"router": str(small.path)})
    board = fakes.Board(config, fakes.FakeFleet({"a": "x", "b": "y"}))
    with pytest.raises(ConfigError, match=r"4 arms that are no tier.*gpt-3\.5-turbo/cot"):
        board.run(lambda switchboard: switchboard.use([]))


def test_reading_is_what_grade_reads() -> None:
    """A sample of the shipped verdicts over all models, strategies and data sets, SayCan aside."""
    keys = ["dataset", "id", "model", "strategy"]
    verdicts = pl.read_parquet(path("verdicts/verdicts.parquet")).sample(400, seed=3)
    rows = verdicts.join(pl.read_parquet(path("recorded/greedy.parquet")).drop("answer"), on=keys)
    targets = {(target.model, target.strategy): target for target in built_in()}

    async def read_all():
        reader = Reader()
        try:
            return [
                await reader.read(
                    targets[row["model"], row["strategy"]], (row["dataset"], row["id"]), row["completion"]
                )
                for row in rows.iter_rows(named=True)
            ]
        finally:
            await reader.close()

    assert rows.height == 400
    assert asyncio.run(read_all()) == rows["answer"].to_list()


def test_recorded_problems_are_found_by_name_and_by_text() -> None:
    problems = pl.read_parquet(path("recorded/problems.parquet"))
    dataset, name, text = problems.select("dataset", "id", "question").row(0)
    assert find_problem({"task": dataset, "id": name}, "") == (dataset, name)
    assert find_problem({"task": dataset, "id": f"{dataset}/{name}"}, "") == (dataset, name)
    assert find_problem(None, f"  {text.upper()} ") == (dataset, name)
    assert find_problem({"task": dataset, "id": "no such"}, text) is None
    assert find_problem(None, "Who are you?") is None


def test_the_shipped_router_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small) -> None:
    frame = pl.read_parquet(small.path.parent / "outcomes.parquet")
    monkeypatch.setattr(shipped, "outcomes", lambda: frame)
    shipped.make(tmp_path / "routers" / "r")
    made = (tmp_path / "routers" / "r" / "router.json").stat()
    shipped.make(tmp_path / "routers" / "r")
    assert (tmp_path / "routers" / "r" / "router.json").stat().st_mtime_ns == made.st_mtime_ns


def test_without_a_router_a_recorded_question_gets_the_cheapest_recorded_answer(small, desk) -> None:
    bare = SimpleNamespace(
        config=desk.config.model_copy(update={"auto": desk.config.auto.model_copy(update={"router": None})}),
        fleet=desk.fleet,
        make=desk.make,
    )
    routed = run(bare, lambda board: board.answer(bare.make(small.outcomes.prompts[0]), []))
    assert routed.reply.target.startswith("recorded:")
    assert routed.confidence is None


def test_through_the_real_fleet_too_and_streamed(small, fakes) -> None:
    from homespun.serve.gateway.upstream import Fleet

    table = small.outcomes.take(range(12))
    expected = replay(small.router.knowledge.fusion(small.router.presets["fusion"]["quality"]), table)

    async def all_of_them():
        config = config_of(small)
        fleet = Fleet(config)
        board = Switchboard(config, fleet)
        await board.use([])
        rows = []
        for place, text in enumerate(table.prompts):
            attempts: list[Attempt] = []
            ask = fakes.Board.make(text, dial="quality", stream=place % 2 == 1)
            tokens, bound = board.bound(ask)
            routed = await board.answer(ask, attempts)
            if routed.reply.events is not None:
                events = [event async for event in routed.reply.events]
                assert events[-1].json["choices"][0]["finish_reason"] == "stop"
            spent = sum(a.nanodollars for a in attempts)
            assert spent <= bound
            assert sum(a.usage.input + a.usage.output for a in attempts) <= tokens
            rows.append((routed.decision.chosen, spent / 1e9))
        await board.close()
        await fleet.close()
        return rows

    rows = asyncio.run(all_of_them())
    assert [chosen for chosen, _ in rows] == [table.arms[arm] for arm in expected.chosen]
    assert np.allclose([cost for _, cost in rows], expected.cost, atol=5e-9)


def test_the_same_question_is_read_once(small, desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from homespun.router.policy import Knowledge

    seen: list[str] = []
    read = Knowledge.read
    monkeypatch.setattr(Knowledge, "read", lambda self, prompts: (seen.extend(prompts), read(self, prompts))[1])
    one, two = small.outcomes.prompts[:2]

    async def several(board):
        for text in (one, two, one, one):
            await board.answer(desk.make(text), [])

    run(desk, several)
    assert [text for text in seen if text != "probe"] == [one, two]


def test_out_of_the_box_the_router_is_fitted_beside_the_answers(
    small, fakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that fits is stood in for by one that copies a router to the place that it is told."""
    script = tmp_path / "fit"
    script.write_text(f'#!/bin/sh\necho "9 of 9"\ncp -r {small.path} "$3.new" && mv "$3.new" "$3"\n')
    script.chmod(0o755)
    monkeypatch.setattr(shipped.sys, "executable", str(script))
    (tmp_path / "state" / "routers").mkdir(parents=True)
    config = parse({"server": {"state": str(tmp_path / "state")}})
    desk = SimpleNamespace(config=config, fleet=RecordedFleet(config, fakes.completion), make=fakes.Board.make)
    text = small.outcomes.prompts[0]

    async def until_it_is_there(board):
        first = await board.answer(desk.make(text), [])
        other = await board.answer(desk.make("Who are you?"), [])
        for _ in range(200):
            if (routed := await board.answer(desk.make(text), [])).router is not None:
                return first, other, routed
            await asyncio.sleep(0.05)
        raise AssertionError("no router came")

    first, other, routed = run(desk, until_it_is_there)
    assert first.router is None
    assert first.reply.target.startswith("recorded:")
    assert other.reply.target == "local:smollm2"
    assert routed.router.startswith("recorded-")
    assert routed.confidence is not None
