"""The stage `calibrate`: samples with verdicts in; consistency, its calibration and fitted maps out, as a run.

Samples of one (data set, problem, model), and of one value of every by-column, are a group: their answers vote, the
winner's correctness is what its verdicts say, and the measures of `homespun.confidence.consistency` are scored against
it as they are: raw consistencies, not probabilities. Beside them stand the same scores after Platt's map, each group
mapped by a fit that saw no sample of its problem. Lyu et al., arXiv:2402.13904; the maps are our extension.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import polars as pl

from homespun.confidence.calibrators import Calibrator, Key, cross_fit, fit_groups, fold_numbers
from homespun.confidence.consistency import MEASURES, Measure, Mode, score_groups
from homespun.confidence.intervals import intervals
from homespun.confidence.maps import Config, Platt
from homespun.confidence.scores import Floats, auroc, brier, ece, reliability
from homespun.confidence.verdicts import KEYS, read_votes
from homespun.errors import ConfigError, DataError
from homespun.runs.run import RunFolder, open_run
from homespun.runs.tables import atomic

FOLDS = 5
SCORED = ("brier", "ece", "auroc", "skill")
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class CalibrateResult:
    """What `calibrate` found."""

    rows: list[Row]
    """Per combination of the by-columns and measure, sorted: n_groups, brier, ece, bins, auroc, skill with ``_low``
    and ``_high``, brier_base, and platt_brier, platt_ece, platt_auroc over the n_platt groups that could be
    mapped (null where there were too few to fit)."""
    reliability: pl.DataFrame
    """Columns measure, the by-columns, bin, low, high, n, confidence, accuracy."""
    groups: pl.DataFrame
    """Per group: its keys, n, n_invalid, n_ungraded, n_distinct, answer, correct (null: unknown), the measures."""
    calibrators: tuple[Calibrator, ...]
    """A map per measure, model, data set and number of samples."""
    run: Path
    """The run's folder."""


def calibrate(
    samples: Path,
    *,
    problems: Path | None = None,
    verdicts: Path | None = None,
    measures: Sequence[Measure | Literal["all"]] = MEASURES,
    by: Sequence[str] = (),
    mode: Mode = "strict",
    bins: int = 10,
    grader: str | None = None,
    config: Config | None = None,
    root: Path | None = None,
    seed: int = 0,
) -> CalibrateResult:
    """Measures the consistency of sampled answers against their correctness; a finished run returns at once.

    Args:
        samples: Table with dataset, id, model; several rows per problem, told apart by strategy, variant or sample.
        problems: Without verdicts: gold answers by which the samples' ``answer`` column is graded.
        verdicts: Verdicts on the samples: the same keys, answer and value.
        measures: Any of agreement, entropy, fsd; or all.
        by: Columns to report by; those that aren't dataset, id or model also split the votes.
        mode: How unreadable answers count, see `homespun.confidence.consistency`.
        bins: Equal-width bins of ECE and reliability.
        grader: Grader for data sets without one, when grading here.
        config: Kind of the fitted maps; Platt if not given.
        root: Folder of runs.
        seed: Of bootstrap and folds.

    Raises:
        ConfigError: an unknown measure or mode, or fewer than 1 bin.
        DataError: a table is wrong, or no group's correctness is known.
    """
    chosen, fitting = _chosen(measures), config or Platt()
    if mode not in ("strict", "paper"):
        raise ConfigError(f"unknown mode {mode!r}", "mode", "strict or paper")
    if bins < 1:
        raise ConfigError(f"{bins} bins", "bins", "at least 1")
    groups = vote(read_votes(samples, verdicts=verdicts, problems=problems, by=by, mode=mode, grader=grader), by, mode)
    if groups["correct"].null_count() == groups.height:
        raise DataError("no group's correctness is known", str(verdicts or problems), "verdicts with values")
    settings = {"measures": chosen, "by": list(by), "mode": mode, "bins": bins, "grader": grader, "map": repr(fitting)}
    files = {"samples": samples, "verdicts": verdicts, "problems": problems}
    inputs = {name: path for name, path in files.items() if path is not None}
    with open_run("calibrate", samples.stem, config=settings, inputs=inputs, seed=seed, root=root) as run:
        if not run.done:
            _work(run, groups, chosen, by, mode, bins, fitting, seed)
        return _read(run)


