"""Outcome tables: what each model (or model and strategy) scored on each prompt, and what it cost.

The table is long, one row per prompt and arm; `Outcomes` is the same thing as matrices. An *arm* is what a
router chooses: a model, written ``model``, or a model under a strategy, written ``model/strategy``. The data
set's name is a label to learn from in training and to report by; it is never a feature of a decision.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homespun.errors import DataError
from homespun.runs.cost import price as listed_price
from homespun.runs.tables import Kind, read_table

Floats = NDArray[np.float64]
Objects = NDArray[np.object_]
Price = Callable[[str, int, int], float]

REQUIRED: dict[str, Kind] = {"prompt": "text", "model": "text", "score": "fraction"}
OPTIONAL: dict[str, Kind] = {
    "id": "text",
    "dataset": "text",
    "strategy": "text",
    "cost": "number",
    "input_tokens": "count",
    "output_tokens": "count",
    "answer": "text",
    "completion": "text",
}
TOKENS = ("input_tokens", "output_tokens")


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """Scores and costs of k arms on n prompts. NaN (or ``None`` among the texts) means *never asked*."""

    prompts: list[str]
    ids: list[str]
    datasets: list[str]
    """Label per prompt, ``""`` where unknown."""
    arms: list[str]
    """Names, ``model`` or ``model/strategy``, sorted."""
    pairs: list[tuple[str, str]]
    """The same as (model, strategy); strategy is ``""`` where there is none."""
    score: Floats
    """(n, k) in 0–1, NaN where missing."""
    cost: Floats
    """(n, k) dollars per call, NaN where missing."""
    output_tokens: Floats
    """(n, k) counts, NaN where the table does not say."""
    answers: Objects | None = None
    """(n, k) of ``str`` or ``None``; the whole is ``None`` when the table has no such column."""
    completions: Objects | None = None
    """(n, k) of ``str`` or ``None``, likewise."""

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def num_arms(self) -> int:
        """How many arms there are."""
        return len(self.arms)

    def groups(self) -> NDArray[np.int64]:
        """(n,) group number per prompt: prompts equal after `normalise` share one, whatever their id."""
        keys: dict[str, int] = {}
        return np.array([keys.setdefault(normalise(prompt), len(keys)) for prompt in self.prompts], dtype=np.int64)

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> Self:
        """The same table with these prompts only, in this order."""
        index = np.asarray(rows, dtype=np.int64)
        return type(self)(
            prompts=[self.prompts[i] for i in index],
            ids=[self.ids[i] for i in index],
            datasets=[self.datasets[i] for i in index],
            arms=self.arms,
            pairs=self.pairs,
            score=self.score[index],
            cost=self.cost[index],
            output_tokens=self.output_tokens[index],
            answers=None if self.answers is None else self.answers[index],
            completions=None if self.completions is None else self.completions[index],
        )

    def select(self, arms: Sequence[str]) -> Self:
        """The same table with these arms only, in this order.

        Raises:
            DataError: an arm is not in the table.
        """
        unknown = [arm for arm in arms if arm not in self.arms]
        if unknown:
            raise DataError(f"unknown arm {unknown[0]!r}", "arms", f"one of {', '.join(self.arms[:8])}")
        index = [self.arms.index(arm) for arm in arms]
        return type(self)(
            prompts=self.prompts,
            ids=self.ids,
            datasets=self.datasets,
            arms=list(arms),
            pairs=[self.pairs[i] for i in index],
            score=self.score[:, index],
            cost=self.cost[:, index],
            output_tokens=self.output_tokens[:, index],
            answers=None if self.answers is None else self.answers[:, index],
            completions=None if self.completions is None else self.completions[:, index],
        )


class Splits(NamedTuple):
    """Three disjoint parts of an outcome table; no prompt occurs in two of them."""

    train: Outcomes
    validation: Outcomes
    test: Outcomes


def normalise(prompt: str) -> str:
    """Unicode NFKC, case folded, runs of white space as one blank: what makes two prompts *the same*."""
    return " ".join(unicodedata.normalize("NFKC", prompt).casefold().split())


def prompt_id(prompt: str) -> str:
    """Name of a prompt that came without one: 16 hex digits of the hash of its normalised text."""
    return hashlib.sha256(normalise(prompt).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read_outcomes(path: Path | str, *, price: Price | None = None) -> Outcomes:
    """Reads and checks an outcome table (Parquet, CSV or JSONL).

    Args:
        path: Columns ``prompt``, ``model``, ``score`` (0–1) and ``cost`` (dollars) or ``input_tokens`` with
            ``output_tokens``; optional ``id``, ``dataset``, ``strategy``, ``answer``, ``completion``.
        price: Dollars of (model, input tokens, output tokens), for rows without a cost; today's row of the
            price table in `homespun.runs.cost` if not given.

    Raises:
        DataError: unreadable, empty, a column missing or of the wrong type, a score outside 0–1, a cost below
            zero or unknown, one (id, arm) twice, or one id with two prompts.
        ConfigError: a model to price that the price table does not know.
    """
    return from_frame(read_table(path, REQUIRED, OPTIONAL), where=str(path), price=price)


def from_frame(frame: pl.DataFrame, *, where: str = "outcomes", price: Price | None = None) -> Outcomes:
    """Turns a checked long table into matrices; see `read_outcomes` for columns and errors."""
    frame = _identified(frame, where)
    frame = frame.with_columns(_costs(frame, where, price).alias("cost"))
    strategy = pl.col("strategy").fill_null("") if "strategy" in frame.columns else pl.lit("")
    frame = frame.with_columns(strategy.alias("strategy")).with_columns(
        pl.when(pl.col("strategy") == "")
        .then(pl.col("model"))
        .otherwise(pl.format("{}/{}", "model", "strategy"))
        .alias("arm")
    )
    twice = frame.select("id", "arm").is_duplicated()
    if twice.any():
        row = frame.row(int(twice.arg_max() or 0), named=True)
        raise DataError(f"{row['arm']!r} scored twice on id {row['id']!r}", where, "one row per id, model and strategy")
    return _matrices(frame)


def split(
    outcomes: Outcomes, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2), *, salt: str = "homespun"
) -> Splits:
    """Train, validation and test by hash of the normalised prompt: stable under order, growth and other ids.

    Args:
        outcomes: The table.
        fractions: Shares of the three parts, summing to one.
        salt: Another salt gives another split.

    Raises:
        DataError: a part with a share above zero would be empty, or the shares do not sum to one.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise DataError(f"shares {fractions} do not sum to one", "split", "for instance 0.6, 0.2, 0.2")
    place = np.array([_uniform(prompt, salt) for prompt in outcomes.prompts])
    edges = np.cumsum(fractions)[:2]
    part = np.searchsorted(edges, place, side="right")
    parts = [np.flatnonzero(part == i) for i in range(3)]
    for share, rows, name in zip(fractions, parts, Splits._fields, strict=True):
        if share > 0 and len(rows) == 0:
            raise DataError(f"{len(outcomes)} prompts leave the {name} part empty", "split", "more prompts")
    return Splits(*(outcomes.take(rows) for rows in parts))


