"""Evaluation of a router by replay: its dial, its parts, and the baselines, on prompts it never saw.

EMAFusion §9. Intervals are 95 % paired bootstrap over prompts. Where there are more than two arms, APGR and CPT50 are
taken over the share of *money* between the cheapest and the best single arm, on the non-decreasing hull of the dial;
with two arms and one call per prompt that is the share of calls, as in RouteLLM. The AIQ of a dial is taken from zero
to the largest cost of anything in the table.

Legend: n prompts, k arms, r rows, b resamples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from homespun.errors import DataError
from homespun.router.dial import DIAL
from homespun.router.explain import decisions
from homespun.router.frontier import aiq, cost_saving, hull_cost, hull_quality, oracle, upper_hull
from homespun.router.intervals import resamples
from homespun.router.learn import best_single
from homespun.router.outcomes import Outcomes, prompt_id, read_outcomes
from homespun.router.policy import policies
from homespun.router.replay import Replay, replay, table_codes
from homespun.router.store import RouterFolder, load
from homespun.runs.run import open_run

Floats = NDArray[np.float64]
Kind = Literal["single", "random", "oracle", "part", "fusion"]
Progress = Callable[[int, int], None]

COLUMNS = ("name", "kind", "score", "score_low", "score_high", "cost", "aiq", "apgr", "cpt50", "saving")
GRID = 1001  # points of the trapezoid rule of APGR


@dataclass(frozen=True, kw_only=True)
class EvalResult:
    """What `evaluate` found."""

    rows: list[dict[str, Any]]
    """`COLUMNS`: score a fraction, cost mean dollars per prompt; ``None`` where a metric does not apply."""
    differences: list[dict[str, Any]]
    """Paired: what, against, difference of score, low, high, and the ratio of the costs."""
    n: int
    """Prompts evaluated, none of which the router was fitted on."""
    decisions: pl.DataFrame
    """Per prompt and preset: prompt_id, preset, chosen, score, cost, decision (JSON)."""
    run: Path


class _Line(NamedTuple):
    name: str
    kind: Kind
    score: Floats
    cost: Floats
    curve: str | None = None
    """The dial it belongs to."""


def evaluate(
    router_dir: Path | str,
    outcomes_path: Path | str,
    *,
    root: Path | None = None,
    progress: Progress | None = None,
    num_resamples: int = 2000,
) -> EvalResult:
    """Evaluates a router on those prompts of a table that it was not fitted on.

    Args:
        router_dir: Folder of `fit`.
        outcomes_path: Table with every arm of the router; other arms are ignored.
        root: Folder of runs; the tables and the decisions are kept there.
        progress: Called with (settings done, settings in all).
        num_resamples: Of the bootstrap.

    Raises:
        DataError: the folder or the table is wrong, an arm is missing, or no prompt is left to evaluate on.
    """
    router = load(router_dir)
    table = held_out(router, read_outcomes(outcomes_path), str(outcomes_path))
    inputs = {"router": Path(router_dir), "outcomes": Path(outcomes_path)}
    name = Path(router_dir).resolve().name
    with open_run("route", name, config={"num_resamples": num_resamples}, inputs=inputs, root=root) as run:
        if not run.done:
            with threadpool_limits(limits=1):  # equal sums on any number of cores
                rows, differences, made = _evaluate(router, table, progress, num_resamples)
            run.write("rows", pl.DataFrame(rows, infer_schema_length=None))
            run.write("differences", pl.DataFrame(differences, infer_schema_length=None))
            run.write("decisions", made)
            run.finish(metrics={"n": len(table), "router": router.origin["fingerprint"]})
        return EvalResult(
            rows=run.read("rows").to_dicts(),
            differences=run.read("differences").to_dicts(),
            n=len(table),
            decisions=run.read("decisions"),
            run=run.path,
        )


def held_out(router: RouterFolder, table: Outcomes, where: str) -> Outcomes:
    """The router's arms on the prompts that it was not fitted on.

    Raises:
        DataError: an arm is missing, or nothing is left.
    """
    missing = [arm for arm in router.knowledge.arms if arm not in table.arms]
    if missing:
        raise DataError(f"no outcomes of {missing[0]!r}", where, "outcomes of every model of the router")
    rows = [row for row, prompt in enumerate(table.prompts) if prompt_id(prompt) not in router.fitted]
    if not rows:
        raise DataError("the router was fitted on all of these prompts", where, "prompts it has not seen")
    return table.take(rows).select(router.knowledge.arms)


def _evaluate(
    router: RouterFolder, table: Outcomes, progress: Progress | None, num_resamples: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], pl.DataFrame]:
    codes = table_codes(table)
    tried: dict[str, dict[float, Replay]] = {}
    for done, mu in enumerate(DIAL, start=1):
        for name, policy in policies(router.knowledge, router.plain, mu).items():
            tried.setdefault(name, {})[mu] = replay(policy, table, codes=codes)
        if progress is not None:
            progress(done, len(DIAL))
    lines = [*_baselines(table), *_dials(router, tried)]
    groups = table.groups()
    weights = np.concatenate(list(resamples(len(table), num_resamples=num_resamples, groups=groups)))
    rows = _rows(lines, table, tried, weights)
    chosen = {preset: tried["fusion"][mu] for preset, mu in router.presets["fusion"].items()}
    return rows, _differences(table, tried, lines, weights), decisions(router.knowledge, table, chosen)


def _baselines(table: Outcomes) -> list[_Line]:
    """Every arm that was asked on (nearly) all prompts, the mean of all arms, and the oracle."""
    covered = np.isfinite(table.score).mean(axis=0)
    complete = [j for j in range(table.num_arms) if covered[j] >= min(0.99, covered.max())]
    score, cost = table.score, table.cost
    lines = [_Line(table.arms[j], "single", score[:, j], np.nan_to_num(cost[:, j])) for j in complete]
    random = _Line("random", "random", np.nanmean(score, axis=1), np.nanmean(cost, axis=1))
    best = oracle(score, cost)
    return [*lines, random, _Line("oracle", "oracle", best.score, np.nan_to_num(best.cost))]


def _dials(router: RouterFolder, tried: dict[str, dict[float, Replay]]) -> list[_Line]:
    lines: list[_Line] = []
    for name, results in tried.items():
        kind: Kind = "fusion" if name == "fusion" else "part"
        title = name if name == "fusion" else f"{name}-only"
        for preset, mu in router.presets[name].items():
            lines.append(_Line(f"{title} {preset}", kind, results[mu].score, results[mu].cost, name))
        if name == "fusion":
            lines += [_Line(f"{title} μ={mu:g}", kind, each.score, each.cost, name) for mu, each in results.items()]
    return lines


def _rows(
    lines: list[_Line], table: Outcomes, tried: dict[str, dict[float, Replay]], weights: Floats
) -> list[dict[str, Any]]:
    singles = [line for line in lines if line.kind == "single"]
    strong = max(singles, key=lambda line: (float(np.nanmean(line.score)), -float(line.cost.mean())))
    weak = min(singles, key=lambda line: float(line.cost.mean()))
    ends = [(float(line.cost.mean()), float(np.nanmean(line.score))) for line in (weak, strong)]
    top = max(float(line.cost.mean()) for line in lines)
    curves: dict[str, tuple[Floats, Floats]] = {
        name: (
            np.array([each.cost.mean() for each in results.values()]),
            np.array([each.score.mean() for each in results.values()]),
        )
        for name, results in tried.items()
    }
    rows: list[dict[str, Any]] = []
    for line in lines:
        point: tuple[Floats, Floats] = (np.array([line.cost.mean()]), np.array([float(np.nanmean(line.score))]))
        cost, score = curves[line.curve] if line.curve else point
        low, high = _interval(line.score, weights)
        values = (
            line.name,
            line.kind,
            float(point[1][0]),
            low,
            high,
            float(point[0][0]),
            _known(aiq(cost, score, c_min=0.0, c_max=top)) if top > 0 else None,
            *(_recovered(cost, score, ends) if line.curve else (None, None)),
            _known(cost_saving(cost, score, reference_cost=ends[1][0], reference_quality=ends[1][1]))
            if ends[1][0] > 0
            else None,
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def _recovered(cost: Floats, score: Floats, ends: list[tuple[float, float]]) -> tuple[float | None, float | None]:
    """APGR and CPT50 over the share of money between the two single arms."""
    (cheap, low), (dear, high) = ends
    if dear <= cheap or high <= low:
        return None, None
    hull = upper_hull(np.append(cost, cheap), np.append(score, low))
    share = np.linspace(0.0, 1.0, GRID)
    gain = (hull_quality(hull, cheap + share * (dear - cheap)) - low) / (high - low)
    half = hull_cost(hull, (low + high) / 2)
    return float(np.trapezoid(gain, share)), _known((half - cheap) / (dear - cheap))


def _interval(values: Floats, weights: Floats) -> tuple[float, float]:
    known = np.isfinite(values)
    means = weights[:, known] @ values[known] / np.maximum(weights[:, known].sum(axis=1), 1.0)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _differences(
    table: Outcomes,
    tried: dict[str, dict[float, Replay]],
    lines: list[_Line],
    weights: Floats,
) -> list[dict[str, Any]]:
    """Fusion presets against the best single arm, and against each part at a setting that cost no less.

    Which fusion setting stands against a part is decided by money alone: the dearest that costs no more than it.
    """
    single = table.arms[best_single(table)]
    best = next(line for line in lines if line.name == single)
    pairs = [(line, best) for line in lines if line.kind == "fusion" and "μ" not in line.name]
    spent = {mu: float(each.cost.mean()) for mu, each in tried["fusion"].items()}
    for line in (line for line in lines if line.kind == "part"):
        within = [mu for mu in spent if spent[mu] <= line.cost.mean()] or [min(spent, key=lambda mu: spent[mu])]
        mu = max(within, key=lambda mu: spent[mu])
        each = tried["fusion"][mu]
        pairs.append((_Line(f"fusion μ={mu:g}", "fusion", each.score, each.cost), line))
    found: list[dict[str, Any]] = []
    for left, right in pairs:
        gap = left.score - right.score
        low, high = _interval(gap, weights)
        ratio = float(left.cost.mean() / max(float(right.cost.mean()), 1e-12))
        found.append(
            {"name": left.name, "against": right.name, "difference": float(np.nanmean(gap)), "low": low, "high": high,
             "cost_ratio": ratio}
        )  # fmt: skip
    return found


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