def vote(samples: pl.DataFrame, by: Sequence[str] = (), mode: Mode = "strict") -> pl.DataFrame:
    """Votes, measures and correctness of every group.

    Args:
        samples: As from `homespun.confidence.verdicts.read_votes`.
        by: Columns that split the votes, beside dataset, id and model.
        mode: How unreadable answers count.

    Returns:
        One row per group, sorted by its keys; see `CalibrateResult.groups`. Groups without a judged sample are left
        out, correct is 0 where no answer could be read.
    """
    keys = [*KEYS, *(name for name in by if name not in KEYS)]
    unknown = pl.col("answer").is_null() & pl.col("value").is_null()
    left_out = samples.filter(unknown).group_by(keys).agg(n_ungraded=pl.len().cast(pl.Int64))
    judged = samples.filter(~unknown)
    right = judged.drop_nulls("answer").group_by(*keys, "answer").agg(correct=pl.col("value").mean())
    found = score_groups(judged, keys, mode=mode).join(right, on=[*keys, "answer"], how="left", nulls_equal=True)
    # alike answers are judged alike but for a grader's slip; then the majority of the verdicts counts
    correct = pl.when(pl.col("answer").is_null()).then(0.0).otherwise((pl.col("correct") >= 0.5).cast(pl.Float64))
    return (
        found.with_columns(correct=correct)
        .join(left_out, on=keys, how="left", nulls_equal=True)
        .with_columns(pl.col("n_ungraded").fill_null(0))
        .select(*keys, "n", "n_invalid", "n_ungraded", "n_distinct", "answer", "correct", *MEASURES)
        .sort(*keys)
    )


def _chosen(measures: Sequence[str]) -> list[Measure]:
    if unknown := [name for name in measures if name not in (*MEASURES, "all")]:
        raise ConfigError(f"unknown measure {unknown[0]!r}", "measures", f"{', '.join(MEASURES)} or all")
    if not measures:
        raise ConfigError("no measure was asked for", "measures", f"{', '.join(MEASURES)} or all")
    return [name for name in MEASURES if name in measures or "all" in measures]


def _work(
    run: RunFolder,
    groups: pl.DataFrame,
    measures: Sequence[Measure],
    by: Sequence[str],
    mode: Mode,
    bins: int,
    config: Config,
    seed: int,
) -> None:
    known = groups.drop_nulls("correct")
    parts = known.partition_by(by, maintain_order=True) if by else [known]
    rows = [row for part in parts for row in _rows(part, measures, by, mode, bins, config, seed)]
    curves = [_curve(part, name, by, bins) for part in parts for name in measures]
    maps = [made for name in measures for made in _maps(known, name, mode, config)]
    run.write("groups", groups)
    run.write("rows", pl.DataFrame(rows, infer_schema_length=None).sort(*by, "measure", nulls_last=True))
    run.write("reliability", pl.concat(curves).sort("measure", *by, "bin", nulls_last=True))
    with atomic(run.path / "calibrators.json") as temporary:
        temporary.write_text(json.dumps([made.model_dump() for made in maps], indent=1, sort_keys=True) + "\n")
    run.finish(metrics={"groups": known.height, "groups_without_verdict": groups.height - known.height})


def _read(run: RunFolder) -> CalibrateResult:
    made = json.loads((run.path / "calibrators.json").read_text())
    return CalibrateResult(
        rows=run.read("rows").to_dicts(),
        reliability=run.read("reliability"),
        groups=run.read("groups"),
        calibrators=tuple(Calibrator.model_validate(item) for item in made),
        run=run.path,
    )


