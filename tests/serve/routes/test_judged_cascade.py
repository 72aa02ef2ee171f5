"""The judged cascade: accept, veto, doubt, failures, budget, deadline, break-even."""

import asyncio

import pytest

from homespun.serve.gateway.types import GatewayError, UpstreamError

PRICES = {"cheap": 0.001, "strong": 0.05, "middle": 0.01, "verifier": 0.0001}
SURE, UNSURE = "95", "20"


def board(fakes, scripts, *, auto=None, names=("cheap", "strong"), prices=PRICES, **parts):
    listed = [*names, *({"verifier"} & set(scripts))]
    auto = {"tiers": list(names), **({"verifier": "verifier"} if "verifier" in scripts else {}), **(auto or {})}
    return fakes.Board(fakes.settings(listed, auto=auto), fakes.FakeFleet(scripts, prices), **parts)


def text(routed) -> str:
    return routed.reply.body["choices"][0]["message"]["content"]


def test_a_convincing_first_answer_is_given(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red", "verifier": SURE})
    routed = desk.ask()
    assert text(routed) == "blue"
    assert (routed.route, routed.tiers, routed.low_confidence) == ("cascade", ["cheap"], False)
    assert routed.confidence == pytest.approx(0.95)
    assert [a.purpose for a in desk.attempts] == ["answer", "judge"]


def test_doubt_leads_to_the_next_tier(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red", "verifier": [UNSURE, SURE]})
    routed = desk.ask()
    assert text(routed) == "red"
    assert routed.tiers == ["cheap", "strong"]
    assert desk.fleet.asked("judge") == ["verifier", "verifier"]


@pytest.mark.parametrize(("verdicts", "best"), [(["60", "30"], "blue"), (["30", "60"], "red"), (["30", "30"], "red")])
def test_the_best_seen_is_given_when_nobody_convinces(fakes, verdicts: list[str], best: str) -> None:
    routed = board(fakes, {"cheap": "blue", "strong": "red", "verifier": verdicts}).ask()
    assert text(routed) == best
    assert routed.low_confidence
    assert routed.confidence == pytest.approx(max(map(int, verdicts)) / 100)


@pytest.mark.parametrize("bad", ["", "I'm sorry, but I can't help with that.", "3 + 4 = 8", "```python\ndef f(:\n```"])
def test_a_veto_leads_on_without_asking_any_judge(fakes, bad: str) -> None:
    desk = board(fakes, {"cheap": bad, "strong": "red", "verifier": SURE})
    routed = desk.ask()
    assert text(routed) == "red"
    assert desk.fleet.asked("judge") == ["verifier"]


def test_a_truncated_answer_is_vetoed_unless_the_client_chose_its_length(fakes) -> None:
    scripts = {"cheap": fakes.completion("half a", finish="length"), "strong": "red", "verifier": SURE}
    assert text(board(fakes, scripts).ask()) == "red"
    assert text(board(fakes, scripts).ask(body={"max_tokens": 5})) == "half a"


def test_with_validators_alone_the_first_sound_answer_is_given_without_a_number(fakes) -> None:
    routed = board(fakes, {"cheap": "blue", "strong": "red"}).ask()
    assert text(routed) == "blue"
    assert routed.confidence is None
    assert not routed.low_confidence


def test_a_tier_that_fails_is_evidence(fakes) -> None:
    desk = board(fakes, {"cheap": fakes.fail(), "strong": "red", "verifier": SURE})
    routed = desk.ask()
    assert text(routed) == "red"
    assert [(a.target, a.outcome) for a in desk.attempts] == [("cheap", "error"), ("strong", "ok"), ("verifier", "ok")]


def test_when_all_fail_the_last_failure_is_told(fakes) -> None:
    desk = board(fakes, {"cheap": fakes.fail("connect"), "strong": fakes.fail("timeout", 504)})
    with pytest.raises(UpstreamError) as caught:
        desk.ask()
    assert caught.value.reason == "timeout"
    assert len(desk.attempts) == 2


def test_a_verifier_that_fails_or_rambles_says_nothing(fakes) -> None:
    for verifier in (fakes.fail(), "I would say it is fine"):
        routed = board(fakes, {"cheap": "blue", "strong": "red", "verifier": verifier}).ask()
        assert text(routed) == "blue"
        assert routed.confidence is None


def test_the_budget_ends_the_plan_with_the_best_so_far(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red", "verifier": UNSURE})
    routed = desk.ask(budget=20_000_000)  # 2 cents: enough for cheap and verifier, not for strong
    assert text(routed) == "blue"
    assert routed.low_confidence
    assert desk.fleet.asked() == ["cheap"]
    assert sum(a.nanodollars for a in desk.attempts) <= 20_000_000


def test_a_budget_that_covers_nothing_is_refused(fakes) -> None:
    desk = board(fakes, {"cheap": "blue", "strong": "red"})
    with pytest.raises(GatewayError) as caught:
        desk.ask(budget=10)
    assert (caught.value.status, caught.value.code) == (429, "insufficient_quota")
    assert desk.attempts == []


def test_the_deadline_ends_the_plan_with_the_best_so_far(fakes) -> None:
    def slow(body):
        import time

        time.sleep(0.25)
        return UNSURE

    desk = board(fakes, {"cheap": "blue", "strong": "red", "verifier": slow})
    routed = desk.ask(seconds=0.3)
    assert text(routed) == "blue"
    assert routed.low_confidence
    assert desk.fleet.asked() == ["cheap"]


def test_a_verifier_does_not_judge_itself(fakes) -> None:
    config = fakes.settings(["cheap", "middle", "strong"], auto={"verifier": "middle"})
    scripts = {"cheap": "blue", "middle": [UNSURE, "red"], "strong": "green"}
    desk = fakes.Board(config, fakes.FakeFleet(scripts, PRICES))
    assert text(desk.ask()) == "red"
    assert desk.fleet.asked("judge") == ["middle"]


def test_agreement_of_extra_samples_is_drawn_from_the_cheap_tier_only(fakes) -> None:
    agreed = board(fakes, {"cheap": ["12", "12", "12"], "strong": "13"}, auto={"samples": 2})
    routed = agreed.ask()
    assert text(routed) == "12"
    assert routed.confidence == 1.0
    assert agreed.fleet.asked("sample") == ["cheap", "cheap"]
    split = board(fakes, {"cheap": ["12", "14", "15"], "strong": "13"}, auto={"samples": 2})
    assert text(split.ask()) == "13"
    assert split.fleet.asked("sample") == ["cheap", "cheap"]


def test_logprobs_are_asked_for_where_they_are_told_and_do_not_reach_the_client(fakes) -> None:
    doubtful, sure = (fakes.completion(word) for word in ("blue", "red"))
    doubtful["choices"][0]["logprobs"] = {"content": [{"token": "b", "logprob": -3.0}]}
    sure["choices"][0]["logprobs"] = {"content": [{"token": "r", "logprob": -0.01}]}
    able = {name: ["logprobs"] for name in ("cheap", "strong")}
    config = fakes.settings(["cheap", "strong"], capabilities=able)
    desk = fakes.Board(config, fakes.FakeFleet({"cheap": doubtful, "strong": sure}, PRICES))
    routed = desk.ask()
    assert text(routed) == "red"
    assert all(call.body["logprobs"] is True for _, call in desk.fleet.log)
    assert "logprobs" not in routed.reply.body["choices"][0]
    assert routed.confidence == pytest.approx(0.990, abs=1e-3)


def test_no_judge_is_asked_that_cannot_change_the_decision(fakes) -> None:
    """With the verifier at 0 and less than a third of the weight left, no agreement can lift the mean over 0.7."""
    desk = board(fakes, {"cheap": ["12"] * 9, "strong": "13", "verifier": ["0", SURE]}, auto={"samples": 2})
    assert text(desk.ask()) == "13"
    assert desk.fleet.asked("sample") == []


def test_dials_move_the_threshold(fakes) -> None:
    scripts = {"cheap": "blue", "strong": "red", "verifier": ["75", SURE]}
    given = {dial: text(board(fakes, scripts).ask(dial=dial)) for dial in ("economy", "balanced", "quality", "auto")}
    assert given == {"economy": "blue", "balanced": "blue", "quality": "red", "auto": "blue"}


def test_a_cascade_that_saves_too_little_is_not_made(fakes) -> None:
    near = {"cheap": 0.049, "strong": 0.05, "verifier": 0.0001}
    desk = board(fakes, {"cheap": "blue", "strong": "red", "verifier": SURE}, prices=near)
    routed = desk.ask()
    assert (text(routed), routed.route) == ("red", "single")
    assert desk.fleet.asked() == ["strong"]
    assert (routed.record["chosen"], routed.record["propensity"]) == ("strong", 1.0)


def test_the_record_names_who_was_asked_first_and_who_answered(fakes) -> None:
    row = board(fakes, {"cheap": "blue", "strong": "red", "verifier": [UNSURE, SURE]}).ask().record
    assert (row["chosen"], row["answered"], row["arms"]) == ("cheap", "strong", ["strong", "cheap"])


def test_a_cell_whose_requests_go_on_too_often_loses_its_cascade(fakes) -> None:
    def verdict(body):
        return UNSURE if "blue" in body["messages"][0]["content"] else SURE

    desk = board(fakes, {"cheap": "blue", "strong": "red", "verifier": verdict})

    async def many(switchboard):
        return [(await switchboard.answer(desk.make("What is it?"), desk.attempts)).route for _ in range(120)]

    routes = desk.run(many)
    assert routes[0] == "cascade"
    assert routes[-1] == "single"
    assert routes == sorted(routes)  # once given up it stays so


def test_at_most_so_many_tiers(fakes) -> None:
    names = ["a", "b", "c", "d", "e"]
    prices = {name: 0.001 * 4**i for i, name in enumerate(names)} | {"verifier": 0.0001}
    scripts = dict.fromkeys(names, "blue") | {"verifier": UNSURE}
    desk = board(fakes, scripts, names=names, prices=prices, auto={"max_tiers": 3})
    desk.ask()
    assert desk.fleet.asked() == ["a", "c", "e"]


def test_a_cancelled_request_leaves_its_attempt(fakes) -> None:
    desk = board(fakes, {"cheap": 5.0, "strong": "red"})

    async def cancelled(switchboard):
        work = asyncio.ensure_future(switchboard.answer(desk.make("What is it?"), desk.attempts))
        await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    desk.run(cancelled)
    assert [a.target for a in desk.attempts] == ["cheap"]
