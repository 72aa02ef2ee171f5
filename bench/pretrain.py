"""Claim: pretraining on two cores at 1.3 times the tokens per second of Hugging Face's Trainer, or more.

    python bench/pretrain.py [--sizes nano,micro] [--steps N] [--repeats R]

The same ApertusForCausalLM (1.9M and 9.5M parameters), float32, two threads, the same packed rows of 128 tokens, 32 of
them a step. Ours is `homespun.pretrain.train` as a recipe uses it: AdEMAMix, clipping, Goldfish mask, loader and all.
The Trainer has AdamW, which does less, its own clipping, and rows that are already tensors. Each runs in a process of
its own, in turn, R times; the first three steps are left out. Prints one JSON object: tokens per second (median step),
the ratio, and what masking costs of a step.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

ROWS, LENGTH, WARM = 32, 128, 3
THREADS = 2


def pack(folder: Path, vocab: int, steps: int) -> None:
    """Random documents of a row each, as a corpus run packs them."""
    rng = np.random.default_rng(0)
    ids = rng.integers(4, vocab, (ROWS * steps + 1, LENGTH)).astype("<u2")
    ids[:, 0], ids[:, -1] = 1, 2
    ids.tofile(folder / "00000.bin")
    index: dict[str, Any] = {"dtype": "uint16", "vocab": vocab, "tokenizer": "bench", "begin": 1, "end": 2}
    index["shards"] = [{"shard": 0, "documents": len(ids), "tokens": ids.size}]
    (folder / "index.json").write_text(json.dumps(index))


def ours(size: str, folder: Path, steps: int) -> dict[str, Any]:
    """Seconds of each step, and of masking alone."""
    import torch

    from homespun.pretrain.data import Stream, Tokens
    from homespun.pretrain.goldfish import Goldfish
    from homespun.pretrain.model import LADDER
    from homespun.pretrain.parallel import Here
    from homespun.pretrain.schedule import Schedule
    from homespun.pretrain.train import Stage, Training, train

    stage = Stage(folders=(folder,), tokens=steps * ROWS * LENGTH, length=LENGTH, batch=ROWS)
    schedule = Schedule(peak=1e-3, total=stage.tokens, warmup=0, cooldown=0)
    config = Training(model=LADDER[size], stages=(stage,), schedule=schedule, save=10**9)
    ticks: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        train(config, Path(place), Here(torch.device("cpu")), watch=lambda *_: ticks.append(time.perf_counter()))
    masking: list[float] = []
    for goldfish in (None, Goldfish()) * 5:
        stream = Stream(tokens=Tokens((folder,)), length=LENGTH, batch=ROWS, goldfish=goldfish)
        start = time.perf_counter()
        stream.at(0)
        masking.append(time.perf_counter() - start)
    return {"ticks": ticks, "masking": statistics.median(masking[1::2]) - statistics.median(masking[::2])}


def trainer(size: str, folder: Path, steps: int) -> dict[str, Any]:
    """Seconds of each step of transformers' Trainer."""
    import torch
    from transformers import ApertusConfig, ApertusForCausalLM, Trainer, TrainerCallback, TrainingArguments

    from homespun.pretrain.export import hf_config
    from homespun.pretrain.model import LADDER

    rows = torch.from_numpy(np.fromfile(folder / "00000.bin", "<u2").astype(np.int64)).view(-1, LENGTH)[: ROWS * steps]
    settings = {k: v for k, v in hf_config(LADDER[size]).items() if k not in ("architectures", "model_type")}
    model = ApertusForCausalLM(ApertusConfig(**settings, dtype="float32")).float()
    ticks: list[float] = []

    class Clock(TrainerCallback):
        """Looks at the clock after each step."""

        def on_step_end(self, *_: object, **__: object) -> None:
            ticks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as place:
        chosen = TrainingArguments(
            output_dir=place,
            per_device_train_batch_size=ROWS,
            max_steps=steps,
            learning_rate=1e-3,
            max_grad_norm=0.1,
            lr_scheduler_type="constant",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
        )
        data = [{"input_ids": row, "labels": row} for row in rows]
        Trainer(model=model, args=chosen, train_dataset=data, callbacks=[Clock()]).train()  # type: ignore[arg-type]
    return {"ticks": ticks}


def one(kind: str, size: str, folder: Path, steps: int) -> None:
    """A measurement, in a process of its own."""
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(THREADS)
    said = (ours if kind == "homespun" else trainer)(size, folder, steps)
    ticks = said.pop("ticks")
    said["step"] = statistics.median(b - a for a, b in zip(ticks[WARM:], ticks[WARM + 1 :], strict=False))
    print(json.dumps(said))


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", default="nano,micro")
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--one", nargs=3)
    chosen = options.parse_args()
    if chosen.one:
        kind, size, folder = chosen.one
        one(kind, size, Path(folder), chosen.steps)
        return
    said: dict[str, Any] = {"machine": platform.machine(), "cores": len(os.sched_getaffinity(0)), "threads": THREADS}
    from homespun.pretrain.model import LADDER

    for size in chosen.sizes.split(","):
        found: dict[str, list[dict[str, Any]]] = {"homespun": [], "trainer": []}
        with tempfile.TemporaryDirectory() as place:
            pack(Path(place), LADDER[size].vocab, chosen.steps)
            for _ in range(chosen.repeats):
                for kind, runs in found.items():
                    command = [sys.executable, __file__, "--steps", str(chosen.steps), "--one", kind, size, place]
                    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "PASSIVE"}
                    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                    runs.append(json.loads(done.stdout.splitlines()[-1]))
                    print(size, kind, f"{ROWS * LENGTH / runs[-1]['step']:,.0f} tokens/s", file=sys.stderr)
        step = {kind: statistics.median(run["step"] for run in runs) for kind, runs in found.items()}
        said[size] = {
            "parameters": LADDER[size].parameters(),
            "tokens_per_second": {kind: round(ROWS * LENGTH / seconds) for kind, seconds in step.items()},
            "steps": {kind: [run["step"] for run in runs] for kind, runs in found.items()},
            "ratio": step["trainer"] / step["homespun"],
            "masking_share": statistics.median(run["masking"] for run in found["homespun"]) / step["homespun"],
        }
    print(json.dumps(said, indent=2))


if __name__ == "__main__":
    main()
