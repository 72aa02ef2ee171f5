"""A small packed corpus in which there is something to learn, and a run over it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents that count upwards in steps of one to five, so that the next token can be told from two."""
    folder = tmp_path_factory.mktemp("tokens")
    rng, ids = np.random.default_rng(0), []
    for _ in range(400):
        start, step = rng.integers(0, 40), rng.integers(1, 6)
        ids += [1, *(4 + (start + step * at) % 40 for at in range(rng.integers(8, 40))), 2]
    np.array(ids, "<u2").tofile(folder / "00000.bin")
    index = {"dtype": "uint16", "vocab": 44, "tokenizer": "t", "begin": 1, "end": 2}
    index |= {"shards": [{"shard": 0, "documents": 400, "tokens": len(ids)}]}
    (folder / "index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def training(tokens: Path) -> Any:
    """Forty steps of two stages, the second with a longer context and a larger batch."""
    from homespun.pretrain.goldfish import Goldfish
    from homespun.pretrain.model import Config
    from homespun.pretrain.schedule import Schedule
    from homespun.pretrain.train import Stage, Training

    first = Stage(folders=(tokens,), tokens=20 * 8 * 32, length=32, batch=8)
    return Training(
        model=Config(layers=2, width=32, ffn=96, heads=4, kv_heads=2, vocab=48, context=32),
        stages=(first, replace(first, tokens=20 * 4 * 64, length=64, batch=4, theta=1e6)),
        schedule=Schedule(peak=1e-2, total=40 * 256, warmup=5 * 256, cooldown=10 * 256),
        goldfish=Goldfish(k=10, context=4),
        clip=1.0,
        held_out=8,
        save=15,
    )
