"""Votes from outside are hostile until checked: one line says what is wrong and where."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homespun.arena import Config, leaderboard, read_votes
from homespun.arena.votes_table import count
from homespun.errors import ConfigError, DataError

ROWS = [("x", "y", "model_a", 3), ("y", "x", "model_a", 1), ("y", "z", "tie", 2), ("z", "x", "both_bad", 2)]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_three_formats_give_one_table(suffix, write, tmp_path: Path) -> None:
    frame, path = write(ROWS).with_columns(topic=pl.lit("web")), tmp_path / f"votes{suffix}"
    {".parquet": frame.write_parquet, ".csv": frame.write_csv, ".jsonl": frame.write_ndjson}[suffix](path)
    assert read_votes(path).equals(write(ROWS))
    assert read_votes(path, {"topic": "text"}).equals(frame)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (("x", "y", "left"), r"column 'winner': row 8 has 'left'; try: one of model_a, model_b, tie, both_bad"),
        (("x", "x", "tie"), r"column 'model_b': row 8 has 'x'; try: two different models"),
        (("", "y", "tie"), r"column 'model_a': row 8 has ''"),
        (("x", "  ", "tie"), r"column 'model_b': row 8 has ' '"),
        (("x", None, "tie"), r"column 'model_b': row 8 has no value"),
        (("x", "y", None), r"column 'winner': row 8 has no value"),
        (("x", "y", "Model_A" * 20), r"row 8 has 'Model_A"),
    ],
)
def test_what_is_no_vote_is_named(row, what, write, tmp_path: Path) -> None:
    frame = pl.concat([write(ROWS), pl.DataFrame([row], schema=write(ROWS).schema, orient="row")])
    frame.write_parquet(tmp_path / "votes.parquet")
    with pytest.raises(DataError, match=what) as caught:
        read_votes(tmp_path / "votes.parquet")
    assert len(str(caught.value)) < 400


def test_a_wanted_column_must_be_there_and_a_propensity_be_a_chance(write, tmp_path: Path) -> None:
    write(ROWS).with_columns(propensity=pl.lit(1.5)).write_csv(tmp_path / "votes.csv")
    with pytest.raises(DataError, match=r"column 'propensity': row 0 is 1\.5"):
        read_votes(tmp_path / "votes.csv")
    write(ROWS).write_csv(tmp_path / "votes.csv")
    with pytest.raises(DataError, match="missing column 'topic'"):
        read_votes(tmp_path / "votes.csv", {"topic": "text"})


def test_counts_put_every_vote_into_its_cell(write) -> None:
    counts = count(write(ROWS))
    assert counts.models == ["x", "y", "z"]
    pairs = list(zip(counts.pairs.first_P, counts.pairs.second_P, strict=True))
    assert pairs == [(0, 1), (0, 2), (1, 2)]
    assert counts.weighted_3P.tolist() == [[3, 0, 0], [1, 0, 0], [0, 2, 2]]
    assert counts.votes_M.tolist() == [6, 6, 4]
    assert counts.num_votes == 8


def test_counts_equal_a_plain_loop(simulate) -> None:
    votes = simulate(list(np.linspace(-1, 1, 7)), 500, ties=0.3)
    counts = count(votes)
    wanted = np.zeros((3, 7, 7))
    for a, b, winner in votes.iter_rows():
        one, other = sorted((int(a[1:]), int(b[1:])))
        outcome = 2 if winner == "tie" else int((winner == "model_a") != (int(a[1:]) == one))
        wanted[outcome, one, other] += 1
    assert (wanted[:, counts.pairs.first_P, counts.pairs.second_P] == counts.weighted_3P).all()
    assert wanted.sum() == counts.weighted_3P.sum() == 500


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"method": "elo"}, "unknown method"),
        ({"setting": "odd"}, "unknown setting"),
        ({"bootstrap": 3}, "3 resamples say nothing"),
        ({"bootstrap": -1}, "-1 resamples"),
        ({"level": 1.0}, "no coverage"),
        ({"anchor": ("x", float("nan"))}, "no rating"),
    ],
)
def test_a_configuration_without_sense_is_refused(options, what, write) -> None:
    with pytest.raises(ConfigError, match=what):
        leaderboard(write(ROWS), Config(**options))


def test_names_are_only_text(tmp_path: Path) -> None:
    """Numbers, mathematics, markup and columns of our own names are names like any other."""
    names = ["7", "$x^$", "[bold]", "a\nb", "__weight__"]
    rows = [{"model_a": a, "model_b": b, "winner": "tie", "__weight__": 5} for a in names for b in names if a != b]
    (tmp_path / "votes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    board = leaderboard(read_votes(tmp_path / "votes.jsonl"))
    assert {row["model"] for row in board.rows} == set(names)
    assert board.fits[0]["votes"] == 20
