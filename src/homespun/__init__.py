"""homespun: own the whole thread of a language model, as one loop of stages that meet in files.

Importing this package loads nothing heavy: each public name is fetched when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homespun.confidence.calibrate import calibrate
    from homespun.errors import HomespunError
    from homespun.evals.grade import grade
    from homespun.models import model
    from homespun.records import (
        Cost,
        Decision,
        Execution,
        Message,
        Problem,
        Prompt,
        Run,
        Sample,
        Sampling,
        Verdict,
    )
    from homespun.router.fit import evaluate, fit
    from homespun.runs.run import open_run
    from homespun.sandbox import Pool, Program
    from homespun.strategies import strategy
    from homespun.tasks import grader, task

__version__ = "0.1.0"

_PLACES = {
    "Cost": "records",
    "Decision": "records",
    "Execution": "records",
    "HomespunError": "errors",
    "Message": "records",
    "Pool": "sandbox",
    "Problem": "records",
    "Program": "sandbox",
    "Prompt": "records",
    "Run": "records",
    "Sample": "records",
    "Sampling": "records",
    "Verdict": "records",
    "calibrate": "confidence.calibrate",
    "evaluate": "router.fit",
    "fit": "router.fit",
    "grade": "evals.grade",
    "grader": "tasks",
    "model": "models",
    "open_run": "runs.run",
    "strategy": "strategies",
    "task": "tasks",
}

__all__ = [
    "Cost",
    "Decision",
    "Execution",
    "HomespunError",
    "Message",
    "Pool",
    "Problem",
    "Program",
    "Prompt",
    "Run",
    "Sample",
    "Sampling",
    "Verdict",
    "calibrate",
    "evaluate",
    "fit",
    "grade",
    "grader",
    "model",
    "open_run",
    "strategy",
    "task",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'homespun' has no attribute {name!r}")
    return getattr(import_module(f"homespun.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
