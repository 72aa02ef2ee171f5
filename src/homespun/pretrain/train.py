"""The training loop: one path for two cores, one GPU, and many under torchrun.

A run is a curriculum of stages, each with its data, context, batch and rotary base; the learning rate follows tokens
(`schedule`), so that a batch may grow. Each step: sequences of the step's number, Goldfish-weighted loss, gradients
clipped at 0.1 (arXiv:2509.14233, table 5), AdEMAMix. On a GPU products are in bf16 and layers are compiled; on a CPU
everything is float32 and a resumed run equals an uninterrupted one bit for bit.

It stops early, with a checkpoint, on SIGUSR2 and before a stated time is up; and without one, with a reason, when the
loss is no number or stays far above what it was.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from homespun.errors import ConfigError
from homespun.pretrain.ademamix import AdEMAMix
from homespun.pretrain.data import Batch, Stream, Tokens
from homespun.pretrain.goldfish import Goldfish
from homespun.pretrain.guard import Guard, until
from homespun.pretrain.model import Apertus, Config, Packed, Target, dense_mask
from homespun.pretrain.parallel import Here, agreed, sharded, summed
from homespun.pretrain.schedule import Schedule
from homespun.pretrain.state import Point, restore, save, saved

Row = dict[str, float]
Watch = Callable[[Row, int], None]
"""Told of each step what came of it, and of how many steps there are."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the curriculum."""

    folders: tuple[Path, ...]
    """``tokens`` folders of corpus runs."""
    tokens: int
    """How many it trains on."""
    length: int
    """Context, T."""
    batch: int
    """Sequences of a step, over all processes."""
    theta: float | None = None
    """Rotary base, where it changes with the context."""

    @property
    def steps(self) -> int:
        """How many it takes."""
        return max(1, round(self.tokens / (self.batch * self.length)))


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training run."""

    model: Config
    stages: tuple[Stage, ...]
    schedule: Schedule
    betas: tuple[float, float, float] = (0.9, 0.999, 0.9999)
    alpha: float = 8.0
    warmup: int = 0
    """Steps over which α and β₃ grow; 0: the whole run."""
    weight_decay: float = 0.1
    clip: float = 0.1
    goldfish: Goldfish | None = field(default_factory=Goldfish)
    pieces: tuple[str, ...] = ()
    """Text of each id, for the Goldfish hash ``words``."""
    micro: int = 0
    """Sequences of a forward pass; 0: all of a process's share at once."""
    held_out: int = 0
    """Sequences of the last stage's data that are only for validation."""
    validate: int = 0
    """Steps between validations; 0: at the end alone."""
    save: int = 500
    """Steps between checkpoints."""
    spike: float = 2.0
    """Nats above its running mean that the loss may not stay."""
    patience: int = 20
    """Steps that it may."""
    seed: int = 0

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)


class Trained(NamedTuple):
    """What a run has come to."""

    model: Apertus
    point: Point
    rows: list[Row]
    """Of the steps that this call made."""
    done: bool
    """False: it was stopped, and goes on by the same call."""


def train(
    config: Training,
    folder: Path,
    here: Here,
    *,
    minutes: float | None = None,
    watch: Watch | None = None,
    compiled: bool | None = None,
) -> Trained:
    """Trains, or goes on from the last checkpoint in ``folder``.

    Args:
        config: What.
        folder: Where checkpoints are.
        here: Which process of how many.
        minutes: Stop with a checkpoint before so much time is up.
        watch: Told of each step.
        compiled: Whether layers are compiled; None: on a GPU.

    Raises:
        ConfigError: batches that don't divide among the processes.
        DataError: the data is damaged or too short.
        RunError: the loss is no number, or stays high; a checkpoint cannot be read.
    """
    with torch.device(here.device):
        model = Apertus(config.model, config.seed)
    sharded(model, here)
    if compiled if compiled is not None else here.device.type == "cuda":
        for block in model.layers:
            block.compile()
    optimiser = AdEMAMix(
        _groups(model),
        lr=config.schedule.at(0),
        betas=config.betas,
        alpha=config.alpha,
        warmup=config.warmup or config.steps,
        weight_decay=config.weight_decay,
    )
    point = Point()
    if found := saved(folder):
        point = restore(found[-1], model, optimiser, here)
    rows: list[Row] = []
    guard = Guard(config.spike, config.patience)
    with until(minutes) as (stopping, took):
        for stage, stream, step in _plan(config, point.step):
            _enter(model, stage, config.model)
            start = time.monotonic()
            row = one_step(model, optimiser, config, _mine(stream.at(step), here), point, here)
            row["seconds"] = time.monotonic() - start
            point = Point(point.step + 1, point.tokens + stage.batch * stage.length)
            guard.check(row, point.step)
            last = point.step == config.steps
            if config.held_out and (last or (config.validate and point.step % config.validate == 0)):
                row["validation"] = validate(model, stream, here)
            rows.append(row)
            if watch:
                watch(row | {"step": float(point.step), "tokens": float(point.tokens)}, config.steps)
            stop = agreed(stopping(), here)
            if stop or last or point.step % config.save == 0:
                begun = time.monotonic()
                save(folder, model, optimiser, point, here)
                took(time.monotonic() - begun)
            if stop and not last:
                return Trained(model, point, rows, False)
    return Trained(model, point, rows, True)


