"""The nouns of homespun: frozen records that every stage reads and writes.

Sample, Verdict and friends are rows; a Run is the one record that lies beside them. Stages meet in files
of these, never in imports. ``None`` always means *unknown*, never zero.
"""

import operator
from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JSON = dict[str, Any]


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cost(Record):
    """What something cost. Costs add; the empty Cost is zero."""

    input_tokens: int = Field(default=0, ge=0)
    cached_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    dollars: float = Field(default=0.0, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    gpu_seconds: float = Field(default=0.0, ge=0)

    def __add__(self, other: "Cost") -> "Cost":
        fields = type(self).model_fields
        return Cost(**{name: operator.add(getattr(self, name), getattr(other, name)) for name in fields})

    @staticmethod
    def total(costs: "Iterable[Cost]") -> "Cost":
        """Sum of any number of costs; of none, zero."""
        return reduce(operator.add, costs, Cost())


class Problem(Record):
    """One question with, where known, its gold answer."""

    id: str
    task: str
    question: str
    answer: str | None = None
    steps: tuple[str, ...] = ()
    files: dict[str, str] = {}
    environment: str | None = None
    language: str = "en"
    licence: str | None = None
    source: str | None = None
    split: str = "test"
    extra: JSON = {}


class Message(Record):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Sampling(Record):
    """How to sample. ``seed=None`` leaves it to the model."""

    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=1000, gt=0)
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: bool = False


class Prompt(Record):
    """What is sent to a model for one problem under one strategy."""

    id: str
    problem_id: str
    strategy: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    step: int | None = None
    task: str | None = None


Finish = Literal["stop", "length", "filter", "error"]


class Sample(Record):
    """One completion. A call that failed is a Sample with ``finish='error'`` and the reason in ``error``."""

    id: str
    prompt_id: str
    index: int
    model: str
    text: str
    answer: str | None = None
    logprobs: tuple[float, ...] | None = None
    finish: Finish = "stop"
    error: str | None = None
    cost: Cost = Cost()
    from_cache: bool = False


ExecutionStatus = Literal["ok", "failed", "timeout", "memory", "unavailable"]


class Execution(Record):
    """What happened when a program ran. ``unavailable``: it never ran, so nothing is known of it."""

    sample_id: str
    language: str
    environment: str = "interpreter"
    status: ExecutionStatus
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    value: str | None = None
    files: tuple[str, ...] = ()
    screenshots: tuple[str, ...] = ()


class Verdict(Record):
    """A judgement with its reason. ``value=None`` means ungraded: absence isn't zero."""

    subject_id: str
    grader: str
    grader_version: str
    value: float | None = Field(ge=0, le=1)
    answer: str | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    reason: str = ""
    evidence: tuple[str, ...] = ()
    cost: Cost = Cost()


class Battle(Record):
    """Two samples side by side, and who won."""

    id: str
    problem_id: str
    left: str
    right: str
    shown_order: tuple[str, str]
    winner: Literal["left", "right", "tie", "neither"] | None
    voter: str
    aspects: dict[str, str] = {}
    reason: str = ""


class Step(Record):
    """One step on the path of a Decision: which stage spoke, what it said, with what score."""

    stage: Literal["filter", "taxonomy", "learned", "blend", "ask", "judge", "accept", "fuse", "stop"]
    subject: str
    score: float | None = None
    cost: float = 0.0
    detail: str = ""


class Decision(Record):
    """Which model (and strategy) was chosen for a prompt, and why."""

    prompt_id: str
    chosen: str
    path: tuple[Step, ...] = ()
    expected_quality: float | None = None
    expected_cost: float | None = None
    confidence: float | None = None
    spent: Cost = Cost()


RunStatus = Literal["running", "done", "failed"]


class Run(Record):
    """The one record beside a stage's tables: all that is needed to audit, repeat or compare it."""

    id: str
    stage: str
    name: str
    config: JSON
    inputs: dict[str, str]
    code: str
    packages: dict[str, str]
    seed: int
    started: datetime
    ended: datetime | None = None
    status: RunStatus = "running"
    cost: Cost = Cost()
    metrics: JSON = {}
    outputs: dict[str, str] = {}
