"""Trains a head on labels that a user brings: which rows, what for, and what it is worth on rows it never saw.

Apertus, section 3.2.3, and swiss-ai/pretrain-data: classes 50/50 by leaving out rows of the larger one, 10 % for
validation, the first chunk of each text. Where we differ: another 10 % is held out, in its natural proportions, and
only that is reported, because the best epoch is picked on the validation rows; equal texts, and rows that are said to
belong together (a text and its spoilt copy, pages of a site), fall on one side; for hashed n-grams the head is a
logistic regression (`homespun.corpus.heads.fitting`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.corpus.chance import chances
from homespun.corpus.heads.embedder import Embedder
from homespun.corpus.heads.fitting import Mlp, Rows, fit_linear, fit_mlp
from homespun.corpus.heads.head import About, Head, Kind, Measured
from homespun.errors import ConfigError, DataError

Shape = Literal["published", "linear"]
CLASSES: dict[Kind, tuple[str, str]] = {"quality": ("other", "good"), "toxicity": ("other", "toxic")}
LEAST = 50
"""Rows of each class below which there is nothing to learn or to measure."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a head learns."""

    kind: Kind
    shape: Shape = "published"
    """``published``: the kind's two layers, `Mlp`; ``linear``: one, the only one for hashed n-grams."""
    mlp: Mlp = field(default_factory=Mlp)
    balance: bool = True
    """As many rows of one class as of the other, in training and validation."""
    validation: float = 0.1
    """Share of the labels on which the best epoch, or the penalty, is picked."""
    held_out: float = 0.1
    """Share on which the head is measured."""
    seed: int = 0

    def __post_init__(self) -> None:
        shares = self.validation, self.held_out
        if min(shares) <= 0 or sum(shares) > 0.8:
            raise ConfigError(f"shares {shares}", "validation and held_out", "above 0, together at most 0.8")


class Labels(NamedTuple):
    """What a head learns from."""

    texts: Sequence[str]
    label: NDArray[np.int64]
    """(n,) zeros and ones; one is good, or toxic."""
    languages: tuple[str, ...]
    sha256: str
    """Of the table they come from."""
    licence: str = ""
    groups: Sequence[str] | None = None
    """Rows with one name here are all learnt from, or none is; each text its own if not given."""


class Split(NamedTuple):
    """Rows of the labels, each rising."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    held_out: NDArray[np.int64]


def train(labels: Labels, embedder: Embedder, training: Training, thresholds: dict[str, float] | None = None) -> Head:
    """A head, measured.

    Args:
        labels: Texts with their class.
        embedder: What the head will see.
        training: How it learns.
        thresholds: By language, to be kept in the file.

    Raises:
        DataError: labels that are not 0 or 1, texts without a character, or too few rows of a class.
        ConfigError: a shape that the embedder can't feed.
    """
    _check(labels)
    sparse = embedder.name == "hashed"
    if sparse and training.shape != "linear":
        raise ConfigError("hashed n-grams are too wide for two layers", "shape", "linear, or minilm or xlm-r")
    parts = split(labels, training)
    vectors = embedder.embed(labels.texts, 1).vectors
    fitted, checked = (Rows(vectors[rows], labels.label[rows]) for rows in (parts.train, parts.validation))
    if training.shape == "linear":
        layers, settled = fit_linear(fitted, checked)
    else:
        layers, settled = fit_mlp(fitted, checked, training.kind, training.mlp, training.seed)
    said = {name: value for name, value in asdict(training).items() if name not in ("mlp", "kind")}
    about = About(
        kind=training.kind,
        classes=CLASSES[training.kind],
        embedder=dict(embedder.spec),
        languages=labels.languages,
        labels_sha256=labels.sha256,
        labels=len(labels.texts),
        licence=labels.licence,
        training=said | (asdict(training.mlp) if training.shape == "published" else {}) | settled,
        thresholds=thresholds or {},
    )
    head = Head(about, layers)
    groups = labels.groups or labels.texts
    held = [groups[int(at)] for at in parts.held_out]
    measured = measure(head.scores(vectors[parts.held_out]), labels.label[parts.held_out], held)
    return Head(about.model_copy(update={"held_out": measured}), layers)


def split(labels: Labels, training: Training) -> Split:
    """Who learns, who picks, who measures: by a hash of the text or group, so that copies stay together.

    Raises:
        DataError: a class is missing somewhere.
    """
    lot = chances(labels.groups or labels.texts, "held out", training.seed)
    held = lot < training.held_out
    checked = ~held & (lot < training.held_out + training.validation)
    rows = [np.flatnonzero(part) for part in (~held & ~checked, checked, held)]
    if training.balance:
        order = chances([f"{at}\0{text}" for at, text in enumerate(labels.texts)], "balance", training.seed)
        rows[:2] = [_balanced(part, labels.label, order) for part in rows[:2]]
    for part, what in zip(rows, ("training", "validation", "held-out"), strict=True):
        if len(set(labels.label[part].tolist())) < 2:
            raise DataError(f"the {what} rows are of one class", "label", "more rows of the other class")
    return Split(*rows)


def measure(
    scores: NDArray[np.float32], label: NDArray[np.int64], groups: Sequence[str] | None = None
) -> dict[str, Measured]:
    """AUROC with a bootstrap interval over groups; accuracy at .5 and the share of class 1 with Wilson's, over rows."""
    from scipy.stats import binomtest

    from homespun.confidence.intervals import intervals

    problems = None if groups is None else np.asarray(groups, dtype=object)
    area = intervals({"head": scores}, label, problems=problems)["head"]["auroc"]
    found = {"auroc": Measured(**{name: _known(value) for name, value in area._asdict().items()})}
    for name, hits in (("accuracy", (scores >= 0.5) == (label == 1)), ("base_rate", label == 1)):
        ends = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
        found[name] = Measured(value=float(hits.mean()), low=float(ends.low), high=float(ends.high))
    return found


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _balanced(rows: NDArray[np.int64], label: NDArray[np.int64], order: NDArray[np.float64]) -> NDArray[np.int64]:
    """All rows of the smaller class and as many of the other, drawn by lot."""
    sides = [rows[label[rows] == side] for side in (0, 1)]
    size = min(map(len, sides))
    return np.sort(np.concatenate([side[np.argsort(order[side], kind="stable")[:size]] for side in sides]))


def _check(labels: Labels) -> None:
    values: Any = set(labels.label.tolist())
    if values - {0, 1}:
        raise DataError(f"label {min(values - {0, 1})}", "label", "0 or 1")
    for side in (0, 1):
        count = int((labels.label == side).sum())
        if count < LEAST:
            raise DataError(f"{count} rows with label {side}", "label", f"at least {LEAST} of each class")
    empty = next((at for at, text in enumerate(labels.texts) if not text), None)
    if empty is not None:
        raise DataError(f"row {empty} has no text", "text", "leave it out")
