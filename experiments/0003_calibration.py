"""Question: on recorded answers, does consistency foretell correctness, and which measure does it best?

Expected from arXiv:2402.13904: for completion models agreement has the lowest Brier score, for chat models tuned on
human preference FSD or entropy; each beats the constant base rate. This was written down after a first table of raw
and mapped scores had been seen, so that it is the paper's expectation put beside the data and no prediction of ours.
Our samples are not the paper's: five prompting strategies, one greedy completion each, or eight prompts of one
strategy, instead of 40 draws of one prompt; so the ranking may change.

    homespun grade --problems P --completions greedy.parquet --out greedy-verdicts.parquet      (and variations)
    python experiments/0003_calibration.py greedy-verdicts.parquet variations-verdicts.parquet

writes docs/papers/consistency-calibration.md and the plots beside it. No number on that page was typed.
"""

import argparse
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from homespun.confidence.adaptive import BetaStop, UnanimityStop, simulate
from homespun.confidence.calibrate import CalibrateResult, calibrate
from homespun.confidence.calibrators import Key, cross_fit
from homespun.confidence.consistency import MEASURES
from homespun.confidence.guidance import recommend
from homespun.confidence.intervals import Interval, intervals
from homespun.confidence.maps import Config, Isotonic, Platt
from homespun.confidence.scores import murphy, reliability
from homespun.data import path

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "papers" / "consistency-calibration.md"
CHAT = ("gpt-3.5-turbo", "gpt-4")
TUNED = ("text-davinci-002", "text-davinci-003")
BINS = 10
Row = dict[str, Any]


def kind(model: str) -> str:
    """How the model was tuned, as far as its maker said."""
    return "chat" if model in CHAT else "instruct" if model in TUNED else "base"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A score to three places, with its interval."""
    if value is None or np.isnan(value):
        return "–"
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def measured(rows: Sequence[Row], by: str) -> str:
    """Brier, ECE and AUROC of the three measures, beside the constant base rate."""
    lines: list[list[str]] = []
    for row in rows:
        scores = [shown(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("brier", "ece", "auroc")]
        lines.append([row[by], row["measure"], f"{row['n_groups']:,}", *scores, shown(row["brier_base"])])
    header = [by, "measure", "groups", "Brier", f"ECE ({BINS} bins)", "AUROC", "Brier of the base rate"]
    return table(header, lines)


def paired(groups: pl.DataFrame) -> dict[str, dict[str, Interval]]:
    """Scores of the measures on the same resampled problems, and of their differences."""
    scores = {name: groups[name].to_numpy() for name in MEASURES}
    return intervals(scores, groups["correct"].to_numpy(), bins=BINS, problems=labels(groups))


def labels(groups: pl.DataFrame) -> Any:
    """A label per row, equal for rows of one problem."""
    return groups.select(pl.concat_str("dataset", "id", separator="/"))["dataset"].to_numpy()


def mapped(groups: pl.DataFrame, measure: str, config: Config, columns: Sequence[str]) -> np.ndarray:
    """Cross-fitted probabilities, one map per value of the columns and number of samples.

    Where there are too few items for a map of their own, that of all items with the same number of samples is taken;
    NaN where even these are too few.
    """
    found = mapped(groups, measure, config, ()) if columns else np.full(groups.height, np.nan)
    for part in groups.with_row_index("row").partition_by(*columns, "n"):
        key = Key(measure=measure, n=int(part["n"][0]))
        scores, right = part[measure].to_numpy(), part["correct"].to_numpy()
        if part.height * 4 // 5 >= config.fewest:
            found[part["row"].to_numpy()] = cross_fit(config, key, scores, right, labels(part))
    return found


def calibrated(groups: pl.DataFrame, by: str) -> str:
    """Raw agreement beside cross-fitted maps, with the paired gain in Brier score."""
    lines: list[list[str]] = []
    for (name,), part in groups.partition_by(by, as_dict=True, maintain_order=True).items():
        columns = {
            "raw": part["agreement"].to_numpy(),
            "Platt": mapped(part, "agreement", Platt(), ()),
            "Platt per data set": mapped(part, "agreement", Platt(), ["dataset"]),
            "isotonic per data set": mapped(part, "agreement", Isotonic(), ["dataset"]),
        }
        columns = {label: values for label, values in columns.items() if not np.isnan(values).all()}
        known = ~np.isnan(np.column_stack(list(columns.values()))).any(axis=1)
        kept = {label: values[known] for label, values in columns.items()}
        right = part["correct"].to_numpy()[known]
        found = intervals(kept, right, bins=BINS, problems=labels(part)[known])
        for label in kept:
            gain = "" if label == "raw" else shown(*found[f"raw-{label}"]["brier"])
            scores = [shown(*found[label][score]) for score in ("brier", "ece", "auroc")]
            lines.append([str(name), label, f"{len(right):,}", *scores, gain, shown(*found[label]["skill"])])
    header = [by, "map of agreement", "groups", "Brier", f"ECE ({BINS} bins)", "AUROC", "Brier gained", "skill"]
    return table(header, lines)


def split(groups: pl.DataFrame) -> str:
    """Murphy's partition of the Brier score of agreement, per model."""
    lines = [
        [str(name), *(shown(value) for value in murphy(part["agreement"].to_numpy(), part["correct"].to_numpy()))]
        for (name,), part in groups.partition_by("model", as_dict=True, maintain_order=True).items()
    ]
    return table(["model", "reliability", "resolution", "uncertainty"], lines)