def _rows(
    part: pl.DataFrame, measures: Sequence[Measure], by: Sequence[str], mode: Mode, bins: int, config: Config, seed: int
) -> list[Row]:
    right = part["correct"].to_numpy()
    scores = {name: part[name].to_numpy() for name in measures}
    problems = part.select(pl.struct("dataset", "id").rle_id())["dataset"].to_numpy()
    found = intervals(scores, right, bins=bins, problems=problems, seed=seed)
    rows: list[Row] = []
    for name in measures:
        row: Row = {column: part[column][0] for column in by}
        row |= {"measure": name, "mode": mode, "reads_as": "raw consistency", "n_groups": part.height, "bins": bins}
        for score in SCORED:
            value = found[name][score]
            row |= {score: value.value, f"{score}_low": value.low, f"{score}_high": value.high}
        row["brier_base"] = found[name]["brier_base"].value
        row |= _mapped(part, name, mode, problems, bins, config, seed)
        rows.append({key: None if isinstance(item, float) and np.isnan(item) else item for key, item in row.items()})
    return rows


def _mapped(
    part: pl.DataFrame, name: Measure, mode: Mode, problems: Floats, bins: int, config: Config, seed: int
) -> Row:
    """Scores of cross-fitted maps, one per number of samples, over the groups whose number is frequent enough."""
    counts, scores, right = (part[column].to_numpy() for column in ("n", name, "correct"))
    mapped = np.full(len(scores), np.nan)
    for n in np.unique(counts):
        own = counts == n
        if _enough(problems[own], config, seed):
            key = Key(measure=name, n=int(n), mode=mode)
            mapped[own] = cross_fit(config, key, scores[own], right[own], problems[own], folds=FOLDS, seed=seed)
    done = ~np.isnan(mapped)
    row: Row = {f"n_{config.kind}": int(done.sum())}
    row |= {f"{config.kind}_{score}": None for score in ("brier", "ece", "auroc")}
    if done.any():
        row[f"{config.kind}_brier"] = brier(mapped[done], right[done])
        row[f"{config.kind}_ece"] = ece(mapped[done], right[done], bins)
        row[f"{config.kind}_auroc"] = auroc(mapped[done], right[done])
    return row


def _enough(problems: Floats, config: Config, seed: int) -> bool:
    if len(np.unique(problems)) < FOLDS:
        return False
    folds = fold_numbers(problems, folds=FOLDS, seed=seed)
    return len(problems) - int(np.bincount(folds).max()) >= config.fewest


def _curve(part: pl.DataFrame, name: Measure, by: Sequence[str], bins: int) -> pl.DataFrame:
    curve = reliability(part[name].to_numpy(), part["correct"].to_numpy(), bins)
    labels = [pl.lit(part[column][0], dtype=part.schema[column]).alias(column) for column in by]
    return curve.select(pl.lit(name).alias("measure"), *labels, pl.all())


def _maps(known: pl.DataFrame, name: Measure, mode: Mode, config: Config) -> list[Calibrator]:
    """A map per model, data set, n and, where votes were split by it, strategy."""
    prompt = "strategy" if "strategy" in known.columns else None
    columns = ["model", "dataset", "n", *([prompt] if prompt else [])]
    made: dict[tuple[Any, ...], Key] = {}
    keys: list[Key] = []
    for row in known.select(columns).iter_rows():
        if row not in made:
            fields = dict(zip(("model", "task", "n", "prompt"), row, strict=False))
            made[row] = Key(measure=name, mode=mode, **cast("Row", fields))
        keys.append(made[row])
    fitted = fit_groups(config, keys, known[name].to_numpy(), known["correct"].to_numpy())
    order = sorted(fitted, key=lambda key: (key.model or "", key.task or "", key.n, key.prompt or ""))
    return [fitted[key] for key in order]