def _uniform(prompt: str, salt: str) -> float:
    """A number in [0, 1) that depends on the normalised prompt and the salt alone."""
    digest = hashlib.sha256(f"{salt}\0{normalise(prompt)}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _identified(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Adds missing ids, tells equal ids of two data sets apart, refuses one id with two prompts."""
    blank = frame["prompt"].str.strip_chars() == ""
    if blank.any():
        raise DataError(f"row {blank.arg_max()} has a blank prompt", f"{where}, column 'prompt'", "leave the row out")
    if "dataset" not in frame.columns:
        frame = frame.with_columns(pl.lit("").alias("dataset"))
    frame = frame.with_columns(pl.col("dataset").fill_null(""))
    if "id" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("id"))
    texts = frame.filter(pl.col("id").is_null())["prompt"].unique()
    names = {text: prompt_id(text) for text in texts}
    frame = frame.with_columns(pl.coalesce("id", pl.col("prompt").replace_strict(names, default=None)).alias("id"))
    shared = frame.group_by("id").agg(pl.col("dataset").n_unique().alias("num")).filter(pl.col("num") > 1)["id"]
    qualified = pl.format("{}/{}", "dataset", "id")
    frame = frame.with_columns(
        pl.when(pl.col("id").is_in(shared.implode())).then(qualified).otherwise("id").alias("id")
    )
    mixed = frame.group_by("id", maintain_order=True).agg(pl.col("prompt").n_unique().alias("num"))
    mixed = mixed.filter(pl.col("num") > 1)["id"]
    if len(mixed) and not all(_same(frame, name) for name in mixed):
        raise DataError(f"id {mixed[0]!r} names two different prompts", where, "one id per prompt")
    return frame