def guidance(groups: pl.DataFrame) -> tuple[str, list[str]]:
    """What the paper favours for each kind of model, what wins here, and by how much."""
    lines: list[list[str]] = []
    agree: list[str] = []
    for (model,), part in groups.partition_by("model", as_dict=True, maintain_order=True).items():
        name = str(model)
        advised = recommend("chat" if kind(name) == "chat" else "base", False, 5, False)
        found = paired(part)
        best = {score: min(MEASURES, key=lambda m: found[m][score].value) for score in ("brier", "ece")}
        sharpest = max(MEASURES, key=lambda m: found[m]["auroc"].value)
        gaps = [shown(*found[f"agreement-{other}"]["brier"]) for other in ("entropy", "fsd")]
        ranks = [shown(*found[f"agreement-{other}"]["auroc"]) for other in ("entropy", "fsd")]
        said = advised if kind(name) != "instruct" else "no clear winner"
        lines.append([name, kind(name), said, best["brier"], sharpest, *gaps, *ranks])
        if kind(name) != "instruct" and best["brier"] == advised:
            agree.append(name)
    header = ["model", "kind", "paper favours", "best Brier", "best AUROC"]
    header += ["Brier: agreement − entropy", "agreement − FSD", "AUROC: agreement − entropy", "agreement − FSD"]
    return table(header, lines), agree


def saved(samples: pl.DataFrame, keys: Sequence[str], repeats: int) -> str:
    """What early stopping would have drawn and kept."""
    found = simulate(samples, keys, [BetaStop(), BetaStop(threshold=0.8, name="beta at .8"), UnanimityStop()],
                     repeats=repeats)  # fmt: skip
    lines = [
        [row["rule"], f"{row['samples']:.2f}", f"{row['saving']:.2f} ×", f"{row['accuracy'] * 100:.1f} %",
         f"{row['kept'] * 100:+.2f}", f"{row['same'] * 100:.1f} %"]
        for row in found.to_dicts()
    ]  # fmt: skip
    return table(["rule", "samples drawn", "saving", "accuracy", "points kept", "same answer as all"], lines)


