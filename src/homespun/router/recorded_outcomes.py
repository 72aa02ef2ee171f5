"""From graded answers to outcomes: one row per problem and (model, strategy), with score, answer and dollars."""

import polars as pl

from homespun.errors import DataError
from homespun.models.recorded import recorded_cost_frame

KEYS = ["dataset", "id", "model", "strategy"]


def outcomes_from(verdicts: pl.DataFrame, problems: pl.DataFrame, completions: pl.DataFrame) -> pl.DataFrame:
    """Joins verdicts with questions and completions, and prices them by the convention of the recorded answers.

    A verdict without a value is ungraded, hence no outcome; an answer that could not be read is one, with score 0.

    Args:
        verdicts: dataset, id, model, strategy, answer, value.
        problems: dataset, id, question.
        completions: dataset, id, model, strategy, completion.

    Returns:
        Long table, sorted: id (``dataset/id``), dataset, prompt, model, strategy, score, cost, answer, input_tokens,
        output_tokens.

    Raises:
        DataError: verdicts of other problems or completions, or nothing graded.
        ConfigError: a model without a price.
    """
    questions = problems.select("dataset", "id", "question").unique(["dataset", "id"])
    texts = completions.select(*KEYS, "completion").unique(KEYS)
    graded = verdicts.filter(pl.col("value").is_not_null()).select(*KEYS, "answer", "value")
    joined = graded.join(questions, on=["dataset", "id"]).join(texts, on=KEYS)
    if joined.height != graded.height or not graded.height:
        what = f"{graded.height - joined.height} of {graded.height} verdicts have no question or completion"
        raise DataError(what, "outcomes", "verdicts of these problems and completions")
    return (
        recorded_cost_frame(joined)
        .select(
            pl.format("{}/{}", "dataset", "id").alias("id"),
            "dataset",
            pl.col("question").alias("prompt"),
            "model",
            "strategy",
            pl.col("value").alias("score"),
            pl.col("dollars").alias("cost"),
            "answer",
            "input_tokens",
            "output_tokens",
        )
        .sort("dataset", "id", "model", "strategy")
    )
