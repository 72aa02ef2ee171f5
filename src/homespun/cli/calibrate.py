"""`homespun calibrate`: samples in, confidence measures with their calibration out."""

from pathlib import Path
from typing import Any, Literal, cast, get_args

from homespun.cli.output import Dry, Json, Runs, progress, show_json, show_plan, show_rows
from homespun.errors import ConfigError

Measure = Literal["agreement", "entropy", "fsd"]
MEASURES: tuple[str, ...] = get_args(Measure)
COLUMNS = {
    "measure": "",
    "mode": "",
    "n_groups": ",d",
    "brier": ".4f",
    "brier_base": ".4f",
    "ece": ".4f",
    "bins": "d",
    "auroc": ".4f",
}


def calibrate(
    *,
    samples: Path,
    problems: Path | None = None,
    verdicts: Path | None = None,
    measure: str = "all",
    by: str = "",
    mode: Literal["strict", "paper"] = "strict",
    bins: int = 10,
    grader: str | None = None,
    runs: Runs = None,
    dry: Dry = False,
    as_json: Json = False,
) -> None:
    """Measure how far agreement among samples tells right answers from wrong ones.

    Args:
        samples: Table with columns dataset, id, model, and completion or answer; several rows per problem,
            told apart by strategy, variant or sample.
        problems: Gold answers (dataset, id, question, gold); the samples are graded first.
        verdicts: Or the rows that `homespun grade --out` wrote for these samples.
        measure: agreement, entropy, fsd, or all; several with commas.
        by: Columns to report by, with commas: model,dataset,strategy.
        mode: strict (default) or paper.
        bins: Equal-width bins of the calibration error.
        grader: Grader for data sets that homespun does not know.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        dry: Only say what would be done.
        as_json: Print one JSON object.
    """
    from homespun.recipes import loop

    if (problems is None) == (verdicts is None):
        raise ConfigError(
            "one of --problems and --verdicts is needed, not both", "calibrate", "--problems problems.parquet"
        )
    request = loop.Calibration(
        samples=samples,
        problems=problems,
        verdicts=verdicts,
        measures=_measures(measure),
        by=_words(by),
        mode=mode,
        bins=bins,
        grader=grader,
    )
    if dry:
        show_plan(request.settings(), {"samples": samples, "problems": problems, "verdicts": verdicts})
        return
    with progress("calibrating") as advance:
        result = request.run(root=runs, progress=advance)
    if as_json:
        show_json({"rows": result.rows, "run": str(result.run)})
        return
    _show(result.rows, request.by)
    print(f"\nraw consistency, not yet a probability; fitted maps are in the run: {result.run}")


def _measures(text: str) -> tuple[Measure | Literal["all"], ...]:
    words = _words(text)
    if not words or any(word not in (*MEASURES, "all") for word in words):
        raise ConfigError(f"unknown measure {text!r}", "--measure", f"{', '.join(MEASURES)} or all")
    return cast(tuple[Measure | Literal["all"], ...], words)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _show(rows: list[dict[str, Any]], by: tuple[str, ...]) -> None:
    show_rows(rows, dict.fromkeys(by, "") | COLUMNS)
