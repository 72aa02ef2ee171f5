"""Question: on real recorded answers, what does fusion buy over the best single (model, strategy) pair, for what money?

Hypothesis, before running: agreement between different strategies of a cheap model settles most questions; what is left
goes to dearer arms; a cell's cascade, planned by backward induction over sets of paid arms, beats the best pair by 4.5
points at 0.4 of its cost, and meets it at 0.15. Taxonomy or predictor alone choose one arm and cannot reach that.

    homespun grade --problems P --completions C --out verdicts.parquet
    python experiments/0005_fusion.py verdicts.parquet --out fusion.json

The split of the product (salt ``homespun``) is the result; the other salts say how far the test split moves it.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from homespun.data import path
from homespun.router import fit as stage
from homespun.router import outcomes_from

DATASETS = ("gsm8k", "svamp", "strategyqa", "date", "sports")
SALTS = ("homespun", "first", "second", "third")


def outcomes(verdicts: Path, place: Path) -> Path:
    """The long table of outcomes of the five data sets."""
    chosen = pl.col("dataset").is_in(DATASETS)
    folder = path("recorded")
    frame = outcomes_from(
        pl.read_parquet(verdicts).filter(chosen),
        pl.read_parquet(folder / "problems.parquet").filter(chosen),
        pl.read_parquet(folder / "greedy.parquet").filter(chosen),
    )
    frame.write_parquet(place)
    return place


def run(table: Path, folder: Path, salt: str) -> dict[str, Any]:
    """Fits and evaluates under one split."""
    router = stage.fit(table, folder / f"router-{salt}", salt=salt)
    result = stage.evaluate(router.path, table, root=folder / "runs")
    singles = [row for row in result.rows if row["kind"] == "single"]
    best = max(singles, key=lambda row: row["score"])
    return {
        "salt": salt,
        "n": result.n,
        "best": best,
        "calibration": router.calibration,
        "summary": router.summary(),
        "rows": result.rows,
        "differences": result.differences,
        "short": {
            row["name"]: {"gain": round(row["score"] - best["score"], 4), "ratio": round(row["cost"] / best["cost"], 4)}
            for row in result.rows
            if row["kind"] in ("fusion", "part")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verdicts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--salts", nargs="*", default=list(SALTS))
    chosen = parser.parse_args()
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        table = outcomes(chosen.verdicts, Path(name) / "outcomes.parquet")
        for salt in chosen.salts:
            found.append(run(table, Path(name), salt))
            chosen.out.write_text(json.dumps(found, indent=1))
            print(salt, json.dumps(found[-1]["short"]))


if __name__ == "__main__":
    main()
