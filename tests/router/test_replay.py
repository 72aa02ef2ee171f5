"""The engine reveals what was paid for, charges it, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.errors import ConfigError
from homespun.router.outcomes import Outcomes
from homespun.router.policy import SinglePolicy
from homespun.router.posterior import FALSE, MISSING, TRUE, UNREADABLE, canonical, encode
from homespun.router.replay import STOP, Act, Seen, replay


def table(num: int, num_arms: int, seed: int = 0) -> Outcomes:
    rng = np.random.default_rng(seed)
    answers = rng.choice(np.array(["7", "8", "yes", None], dtype=object), (num, num_arms))
    return Outcomes(
        prompts=[f"question {i}" for i in range(num)],
        ids=[str(i) for i in range(num)],
        datasets=[""] * num,
        arms=[f"arm{j}" for j in range(num_arms)],
        pairs=[(f"arm{j}", "") for j in range(num_arms)],
        score=(answers == "7").astype(float),
        cost=rng.uniform(0.1, 1.0, (num, num_arms)),
        output_tokens=np.full((num, num_arms), np.nan),
        answers=answers,
    )


class Scripted:
    """Asks the arms of a fixed order, and keeps everything it was ever shown."""

    def __init__(self, order: list[int]) -> None:
        self.name, self.order, self.shown = "scripted", order, []

    def begin(self, prompts) -> None:
        self.shown.append(("prompts", list(prompts)))

    def act(self, seen: Seen) -> Act:
        self.shown.append((seen.asked, seen.rows.copy(), seen.codes.copy()))
        num = len(seen.rows)
        step = len(seen.asked)
        ask = self.order[step] if step < len(self.order) else STOP
        first = 0 if step else -1
        return Act(np.full(num, ask), np.full(num, first), np.full(num, 0.5), np.zeros(num))


@given(st.integers(1, 12), st.integers(1, 5), st.data())
@settings(max_examples=30, deadline=None)
def test_only_paid_answers_are_shown_and_all_are_charged(num: int, num_arms: int, data) -> None:
    outcomes = table(num, num_arms, seed=num)
    order = data.draw(st.permutations(range(num_arms)))[: data.draw(st.integers(1, num_arms))]
    policy = Scripted(list(order))
    result = replay(policy, outcomes)
    codes = encode(outcomes.answers, np.ones((num, num_arms), dtype=bool))
    for asked, rows, shown in policy.shown[1:]:
        assert set(asked) == set(order[: len(asked)])
        assert shown.shape == (len(rows), len(asked))
        assert (shown == codes[rows][:, list(asked)]).all()
    assert np.allclose(result.cost, outcomes.cost[:, list(order)].sum(axis=1))
    assert (result.calls == len(order)).all()


def test_a_cheat_cannot_see_the_table() -> None:
    """Two tables that differ only in unpaid answers and in scores look the same to a policy."""
    left, right = table(6, 3, seed=1), table(6, 3, seed=1)
    right.answers[:, 2] = "another"
    right.score[:, :] = 1.0 - right.score
    one, two = Scripted([0, 1]), Scripted([0, 1])
    replay(one, left)
    replay(two, right)

    def pattern(codes: np.ndarray) -> list[list[bool]]:
        return [[a == b for a in row for b in row] for row in codes]

    for seen, again in zip(one.shown[1:], two.shown[1:], strict=True):
        assert seen[0] == again[0]
        assert pattern(seen[2]) == pattern(again[2])
    assert not hasattr(Seen, "outcomes")
    assert set(Seen._fields) == {"rows", "asked", "codes"}


def test_single_policy_scores_as_its_column() -> None:
    outcomes = table(20, 3)
    for arm in range(3):
        result = replay(SinglePolicy("one", arm), outcomes)
        assert (result.score == outcomes.score[:, arm]).all()
        assert (result.cost == outcomes.cost[:, arm]).all()


@pytest.mark.parametrize("order", [[0, 0], [5], []])
def test_illegal_policies_are_refused(order: list[int]) -> None:
    with pytest.raises(ConfigError, match="try:"):
        replay(Scripted(order), table(4, 3))


@pytest.mark.parametrize(
    ("answer", "text"),
    [("Yes.", "true"), ("FALSE", "false"), ("$1,200.0", "1200"), ("1.2e3", "1200"), ("-5", "-5"),
     ("  Two  Words ", "two words"), (None, None), ("", None), ("[invalid]", None), ("05/01/2021", "05/01/2021")],
)  # fmt: skip
def test_canonical(answer: str | None, text: str | None) -> None:
    assert canonical(answer) == text


def test_codes_say_identity_only() -> None:
    answers = np.array([["yes", "True", None], ["3", "3.0", "no"]], dtype=object)
    asked = np.array([[True, True, True], [True, True, False]])
    codes = encode(answers, asked)
    assert codes[0].tolist() == [TRUE, TRUE, UNREADABLE]
    assert codes[1, 0] == codes[1, 1] > FALSE
    assert codes[1, 2] == MISSING