def plot(groups: pl.DataFrame, by: str, target: Path) -> None:
    """Reliability curves of the measures and of the cross-fitted map, a panel per value of ``by``."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    parts = groups.partition_by(by, as_dict=True, maintain_order=True)
    columns = min(3, len(parts))
    rows = -(-len(parts) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 3.7 * rows), squeeze=False, layout="constrained")
    for axis, ((name,), part) in zip(axes.flat, parts.items(), strict=False):
        right = part["correct"].to_numpy()
        curves: Mapping[str, np.ndarray] = {measure: part[measure].to_numpy() for measure in MEASURES}
        curves = {**curves, "agreement, Platt (cross-fitted)": mapped(part, "agreement", Platt(), ["dataset"])}
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
        for label, values in curves.items():
            known = ~np.isnan(values)
            if known.any():
                curve = reliability(values[known], right[known], BINS).drop_nulls().filter(pl.col("n") >= 20)
                axis.plot(curve["confidence"], curve["accuracy"], marker="o", markersize=3, label=label)
        axis.axhline(right.mean(), color="0.7", linewidth=1, linestyle=":")
        axis.set(title=str(name), xlabel="raw consistency, or mapped probability", ylabel="share right",
                 xlim=(0, 1), ylim=(0, 1))  # fmt: skip
    axes.flat[0].legend(fontsize=7, loc="upper left")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110, metadata={"Software": None})
    plt.close(figure)


def verdict_counts(groups: pl.DataFrame) -> str:
    """What was voted on."""
    found = groups.group_by("dataset").agg(
        pl.len().alias("groups"), pl.col("n").sum(), pl.col("n_invalid").sum(), pl.col("n_ungraded").sum(),
        pl.col("correct").mean(),
    ).sort("dataset")  # fmt: skip
    lines = [
        [row["dataset"], f"{row['groups']:,}", f"{row['n']:,}", f"{row['n_invalid']:,}", f"{row['n_ungraded']:,}",
         f"{row['correct'] * 100:.1f} %"]
        for row in found.to_dicts()
    ]  # fmt: skip
    return table(["data set", "groups", "samples", "without an answer", "left out, ungraded", "majority right"], lines)


def summary(strategies: CalibrateResult, agree: list[str], variants: CalibrateResult) -> str:
    """The findings in words, each chosen by the numbers."""
    groups = strategies.groups.drop_nulls("correct")
    raw = [row for row in strategies.rows if row["measure"] == "agreement"]
    beat = [row["model"] for row in raw if row["skill_low"] > 0]
    poor = {name: [row["model"] for row in strategies.rows if row["measure"] == name and row["skill_high"] < 0]
            for name in MEASURES}  # fmt: skip
    best = {row["model"]: min((r for r in strategies.rows if r["model"] == row["model"]), key=lambda r: r["brier"])
            for row in raw}  # fmt: skip
    wins = sum(row["measure"] == "agreement" for row in best.values())
    judged = [model for model in best if kind(model) != "instruct"]
    aurocs = [row["auroc"] for row in raw]
    eces = [row["platt_ece"] for row in raw if row["platt_ece"] is not None]
    pooled = {row["measure"]: row for row in variants.rows if row["dataset"] == "gsm8k"}
    return "\n".join(
        [
            f"- Across {groups.height:,} groups of five strategies, agreement has the lowest Brier score of the three "
            f"for {wins} of {len(best)} models. The measure that the paper favours wins for {len(agree)} of the "
            f"{len(judged)} models on which it takes a side ({', '.join(agree) or 'none'}).",
            f"- As a probability, raw agreement beats the constant base rate (interval of the skill above 0) for "
            f"{', '.join(beat) or 'no model'}; it is worse than the constant for "
            f"{', '.join(poor['agreement']) or 'no model'}.",
            f"- Raw entropy is worse than the constant for {len(poor['entropy'])} of {len(raw)} models, raw FSD for "
            f"{len(poor['fsd'])}: they need a map before anybody reads them as a probability.",
            f"- As a ranking agreement is useful for every model: AUROC {min(aurocs):.3f} to {max(aurocs):.3f}.",
            f"- One cross-fitted Platt map per model and n leaves an ECE of {min(eces):.3f} to {max(eces):.3f}, "
            f"below .05 for {sum(value < 0.05 for value in eces)} of {len(eces)} models. Maps per data set are in the "
            "table below.",
            f"- On eight prompts of one strategy (code-davinci-002, GSM8K): Brier of agreement "
            f"{pooled['agreement']['brier']:.3f}, entropy {pooled['entropy']['brier']:.3f}, FSD "
            f"{pooled['fsd']['brier']:.3f}, base rate {pooled['agreement']['brier_base']:.3f}.",
        ]
    )


TEMPLATE = """# Consistency and its calibration

Paper: Lyu, Shridhar, Malaviya, Zhang, Elazar, Tandon, Apidianaki, Sachan, Callison-Burch, *Calibrating Large Language
Models with Sample Consistency*, arXiv:2402.13904 (AAAI 2025). This page is written by
`python experiments/0003_calibration.py GREEDY_VERDICTS VARIATIONS_VERDICTS`; no number on it was typed.

The verdicts come from `homespun grade --problems problems.parquet --completions greedy.parquet --out GREEDY_VERDICTS`,
and the same for `variations.parquet`; the three tables lie in `src/homespun/data/recorded`. Seed 0 everywhere; the
answers are recorded, so that nothing was spent. `homespun calibrate --samples greedy.parquet --verdicts
GREEDY_VERDICTS --by model` prints the first table of scores.

## Equation and function

| paper | here | |
| --- | --- | --- |
| agreement v₁/n | `homespun.confidence.consistency.agreement` | |
| entropy 1 − H/log₂ distinct | `.entropy` | `strict` multiplies by the share of valid answers |
| FSD (v₁ − v₂)/n | `.fsd` | `strict`: v₁/n for a single answer; the released code gives 1 |
| Brier, ECE | `homespun.confidence.scores` | bins ((m−1)/M, m/M], M = {bins} as in the released code |
| t-test, unpaired | `homespun.confidence.intervals.intervals` | paired bootstrap over problems, 2,000 resamples, 95 % |
| log-prob, P(True), verbalised | `homespun.confidence.baselines` | need a live model; not recorded, so not below |
| – | `homespun.confidence.calibrators` | fitted maps, our extension; the paper assumes no labels |
| – | `homespun.confidence.adaptive` | stopping early, arXiv:2305.11860 |

