"""Checkpoints: everything that a run needs to go on as if it had never stopped, by torch's distributed checkpoints.

A checkpoint is a folder that appears whole or not at all. Shards of several processes come back on any number of them.
"""

import json
import shutil
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load as read_shards
from torch.distributed.checkpoint.state_dict_saver import save as write_shards

from homespun.errors import RunError
from homespun.pretrain.ademamix import AdEMAMix
from homespun.pretrain.model import Apertus
from homespun.pretrain.parallel import Here


class Point(NamedTuple):
    """How far a run has come."""

    step: int = 0
    """Steps done, over all stages."""
    tokens: int = 0
    """Tokens seen."""


def save(folder: Path, model: Apertus, optimiser: AdEMAMix, point: Point, here: Here, keep: int = 2) -> Path:
    """Writes ``checkpoint-00000123``; all but the last ``keep`` are taken away."""
    place = folder / f"checkpoint-{point.step:08d}"
    temporary = folder / f".{place.name}"
    if here.first:
        shutil.rmtree(temporary, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    _wait(here)
    weights, moments = get_state_dict(model, optimiser)
    with _alone(here):
        write_shards({"model": weights, "optimiser": moments}, checkpoint_id=str(temporary), no_dist=here.world == 1)
    _wait(here)
    if here.first:
        (temporary / "point.json").write_text(json.dumps(point._asdict()))
        shutil.rmtree(place, ignore_errors=True)
        temporary.rename(place)
        for old in saved(folder)[:-keep]:
            shutil.rmtree(old, ignore_errors=True)
    _wait(here)
    return place


def saved(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    return sorted(path for path in folder.glob("checkpoint-*") if (path / "point.json").is_file())


def restore(place: Path, model: Apertus, optimiser: AdEMAMix, here: Here) -> Point:
    """Reads a checkpoint into a model and its optimiser.

    Raises:
        RunError: it is damaged, or of another model.
    """
    try:
        point = Point(**json.loads((place / "point.json").read_text()))
        weights, moments = get_state_dict(model, optimiser)
        state: dict[str, Any] = {"model": weights, "optimiser": moments}
        with _alone(here):
            read_shards(state, checkpoint_id=str(place), no_dist=here.world == 1)
        set_state_dict(model, optimiser, model_state_dict=state["model"], optim_state_dict=state["optimiser"])
    except (OSError, ValueError, TypeError, RuntimeError, KeyError, CheckpointException) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise RunError(
            f"cannot be read: {first}", str(place), "delete it: the run goes on from the one before"
        ) from error
    return point


@contextmanager
def _alone(here: Here) -> Generator[None]:
    """One process is meant to save by itself: torch need not warn of it."""
    with warnings.catch_warnings():
        if here.world == 1:
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def _wait(here: Here) -> None:
    if here.world > 1:
        dist.barrier()
