"""Real answers of six models, replayed: ``recorded:gpt-4`` answers as gpt-4 did in 2023, and costs what it cost then.

A completion is found by (data set, problem, strategy). For several samples the recorded variations of the same
model and strategy stand in, where there are any. What was not recorded is a sample with ``finish='error'``.

Costs follow the convention in ``data/recorded/SOURCE.md``: prompt tokens = characters of the question / 4 +
exemplars of the strategy, completion tokens = characters / 4, prices of mid-2023. Dollars are computed from
the fractions; the token counts are rounded up.
"""

from datetime import date
from functools import cache
from math import ceil
from pathlib import Path

import polars as pl

from homespun.data import path
from homespun.errors import ConfigError, DataError
from homespun.models.base import failure, reply
from homespun.records import Cost, Prompt, Sample
from homespun.runs.cost import MILLION, price

RECORDED_MODELS = (
    "code-davinci-001",
    "code-davinci-002",
    "text-davinci-002",
    "text-davinci-003",
    "gpt-3.5-turbo",
    "gpt-4",
)
RECORDED_ON = date(2023, 7, 1)
"""The day whose prices hold for recorded answers: the middle of 2023."""
EXEMPLAR_TOKENS = {"standard": 400, "cot": 900, "ltm": 1200, "pot": 900, "fcot": 2000}
"""Tokens of the exemplars that each strategy puts before the question."""
CHARACTERS_PER_TOKEN = 4


def recorded_cost(question: str, completion: str, model: str, strategy: str) -> Cost:
    """Cost of one recorded answer by the convention.

    Raises:
        ConfigError: a model without a price, or a strategy without exemplars.
    """
    if strategy not in EXEMPLAR_TOKENS:
        raise ConfigError(f"unknown strategy {strategy!r}", "recorded cost", ", ".join(EXEMPLAR_TOKENS))
    tokens_in = len(question) / CHARACTERS_PER_TOKEN + EXEMPLAR_TOKENS[strategy]
    tokens_out = len(completion) / CHARACTERS_PER_TOKEN
    dollars = price(model, RECORDED_ON).dollars(tokens_in, tokens_out)
    return Cost(input_tokens=ceil(tokens_in), output_tokens=ceil(tokens_out), dollars=dollars)


def recorded_cost_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """The same for a whole table: adds ``input_tokens``, ``output_tokens`` (rounded up) and ``dollars``.

    Args:
        frame: Columns model, strategy, completion and question; without ``question`` it is looked up by
            dataset and id among the problems that ship.

    Returns:
        The frame in its own order, with three more columns (Int64, Int64, Float64).

    Raises:
        ConfigError: a model without a price, or a strategy without exemplars.
        DataError: a question that is neither in the frame nor among the problems that ship.
    """
    for strategy in frame["strategy"].unique():
        if strategy not in EXEMPLAR_TOKENS:
            raise ConfigError(f"unknown strategy {strategy!r}", "recorded cost", ", ".join(EXEMPLAR_TOKENS))
    prices = {model: price(model, RECORDED_ON) for model in frame["model"].unique()}
    exemplars = pl.col("strategy").replace_strict(EXEMPLAR_TOKENS, return_dtype=pl.Float64)
    tokens_in = _question_length(frame) / CHARACTERS_PER_TOKEN + frame.select(exemplars).to_series()
    tokens_out = frame["completion"].str.len_chars() / CHARACTERS_PER_TOKEN
    rate_in = frame["model"].replace_strict({m: p.input for m, p in prices.items()}, return_dtype=pl.Float64)
    rate_out = frame["model"].replace_strict({m: p.output for m, p in prices.items()}, return_dtype=pl.Float64)
    return frame.with_columns(
        tokens_in.ceil().cast(pl.Int64).alias("input_tokens"),
        tokens_out.ceil().cast(pl.Int64).alias("output_tokens"),
        ((tokens_in * rate_in + tokens_out * rate_out) / MILLION).alias("dollars"),
    )


