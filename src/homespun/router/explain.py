"""Why a decision was made: the whole path, kept as a record and told in words.

`decisions` turns replays into `Decision` records; `find` looks one up among the evaluations kept as runs; `in_words`
tells it: capability filter, taxonomy cell with probabilities, predictor, each arm asked with its answer, confidence
and cost, acceptance, and what else could have been done.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import ValidationError

from homespun.errors import DataError, RunError
from homespun.records import Cost, Decision, Step
from homespun.router.outcomes import Outcomes
from homespun.router.policy import Knowledge, Reading
from homespun.router.replay import STOP, Replay
from homespun.router.store import fingerprint
from homespun.runs.run import read_run, root_folder

DEFAULT_PRESET = "balanced"
NUM_LISTED = 3


def decisions(knowledge: Knowledge, table: Outcomes, replays: Mapping[str, Replay]) -> pl.DataFrame:
    """One row per prompt and preset: prompt_id, preset, chosen, score, cost, decision (JSON of a `Decision`).

    Args:
        knowledge: The router.
        table: The prompts that were replayed, with what the arms answered.
        replays: Per preset what the router did.
    """
    reading = knowledge.read(table.prompts)
    before = [text_steps(knowledge, reading, row) for row in range(len(table))]
    rows = [
        {
            "prompt_id": table.ids[row],
            "preset": preset,
            "chosen": _name(table, int(result.chosen[row])),
            "score": float(result.score[row]),
            "cost": float(result.cost[row]),
            "decision": _decision(table, result, row, before[row]).model_dump_json(),
        }
        for preset, result in replays.items()
        for row in range(len(table))
    ]
    return pl.DataFrame(rows)


def find(
    prompt_id: str, *, router: Path | None = None, root: Path | None = None, preset: str = DEFAULT_PRESET
) -> Decision:
    """Looks up a decision in the newest evaluation that knows the prompt.

    Args:
        prompt_id: Id of the prompt, as in the table of outcomes; ``dataset/id`` where ids repeat.
        router: Only evaluations of this router.
        root: Folder of runs.
        preset: The setting whose decision to tell.

    Raises:
        RunError: no evaluation was kept.
        DataError: none of them decided on this prompt.
    """
    mark = fingerprint(router) if router is not None else None
    if router is not None and mark is None:
        raise DataError("not a fitted router", str(router), "homespun route fit")
    folders = list((root_folder(root) / "route").glob("*/decisions.parquet"))
    kept = [(read_run(file.parent), file) for file in folders if (file.parent / "run.json").exists()]
    kept = [(run, file) for run, file in kept if run.status == "done" and mark in (None, run.metrics.get("router"))]
    if not kept:
        raise RunError("no evaluation was kept", str(root_folder(root) / "route"), "homespun route eval")
    for _, file in sorted(kept, key=lambda pair: (pair[0].started, pair[0].id), reverse=True):
        if (found := _row(file, prompt_id, preset)) is not None:
            return found
    some = pl.read_parquet(kept[-1][1], columns=["prompt_id"])["prompt_id"].unique(maintain_order=True).head(3)
    raise DataError(f"no decision on {prompt_id[:80]!r}", "route explain", f"an id such as {', '.join(some)}")


def in_words(decision: Decision) -> str:
    """The path as lines of text."""
    lines = [f"Prompt {decision.prompt_id}: the answer of {decision.chosen}."]
    if decision.confidence is not None:
        lines.append(f"Confidence {decision.confidence:.0%}; spent ${decision.spent.dollars:.5f}.")
    lines += [f"{number:>2}. {_sentence(step)}" for number, step in enumerate(decision.path, start=1)]
    return "\n".join(lines)


def _sentence(step: Step) -> str:
    score = "" if step.score is None else f" ({step.score:.1%})"
    verbs = {
        "filter": "Capability filter: ",
        "taxonomy": "Taxonomy: ",
        "learned": "Predictor: ",
        "blend": "Blend: ",
        "ask": "Asked ",
        "judge": "Judged: ",
        "accept": "Accepted: ",
        "fuse": "Fused: ",
        "stop": "Stopped: ",
    }
    price = f" for ${step.cost:.5f}" if step.cost else ""
    detail = f": {step.detail}" if step.detail else ""
    return f"{verbs[step.stage]}{step.subject}{score}{price}{detail}"


def _row(file: Path, prompt_id: str, preset: str) -> Decision | None:
    found = pl.read_parquet(file).filter((pl.col("prompt_id") == prompt_id) & (pl.col("preset") == preset))
    try:
        return Decision.model_validate_json(found["decision"][0]) if found.height else None
    except ValidationError:
        raise DataError("a damaged decision", str(file), "homespun route eval") from None


def text_steps(knowledge: Knowledge, reading: Reading, row: int) -> list[Step]:
    """The path before anything is paid for: filter, taxonomy, predictor, blend, of one row of a reading."""
    cells, arms = knowledge.classifier.cells, knowledge.arms
    p = reading.cell[row]
    order = np.argsort(-p, kind="stable")[:NUM_LISTED]
    others = ", ".join(f"{cells[c]} {p[c]:.0%}" for c in order[1:])
    able = np.flatnonzero(reading.eligible[row])
    out = [arms[j] for j in range(len(arms)) if j not in able]
    best = able[np.argsort(-reading.learned[row, able], kind="stable")[:NUM_LISTED]]
    blended = able[np.argsort(-reading.blend[row, able], kind="stable")[:NUM_LISTED]]
    alpha = float(reading.alpha[row])
    left = f"left out, no outcome in this cell: {', '.join(out)}" if out else "all serve plain text"
    learned, blend = reading.learned[row], reading.blend[row]
    return [
        Step(stage="filter", subject=f"{len(able)} of {len(arms)} arms eligible", detail=left),
        Step(stage="taxonomy", subject=f"cell {cells[order[0]]}", score=float(p[order[0]]), detail=others),
        Step(
            stage="learned",
            subject=f"{arms[best[0]]} most likely right",
            score=float(learned[best[0]]),
            detail=", ".join(f"{arms[j]} {learned[j]:.0%}" for j in best[1:]),
        ),
        Step(
            stage="blend",
            subject=f"{alpha:.0%} table, {1 - alpha:.0%} predictor",
            detail=", ".join(f"{arms[j]} {blend[j]:.0%}" for j in blended),
        ),
    ]


def _decision(table: Outcomes, result: Replay, row: int, before: list[Step]) -> Decision:
    path = list(before)
    asked: list[int] = []
    for trace in result.traces[row]:
        if asked:
            shown = f"leading answer after {len(asked)} of them, going on is worth {trace.worth:.1%}"
            path.append(Step(stage="judge", subject="vote", score=_unit(trace.confidence), detail=shown))
        if trace.arm != STOP:
            cost = float(np.nan_to_num(table.cost[row, trace.arm]))
            path.append(
                Step(stage="ask", subject=table.arms[trace.arm], cost=cost, detail=_answer(table, row, trace.arm))
            )
            asked.append(trace.arm)
    chosen, confidence = int(result.chosen[row]), _unit(float(result.confidence[row]))
    path.append(_last_step(table, row, chosen, asked, confidence))
    return Decision(
        prompt_id=table.ids[row],
        chosen=_name(table, chosen),
        path=tuple(path),
        expected_quality=confidence,
        expected_cost=float(result.cost[row]),
        confidence=confidence,
        spent=Cost(dollars=float(result.cost[row])),
    )


def _last_step(table: Outcomes, row: int, chosen: int, asked: list[int], confidence: float) -> Step:
    if chosen < 0:
        return Step(stage="stop", subject="no readable answer", detail=f"{len(asked)} arms asked")
    others = [arm for arm in asked if arm != chosen]
    said = "; ".join(f"{table.arms[arm]} said {_answer(table, row, arm)}" for arm in others)
    stage = "fuse" if others else "accept"
    subject = f"{_answer(table, row, chosen)} by {table.arms[chosen]}"
    return Step(stage=stage, subject=subject, score=confidence, detail=said or "no further arm was worth its price")


def _answer(table: Outcomes, row: int, arm: int) -> str:
    answer = None if table.answers is None else table.answers[row, arm]
    if table.answers is None:
        return "an answer"
    return "nothing readable" if answer is None else " ".join(str(answer).split())[:60]


def _name(table: Outcomes, arm: int) -> str:
    return table.arms[arm] if arm >= 0 else "none"


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)