Where we differ from the paper in the data: the recorded answers are greedy. The samples of a group are the five
strategies of one model (standard, chain of thought, least-to-most, program, faithful), or eight prompts of faithful
chain of thought; the paper draws 40 completions of one prompt at temperature 0.4. So its Brier scores are no
reference for these, and an answer that only one bad strategy gives counts as a vote. The answers are those that our
own grading reads, in strict mode. *A raw consistency is not a probability*: its Brier score and ECE below say what
happens to somebody who takes it for one.

## What it shows

What the paper leads one to expect was put beside these data after a first table of scores had been seen: read the
findings as description, not as a test that was fixed beforehand.

{summary}

## Five strategies: every model, all data sets

{counts}

{models}

95 % intervals in brackets; the three measures of a model share their resamples. The base rate is the best constant.
ECE is biased upwards in small samples, and more so in resamples, so that its interval may lie above a small value.

![Reliability per model](../assets/calibration-models.png)

Dotted: share right over all. Dashed: perfect calibration. Points with fewer than 20 groups are left out.

### Does the paper's guidance show?

{guidance}

Negative Brier differences and positive AUROC differences favour agreement. Entropy and FSD fall faster than agreement
when one or two of five votes stray. The curves above lie over the diagonal: both are underconfident here. A likely
reason is that the strategies differ in skill, so that a stray vote is often the weak strategy's fault and not doubt
about the answer, whereas draws of one prompt from a chat model stray too little. As rankings they differ far less.

### Failed extractions: strict and paper mode

{modes}

All models and data sets together, same verdicts; only the treatment of samples without an answer differs.

### Per data set, all models together

{datasets}

### Where the Brier score of agreement comes from

{split}

### Fitted maps, cross-fitted by problem (5 folds)

{calibrated}

*Brier gained* is raw minus mapped on the same resampled problems. Maps are per model and number of samples; "per data
set" falls back to the map over all data sets where there are too few items to fit (Platt 100, isotonic 200).

## Eight prompts of one strategy: code-davinci-002, faithful chain of thought

{variant_counts}

{variants}

![Reliability per data set](../assets/calibration-variants.png)

{variant_maps}

## Stopping early

The recorded samples of a group in random order, stopped by each rule; accuracy of the majority answer. Five strategies
({repeats_models} orders):

{adaptive_models}

Eight prompts ({repeats_variants} orders):

{adaptive_variants}
"""


def main() -> None:
    """Writes the page and the plots."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("greedy", type=Path, help="verdicts on recorded/greedy.parquet")
    arguments.add_argument("variations", type=Path, help="verdicts on recorded/variations.parquet")
    given = arguments.parse_args()
    greedy, variations = path("recorded/greedy.parquet"), path("recorded/variations.parquet")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        strategies = calibrate(greedy, verdicts=given.greedy, by=("model",), bins=BINS, root=root)
        datasets = calibrate(greedy, verdicts=given.greedy, by=("dataset",), bins=BINS, root=root)
        modes = [
            row
            for mode in ("strict", "paper")
            for row in calibrate(greedy, verdicts=given.greedy, mode=mode, bins=BINS, root=root).rows
        ]
        variants = calibrate(variations, verdicts=given.variations, by=("dataset",), bins=BINS, root=root)
    groups, own = strategies.groups.drop_nulls("correct").sort("model", "dataset", "id"), variants.groups
    plot(groups, "model", DOCS / "assets" / "calibration-models.png")
    plot(own, "dataset", DOCS / "assets" / "calibration-variants.png")
    found, agree = guidance(groups)
    keys = ["dataset", "id", "model"]
    text = TEMPLATE.format(
        bins=BINS,
        summary=summary(strategies, agree, variants),
        counts=verdict_counts(groups),
        models=measured(strategies.rows, "model"),
        guidance=found,
        modes=measured(modes, "mode"),
        datasets=measured(datasets.rows, "dataset"),
        split=split(groups),
        calibrated=calibrated(groups, "model"),
        variant_counts=verdict_counts(own),
        variants=measured(variants.rows, "dataset"),
        variant_maps=calibrated(own, "dataset"),
        repeats_models=2,
        repeats_variants=20,
        adaptive_models=saved(pl.read_parquet(given.greedy), keys, 2),
        adaptive_variants=saved(pl.read_parquet(given.variations), keys, 20),
    )
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