def _question_length(frame: pl.DataFrame) -> pl.Series:
    if "question" in frame.columns:
        return frame["question"].str.len_chars()
    questions = _questions(None).select("dataset", "id", pl.col("question").str.len_chars().alias("_length"))
    joined = frame.select("dataset", "id").join(questions, on=["dataset", "id"], how="left", maintain_order="left")
    if joined["_length"].null_count():
        row = joined.filter(pl.col("_length").is_null()).row(0, named=True)
        raise DataError("no question ships for this row", f"{row['dataset']}/{row['id']}", "a column 'question'")
    return joined["_length"]


class Recorded:
    """One recorded model as a `Model`.

    Args:
        model: One of `RECORDED_MODELS`.
        folder: Where greedy, variations and problems lie as Parquet; what ships unless given.

    Raises:
        ConfigError: no answers of that model were recorded.
    """

    def __init__(self, model: str, folder: Path | None = None) -> None:
        if model not in RECORDED_MODELS:
            raise ConfigError(f"no recorded model {model[:80]!r}", "recorded:", ", ".join(RECORDED_MODELS))
        self.name = f"recorded:{model}"
        self._model, self._folder = model, folder

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Replays the recorded answers to the prompt's problem; ``prompt.task`` names the data set."""
        texts, costs, reason = self._replay(prompt, n)
        answers = zip(texts, costs, strict=True)
        rows: list[Sample] = [reply(prompt, self.name, i, text, cost=cost) for i, (text, cost) in enumerate(answers)]
        return rows + [failure(prompt, self.name, index, reason) for index in range(len(rows), n)]

    def worst_case(self, prompt: Prompt, n: int = 1) -> float:
        """Dollars of the call: known exactly, since it was made in 2023."""
        return Cost.total(self._replay(prompt, n)[1]).dollars

    def _replay(self, prompt: Prompt, n: int) -> tuple[list[str], list[Cost], str]:
        dataset = prompt.task or prompt.problem_id.partition("/")[0]
        key = (dataset, prompt.problem_id.removeprefix(f"{dataset}/"), prompt.strategy)
        texts, reason = self._texts(key, n)
        question = _question_texts(self._folder).get(key[:2], "")
        return texts, [recorded_cost(question, text, self._model, prompt.strategy) for text in texts], reason

    def _texts(self, key: tuple[str, str, str], n: int) -> tuple[list[str], str]:
        where = f"{self._model} on {key[0]}/{key[1]} under {key[2]}"
        if n > 1 and (texts := _completions("variations", self._model, self._folder).get(key)):
            return texts[:n], f"only {len(texts)} variations were recorded for {where}"
        texts = _completions("greedy", self._model, self._folder).get(key, [])
        return texts, f"only one answer was recorded for {where}" if texts else f"no answer was recorded for {where}"


@cache
def _questions(folder: Path | None) -> pl.DataFrame:
    return pl.read_parquet((folder or path("recorded")) / "problems.parquet", columns=["dataset", "id", "question"])


@cache
def _question_texts(folder: Path | None) -> dict[tuple[str, str], str]:
    return {(dataset, id): question for dataset, id, question in _questions(folder).iter_rows()}


@cache
def _completions(table: str, model: str, folder: Path | None) -> dict[tuple[str, str, str], list[str]]:
    """Completions of one model by (data set, problem, strategy), in the order of the table."""
    columns = ["dataset", "id", "strategy", "completion"]
    source = pl.scan_parquet((folder or path("recorded")) / f"{table}.parquet")
    rows = source.filter(pl.col("model") == model).select(columns).collect()
    found: dict[tuple[str, str, str], list[str]] = {}
    for dataset, id, strategy, completion in rows.iter_rows():
        found.setdefault((dataset, id, strategy), []).append(completion)
    return found