def one_step(model: Apertus, optimiser: AdEMAMix, config: Training, batch: Batch, point: Point, here: Here) -> Row:
    """One update; loss, norm of the gradient before it was clipped, and learning rate.

    Args:
        model: Changed in place.
        optimiser: Of its parameters.
        config: Clipping, sizes, learning rate.
        batch: This process's share.
        point: How far the run is.
        here: Which process.
    """
    rate = config.schedule.at(point.tokens)
    for group in optimiser.param_groups:
        group["lr"] = rate
    arrays = [torch.from_numpy(array).to(here.device, non_blocking=True) for array in batch]
    total = summed(arrays[4].sum(), here)
    loss = torch.zeros((), device=here.device)
    size = config.micro or len(arrays[0])
    for start in range(0, len(arrays[0]), size):
        inputs, labels, documents, positions, weights = (array[start : start + size] for array in arrays)
        packed = Packed(inputs, documents, positions)
        with autocast(here):
            part = model(packed, mask_of(packed), Target(labels, weights, total / here.world))
        part.backward()
        loss += part.detach()
    norm = clip_grad_norm_(model.parameters(), config.clip)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # pyright: ignore[reportAttributeAccessIssue]
    return {"loss": float(summed(loss, here)) / here.world, "norm": float(whole), "lr": rate}


def autocast(here: Here) -> Any:
    """Products in bf16 on a single GPU; FSDP casts by itself, and a CPU computes in float32."""
    if here.device.type == "cuda" and here.world == 1:
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def mask_of(packed: Packed) -> Any:
    """The attention mask of a batch: none where each row is one document, blocks on a GPU, dense on a CPU."""
    if packed.single:
        return None
    if packed.tokens.is_cuda:
        from torch.nn.attention.flex_attention import create_block_mask

        documents = packed.documents

        def same(b: Tensor, _: Tensor, q: Tensor, k: Tensor) -> Tensor:
            return (documents[b, q] == documents[b, k]) & (q >= k)

        batch, length = documents.shape
        return create_block_mask(same, batch, None, length, length, device=documents.device.type)
    return dense_mask(packed.documents)


@torch.no_grad()
def validate(model: Apertus, stream: Stream, here: Here) -> float:
    """Mean loss over the held-out sequences, in nats per token; every process computes all of it."""
    loss = count = 0.0
    for batch in stream.validation():
        inputs, labels, documents, positions, weights = (torch.from_numpy(a).to(here.device) for a in batch)
        packed, total = Packed(inputs, documents, positions), weights.sum()
        with autocast(here):
            loss += float(model(packed, mask_of(packed), Target(labels, weights, total))) * float(total)
        count += float(total)
    return loss / count


def _groups(model: Apertus) -> list[dict[str, Any]]:
    """Matrices decay; norms and the scalars of xIELU don't."""
    named = list(model.named_parameters())
    plain = [weight for _, weight in named if weight.ndim < 2]
    return [{"params": [weight for _, weight in named if weight.ndim >= 2]}, {"params": plain, "weight_decay": 0.0}]


def _plan(config: Training, done: int) -> Iterator[tuple[Stage, Stream, int]]:
    """Each step that is left: its stage, the stage's data, and its number within the stage."""
    before = 0
    for number, stage in enumerate(config.stages):
        if done < before + stage.steps:
            stream = Stream(
                tokens=Tokens(stage.folders),
                length=stage.length,
                batch=stage.batch,
                goldfish=config.goldfish,
                seed=config.seed + 1000 * number,  # a new order for each stage
                pieces=config.pieces,
                held_out=config.held_out if stage is config.stages[-1] else 0,
            )
            if stream.tokens.vocab > config.model.vocab:
                text = f"tokens up to {stream.tokens.vocab}, a model of {config.model.vocab}"
                raise ConfigError(text, f"stage {number}", "a vocabulary that holds the tokenizer's")
            for step in range(max(0, done - before), stage.steps):
                yield stage, stream, step
        before += stage.steps


def _enter(model: Apertus, stage: Stage, config: Config) -> None:
    """The context and rotary base of a stage."""
    model.config = replace(config, context=max(config.context, stage.length), theta=stage.theta or config.theta)


def _mine(batch: Batch, here: Here) -> Batch:
    """This process's rows of a batch."""
    if len(batch.inputs) % here.world:
        text = f"a batch of {len(batch.inputs)} sequences on {here.world} processes"
        raise ConfigError(text, "stage", "a multiple of the processes")
    mine = slice(here.rank, None, here.world)
    return Batch(*(array[mine] for array in batch))  # pyright: ignore[reportArgumentType]
