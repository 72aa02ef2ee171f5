"""The fitted cascade on living models: pays as it goes, and tells the path."""

import anyio
import numpy as np
import pytest

from homespun.errors import ConfigError
from homespun.records import Cost, Sample
from homespun.router.decide import Router
from homespun.router.dial import Point, bisect, nearest, presets
from homespun.router.fusion import Deliberation, answer, fuse_samples


def sample(arm: str, text: str | None) -> Sample:
    cost = Cost(dollars=0.03 if arm.startswith("strong") else 0.001)
    return Sample(id=arm, prompt_id="p", index=0, model=arm, text=text or "", answer=text, cost=cost)


def asker(said: dict[str, str | None], calls: list[str]):
    async def ask(arm: str) -> Sample:
        calls.append(arm)
        return sample(arm, said[arm])

    return ask


def test_each_arm_is_paid_once_and_the_vote_is_given(fitted) -> None:
    router, calls = Router.load(fitted.path), []
    said = {"cheap/a": "20", "cheap/b": "20", "strong/a": "20", "odd/a": "3"}
    text = "Add 5 apples and 15 pears, how many?"
    found = anyio.run(lambda: answer(router, text, asker(said, calls), dial="quality"))
    assert len(calls) == len(set(calls)) >= 1
    assert found.sample is not None
    assert found.sample.answer == "20"
    assert found.decision.spent.dollars == pytest.approx(sum(sample(arm, "x").cost.dollars for arm in calls))
    assert [step.subject for step in found.decision.path if step.stage == "ask"] == calls


def test_nothing_readable_is_said_so_and_a_budget_holds(fitted) -> None:
    router, calls = Router.load(fitted.path), []
    mute = dict.fromkeys(fitted.knowledge.arms)
    found = anyio.run(lambda: answer(router, "Add 5 and 6", asker(mute, calls), dial="quality", budget=0.0))
    assert found.sample is None
    assert found.decision.chosen == "none"
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("answers", "place"), [(["4", "4.0", "5"], 0), (["5", "4", "4"], 1), ([None, "4", None], 1), (["1", "2"], 0)]
)
def test_fuse_by_majority(answers: list[str | None], place: int) -> None:
    assert anyio.run(lambda: fuse_samples([sample("m", text) for text in answers])) == place


def test_fuse_asks_the_judge_only_without_majority() -> None:
    async def last(samples) -> int:
        return len(samples) - 1

    assert anyio.run(lambda: fuse_samples([sample("m", t) for t in ("1", "2", None)], last)) == 1
    assert anyio.run(lambda: fuse_samples([sample("m", t) for t in ("1", "1", "2")], last)) == 0
    with pytest.raises(ConfigError):
        anyio.run(lambda: fuse_samples([]))


def test_presets_and_dial() -> None:
    points = [Point(0.0, 0.9, 10.0), Point(0.1, 0.85, 3.0), Point(0.5, 0.8, 0.9), Point(1.0, 0.7, 0.5)]
    assert presets(points, 10.0) == {"quality": 0.0, "balanced": 0.1, "economy": 0.5}
    assert presets(points, 1.0)["economy"] == 1.0
    assert nearest(0.12, (0.0, 0.1, 0.5)) == 0.1
    with pytest.raises(ConfigError):
        nearest(-1.0, (0.0,))
    assert bisect(lambda mu: 0.9 - 0.1 * mu, 0.8) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ConfigError, match="at most"):
        bisect(lambda mu: 0.5, 0.8)


def test_a_deliberation_driven_by_hand_is_the_answer(fitted) -> None:
    router, text = Router.load(fitted.path), "Add 5 apples and 15 pears, how many?"
    said = {"cheap/a": "20", "cheap/b": "21", "strong/a": "20", "odd/a": "3"}
    whole = anyio.run(lambda: answer(router, text, asker(said, []), dial="quality"))
    talk = Deliberation(router, text, dial="quality", reading=router.knowledge.read([text]))
    while (name := talk.next()) is not None:
        talk.hear(name, sample(name, said[name]))
    assert talk.result() == whole
    assert talk.spent() == whole.decision.spent


def test_the_plan_knows_how_to_go_on_from_its_own_first_arm(fitted) -> None:
    router = Router.load(fitted.path)
    for text in ("Add 5 apples and 15 pears, how many?", "Would actor number 9 swim?"):
        talk = Deliberation(router, text, dial="quality")
        first = talk.next()
        assert first is not None
        assert talk.starts()[router.knowledge.arms.index(first)]
        for arm in np.flatnonzero(talk.starts()):
            other = Deliberation(router, text, dial="quality")
            other.hear(router.knowledge.arms[arm], sample(router.knowledge.arms[arm], "20"))
            other.next()
            assert other.result().decision.chosen == router.knowledge.arms[arm]