def _same(frame: pl.DataFrame, name: str) -> bool:
    return len({normalise(text) for text in frame.filter(pl.col("id") == name)["prompt"]}) == 1


def _costs(frame: pl.DataFrame, where: str, price: Price | None) -> pl.Series:
    """Dollars per row: the column where it speaks, else priced from the tokens."""
    has_tokens = all(name in frame.columns for name in TOKENS)
    if "cost" not in frame.columns and not has_tokens:
        raise DataError("neither 'cost' nor 'input_tokens' and 'output_tokens'", where, "add one of them")
    given = frame["cost"] if "cost" in frame.columns else pl.Series("cost", [None] * frame.height, dtype=pl.Float64)
    if (given.drop_nulls() < 0).any():
        raise DataError("a cost is below zero", f"{where}, column 'cost'", "dollars from 0")
    if not given.null_count():
        return given
    price = price or _listed_price
    costs: list[float | None] = given.to_list()
    inputs, outputs = ([*frame[name]] if has_tokens else [None] * frame.height for name in TOKENS)
    for row, (read, written) in enumerate(zip(inputs, outputs, strict=True)):
        if costs[row] is not None:
            continue
        if read is None or written is None:
            raise DataError(f"row {row} has neither a cost nor its tokens", where, "fill one of them")
        costs[row] = price(frame["model"][row], int(read), int(written))
    return pl.Series("cost", costs, dtype=pl.Float64)


def _listed_price(model: str, input_tokens: int, output_tokens: int) -> float:
    return listed_price(model).dollars(input_tokens, output_tokens)


def _matrices(frame: pl.DataFrame) -> Outcomes:
    heads = frame.unique("id", keep="first", maintain_order=True)
    arms = frame.select("arm", "model", "strategy").unique().sort("arm")
    row_of = {name: i for i, name in enumerate(heads["id"])}
    arm_of = {name: j for j, name in enumerate(arms["arm"])}
    rows = frame["id"].replace_strict(row_of, return_dtype=pl.Int64).to_numpy()
    columns = frame["arm"].replace_strict(arm_of, return_dtype=pl.Int64).to_numpy()
    shape = (heads.height, arms.height)

    def numbers(name: str) -> Floats:
        table = np.full(shape, np.nan)
        if name in frame.columns:
            table[rows, columns] = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return table

    def texts(name: str) -> Objects | None:
        if name not in frame.columns:
            return None
        table = np.full(shape, None, dtype=object)
        table[rows, columns] = np.array(frame[name].to_list(), dtype=object)
        return table

    return Outcomes(
        prompts=heads["prompt"].to_list(),
        ids=heads["id"].to_list(),
        datasets=heads["dataset"].to_list(),
        arms=arms["arm"].to_list(),
        pairs=list(zip(arms["model"].to_list(), arms["strategy"].to_list(), strict=True)),
        score=numbers("score"),
        cost=numbers("cost"),
        output_tokens=numbers("output_tokens"),
        answers=texts("answer"),
        completions=texts("completion"),
    )
