"""One process or many: torchrun says which, FSDP2 shards the model, and everything else stays as it is.

    torchrun --nproc-per-node 8 -m homespun pretrain RECIPE

Nothing here schedules or restarts: torchrun does. On CPUs the processes talk by gloo, so that the same path is tested
without a GPU.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Here(NamedTuple):
    """Which process this is."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes what is written once."""
        return self.rank == 0


@contextmanager
def joined(device: str | None = None) -> Generator[Here]:
    """This process among those that torchrun started, or alone.

    Args:
        device: ``cpu`` or ``cuda``; None: a GPU if there is one.
    """
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device(kind, local) if kind == "cuda" else torch.device("cpu")
    if kind == "cuda":
        torch.cuda.set_device(place)
    if world == 1:
        yield Here(place)
        return
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield Here(place, dist.get_rank(), world)
    finally:
        dist.destroy_process_group()


def sharded(model: nn.Module, here: Here) -> None:
    """Shards a model's layers and the rest of it over all processes, in place; products in bf16 on GPUs."""
    if here.world == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(here.device.type, (here.world,))
    policy = MixedPrecisionPolicy()
    if here.device.type == "cuda":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    layers = model.get_submodule("layers")
    for layer in layers.children():
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def summed(value: Tensor, here: Here) -> Tensor:
    """The sum over all processes."""
    if here.world > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def agreed(flag: bool, here: Here) -> bool:
    """True everywhere if it is true anywhere: a signal reaches one process, all must stop at the same step."""
    if here.world == 1:
        return flag
    value = torch.tensor([float(flag)], device=here.device)
    dist.all_reduce(value)
    return bool(value.item() > 0)
