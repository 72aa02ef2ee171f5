"""Replay of recorded outcomes: a policy sees an answer only after it has paid for that arm.

EMAFusion §10 [X]. The engine owns the table; a policy is given the prompts' texts and, step by step, the answers of
the arms it has asked, and of no other: the table never leaves `replay`. Prompts are replayed side by side, in groups
that have asked the same arms, so that a policy may be vectorised; each is charged what *its* call cost.

Legend: n prompts, k arms, m prompts of one group, s arms asked so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from homespun.errors import ConfigError
from homespun.router.outcomes import Outcomes
from homespun.router.posterior import MISSING, UNREADABLE, encode

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STOP = -1


class Seen(NamedTuple):
    """All that a policy knows about a group of prompts."""

    rows: Ints
    """(m,) numbers of the prompts, as given to `Policy.begin`."""
    asked: tuple[int, ...]
    """Arms paid for, ascending."""
    codes: Ints
    """(m, s) their answers: 0 unreadable, else equal codes for equal answers."""


class Act(NamedTuple):
    """What a policy does with each prompt of the group."""

    ask: Ints
    """(m,) arm to ask next, or `STOP`."""
    answer: Ints
    """(m,) position, among the asked arms, of the answer given on stopping; -1 for none."""
    confidence: Floats
    """(m,) probability that this answer is right."""
    worth: Floats
    """(m,) expected value of going on, net of its cost, on the scale of the confidence."""


class Policy(Protocol):
    """A way to spend money on answers."""

    name: str

    def begin(self, prompts: Sequence[str]) -> None:
        """Reads the prompts; all later rows refer to this list."""
        ...

    def act(self, seen: Seen) -> Act:
        """Decides for a group; with nothing asked yet it must ask, and what was asked is not asked again."""
        ...


class Trace(NamedTuple):
    """One step of one prompt."""

    arm: int
    """The arm asked, or `STOP`."""
    confidence: float
    """Of the leading answer before this step."""
    worth: float
    """Of the best way to go on."""


@dataclass(frozen=True, eq=False)
class Replay:
    """What a policy got for its money on n prompts."""

    score: Floats
    cost: Floats
    chosen: Ints
    """(n,) arm whose answer was given; -1 where none could be read."""
    confidence: Floats
    calls: Ints
    """(n,) how many arms were asked."""
    traces: list[list[Trace]] = field(default_factory=list[list[Trace]])


def replay(policy: Policy, outcomes: Outcomes, *, codes: Ints | None = None) -> Replay:
    """Runs a policy over recorded outcomes.

    An arm that was never recorded on a prompt answers nothing and costs nothing. Where no answer could be read the
    last arm's score counts.

    Args:
        policy: Decides what to ask and when to stop.
        outcomes: n prompts and k arms.
        codes: (n, k) of `table_codes`, if already at hand.

    Raises:
        ConfigError: the policy asks an arm twice, or one that is not there, or stops without asking.
    """
    codes = table_codes(outcomes) if codes is None else codes
    num = len(outcomes)
    result = Replay(*_blank(num), traces=[[] for _ in range(num)])
    last = np.full(num, -1, dtype=np.int64)
    policy.begin(list(outcomes.prompts))
    groups: dict[tuple[int, ...], list[Ints]] = {(): [np.arange(num, dtype=np.int64)]}
    while groups:
        asked = min(groups, key=lambda arms: (len(arms), arms))
        rows = np.sort(np.concatenate(groups.pop(asked)))
        visible = np.maximum(codes[rows][:, list(asked)], UNREADABLE)
        act = policy.act(Seen(rows.copy(), asked, visible))
        _note(result.traces, rows, act)
        stop = act.ask == STOP
        _settle(result, outcomes, asked, rows[stop], act.answer[stop], act.confidence[stop], last)
        for arm in np.unique(act.ask[~stop]):
            _legal(policy, int(arm), asked, outcomes.num_arms)
            group = rows[act.ask == arm]
            result.cost[group] += np.nan_to_num(outcomes.cost[group, arm])
            result.calls[group] += 1
            last[group] = arm
            groups.setdefault(tuple(sorted((*asked, int(arm)))), []).append(group)
    return result


def table_codes(outcomes: Outcomes) -> Ints:
    """(n, k) answer codes of a table; without an answer column every arm's answer is one of its own."""
    asked = ~np.isnan(outcomes.score)
    if outcomes.answers is None:
        return np.where(asked, 3 + np.arange(outcomes.num_arms), MISSING)
    return encode(outcomes.answers, asked)


def _blank(num: int) -> tuple[Floats, Floats, Ints, Floats, Ints]:
    whole = np.zeros(num, dtype=np.int64)
    return np.zeros(num), np.zeros(num), whole - 1, np.zeros(num), whole.copy()


def _settle(
    result: Replay,
    outcomes: Outcomes,
    asked: tuple[int, ...],
    rows: Ints,
    answer: Ints,
    confidence: Floats,
    last: Ints,
) -> None:
    if len(rows) == 0:
        return
    if not asked:
        raise ConfigError("a policy stopped before it asked anything", "replay", "ask at least one arm")
    arms = np.array(asked)[answer]
    given = np.where(answer >= 0, arms, last[rows])
    result.score[rows] = np.nan_to_num(outcomes.score[rows, given])
    result.chosen[rows] = np.where(answer >= 0, arms, -1)
    result.confidence[rows] = confidence


def _legal(policy: Policy, arm: int, asked: tuple[int, ...], num_arms: int) -> None:
    if not 0 <= arm < num_arms:
        raise ConfigError(f"{policy.name} asked arm {arm} of {num_arms}", "replay", "an arm of the table")
    if arm in asked:
        raise ConfigError(f"{policy.name} asked arm {arm} twice", "replay", "ask each arm once")


def _note(traces: list[list[Trace]], rows: Ints, act: Act) -> None:
    steps = zip(rows.tolist(), act.ask.tolist(), act.confidence.tolist(), act.worth.tolist(), strict=True)
    for row, arm, confidence, worth in steps:
        traces[row].append(Trace(arm, confidence, worth))
