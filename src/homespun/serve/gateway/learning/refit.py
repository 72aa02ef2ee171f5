"""A refit: fit on earlier labels, judge on later ones, write the candidate only if the gate lets it pass.

The learner runs this module as a process of its own, niced and on one core::

    python -m homespun.serve.gateway.learning.refit JOB

JOB is a folder with ``job.json`` and ``evidence.npz`` (and ``prompts.json``, where texts are kept); the process leaves
``report.json`` there and, for a candidate that passed, a router's folder at the place that the job names.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from homespun.errors import DataError, HomespunError
from homespun.router import promotion
from homespun.router.policy import Knowledge
from homespun.router.store import RouterFolder, load, save
from homespun.serve.gateway.learning import numbers, texts
from homespun.serve.gateway.learning.evidence import Evidence
from homespun.serve.gateway.learning.history import base_and_shift
from homespun.serve.gateway.learning.numbers import Corrected

JUDGED = 0.4
"""Share of the labels, the latest, by which a candidate is judged."""
MIN_LABELS = 100
"""Fewest labels worth a refit."""
NICE = 10


class Proposal(NamedTuple):
    """A candidate, judged."""

    corrected: Corrected
    gate: promotion.Gate
    report: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Parts:
    train: Evidence
    test: Evidence
    train_prompts: list[str] | None
    test_prompts: list[str] | None


def propose(parent: Knowledge, evidence: Evidence, prompts: list[str] | None = None) -> Proposal:
    """Fits a candidate on the earlier labels and judges it by the later ones, as the gate of `promotion` has it.

    Both policies are judged without their exploration. A conversation is never on both sides of the split.

    Args:
        parent: The live router.
        evidence: Labelled requests.
        prompts: Their texts, where kept.

    Raises:
        DataError: too few labels.
    """
    parts = _split(evidence, prompts)
    fade, errors = numbers.choose_fade(parent, parts.train)
    how, candidate = "numbers", numbers.correct(parent, parts.train, fade)
    if parts.train_prompts is not None and texts.enough(parts.train):
        better, errors["texts"] = _texts_predict_better(parent, parts, min(errors.values()))
        if better:
            anew = texts.learned_anew(parent, parts.train, parts.train_prompts)
            how, candidate = "texts", numbers.unchanged(anew)
    gate = judge(parent, candidate, parts.test, parts.test_prompts if how == "texts" else None)
    report = {
        **gate.report(),
        "how": how,
        "fade": {"keep": fade.keep, "half_life": None if np.isinf(fade.half_life) else fade.half_life},
        "errors": errors,
        "fitted_on": len(parts.train),
        "judged_on": len(parts.test),
        "shift": dict(zip(parent.arms, candidate.shift.tolist(), strict=True)),
        "cost_ratio": dict(zip(parent.arms, candidate.ratio.tolist(), strict=True)),
    }
    return Proposal(candidate, gate, report)


def judge(
    parent: Knowledge, candidate: Corrected, test: Evidence, prompts: Sequence[str] | None = None
) -> promotion.Gate:
    """The gate's verdict on a candidate by requests that it was not fitted on."""
    before = numbers.unchanged(parent).reading(test)
    if prompts is None:
        after = candidate.reading(test)
    else:
        reading = candidate.knowledge.read(prompts)
        after = np.clip(reading.blend, 0.0, 1.0), reading.cost
    cells = [parent.classifier.cells[c] for c in test.cell.argmax(axis=1)]
    return promotion.gate(
        test.logged(after[0] - test.mu[:, None] * after[1]),
        numbers.greedy(*after, test, numbers.eligible(candidate.knowledge, test) if prompts is None else test.allowed),
        numbers.greedy(*before, test, numbers.eligible(parent, test)),
        cells,
    )


def _split(evidence: Evidence, prompts: list[str] | None) -> _Parts:
    if len(evidence) < MIN_LABELS:
        raise DataError(f"{len(evidence)} labelled requests", "refit", f"at least {MIN_LABELS}")
    edge = int(len(evidence) * (1.0 - JUDGED))
    later = np.arange(edge, len(evidence))
    later = later[~np.isin(evidence.group[later], evidence.group[:edge])]
    if len(later) < 2:
        raise DataError("all labels are of one conversation", "refit", "labels of several conversations")
    return _Parts(
        train=evidence.take(np.arange(edge)),
        test=evidence.take(later),
        train_prompts=None if prompts is None else prompts[:edge],
        test_prompts=None if prompts is None else [prompts[i] for i in later],
    )


def _texts_predict_better(parent: Knowledge, parts: _Parts, least: float) -> tuple[bool, float]:
    """Whether a predictor learned from texts beats the best of the numbers on the later part of the training labels."""
    assert parts.train_prompts is not None
    edge = int(len(parts.train) * 0.7)
    first, last = parts.train.take(slice(None, edge)), parts.train.take(slice(edge, None))
    if not texts.enough(first):
        return False, float("inf")
    anew = texts.learned_anew(parent, first, parts.train_prompts[:edge])
    error = numbers.squared_error(np.clip(anew.read(parts.train_prompts[edge:]).blend, 0.0, 1.0), last)
    return error < least, error


def write(parent: RouterFolder, proposal: Proposal, out: Path, version: str) -> RouterFolder:
    """Writes the candidate's folder."""
    base, shift = base_and_shift(parent.origin, len(parent.knowledge.arms))
    texts_read = proposal.report["how"] == "texts"
    made = replace(
        parent,
        path=out,
        knowledge=proposal.corrected.knowledge,
        origin={
            **parent.origin,
            "fingerprint": version,
            "parent": parent.origin["fingerprint"],
            "base": version if texts_read else base,
            "shift": [] if texts_read else (shift + proposal.corrected.shift).tolist(),
            "how": proposal.report["how"],
        },
    )
    save(made)
    return made


def run(job: Path) -> dict[str, Any]:
    """Does a job; see the module's text.

    Raises:
        HomespunError: something of it is missing or wrong.
    """
    told = json.loads((job / "job.json").read_text())
    parent, evidence = load(told["parent"]), Evidence.load(job / "evidence.npz")
    place = job / "prompts.json"
    prompts = json.loads(place.read_text()) if place.is_file() else None
    if prompts is not None:
        evidence = replace(evidence, learned=np.clip(parent.knowledge.read(prompts).learned, 0.0, 1.0))
    proposal = propose(parent.knowledge, evidence, prompts)
    if proposal.gate.promote:
        write(parent, proposal, Path(told["out"]), told["version"])
    place = job / "report.json"
    place.with_suffix(".part").write_text(json.dumps(proposal.report))
    place.with_suffix(".part").replace(place)
    return proposal.report


def main() -> int:
    """The process: 0 done, 1 failed with one line on stderr."""
    os.nice(NICE)
    try:
        with threadpool_limits(limits=1):
            run(Path(sys.argv[1]))
    except (HomespunError, OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
