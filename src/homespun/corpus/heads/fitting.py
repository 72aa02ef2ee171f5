"""How a head's numbers are found: a logistic regression for sparse vectors, the published two layers for dense ones.

Published (swiss-ai/pretrain-data): ReLU, dropout .2, AdamW at 3e-4, batches of 64, 200 steps of warm-up and then a
straight line to 0, 6 epochs, the epoch with the least validation loss. Where we differ: the loss is on the logits; the
released toxicity training takes the cross-entropy of probabilities, a softmax twice, which `Mlp.twice` repeats. Where
200 steps are more than a tenth of all, warm-up is that tenth.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.corpus.heads.head import Kind, Layer
from homespun.errors import ConfigError

PENALTIES = (1.0, 10.0, 100.0)
"""Inverse strengths of the ridge penalty that are tried."""


@dataclass(frozen=True, kw_only=True)
class Mlp:
    """Two layers, and how they learn."""

    hidden: int = 0
    """Width between; 0: 256 for quality, the vectors' own for toxicity."""
    dropout: float = 0.2
    rate: float = 3e-4
    """Highest learning rate of AdamW."""
    batch: int = 64
    warmup: int = 200
    """Steps to the highest rate."""
    epochs: int = 6
    twice: bool = False
    """The released loss of toxicity: cross-entropy on the softmax's output."""


class Rows(NamedTuple):
    """Vectors with their class."""

    vectors: Any
    """(n, d), dense or sparse CSR."""
    label: NDArray[np.int64]


Settled = dict[str, str | int | float | bool]
Fitted = tuple[tuple[Layer, ...], Settled]


def fit_linear(train: Rows, validation: Rows) -> Fitted:
    """A logistic regression on columns weighted by their rarity, with the penalty of the least validation loss.

    The weight of a column is log((1 + n) / (1 + n_j)) + 1, n_j the rows that have it; it is multiplied into the head.
    """
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    width = train.vectors.shape[1]
    held = np.bincount(sparse.csr_array(train.vectors).indices, minlength=width)
    used = np.flatnonzero(held)  # a column that no row has keeps the weight 0
    rarity = np.log((1 + len(train.label)) / (1 + held[used])) + 1
    seen, checked = (rows.vectors[:, used] @ sparse.diags_array(rarity) for rows in (train, validation))
    best: tuple[float, float, Any] | None = None
    for penalty in PENALTIES:
        model = LogisticRegression(C=penalty, max_iter=5_000).fit(seen, train.label)
        loss = float(log_loss(validation.label, model.predict_proba(checked)[:, 1], labels=[0, 1]))
        if best is None or loss < best[0]:
            best = loss, penalty, model
    assert best is not None
    loss, penalty, model = best
    weight = np.zeros((width, 1), dtype=np.float32)
    weight[used, 0] = model.coef_[0] * rarity
    layer = Layer(weight, np.asarray(model.intercept_, dtype=np.float32))
    return (layer,), {"penalty": penalty, "validation_loss": loss}


def fit_mlp(train: Rows, validation: Rows, kind: Kind, settings: Mlp, seed: int) -> Fitted:
    """The kind's two layers: d → 256 → 1 for quality, d → d → 2 for toxicity.

    Raises:
        ConfigError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise ConfigError("two layers need torch", "heads", "pip install 'homespun[embed]', or linear") from None
    width = int(train.vectors.shape[1])
    hidden = settings.hidden or (256 if kind == "quality" else width)
    total = settings.epochs * -(-len(train.label) // settings.batch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(
            torch.nn.Linear(width, hidden),
            torch.nn.ReLU(),
            torch.nn.Dropout(settings.dropout),
            torch.nn.Linear(hidden, 1 if kind == "quality" else 2),
        )
        optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warmed(min(settings.warmup, total // 10), total))
        x, y = torch.from_numpy(np.ascontiguousarray(train.vectors)), torch.from_numpy(train.label)
        x_checked = torch.from_numpy(np.ascontiguousarray(validation.vectors))
        y_checked = torch.from_numpy(validation.label)
        best, kept, kept_epoch = float("inf"), copy.deepcopy(model.state_dict()), 0
        for epoch in range(1, settings.epochs + 1):
            model.train()
            for rows in torch.randperm(len(y)).split(settings.batch):
                optimiser.zero_grad()
                _loss(model(x[rows]), y[rows], settings.twice).backward()
                optimiser.step()
                schedule.step()
            model.eval()
            with torch.inference_mode():
                loss = float(_loss(model(x_checked), y_checked, settings.twice))
            if loss < best:
                best, kept, kept_epoch = loss, copy.deepcopy(model.state_dict()), epoch
    names = (("0.weight", "0.bias"), ("3.weight", "3.bias"))
    layers = tuple(Layer(np.ascontiguousarray(kept[w].numpy().T), kept[b].numpy().copy()) for w, b in names)
    return layers, {"hidden": hidden, "epoch": kept_epoch, "validation_loss": best}


def warmed(warmup: int, total: int) -> Callable[[int], float]:
    """The schedule: share of the highest rate at each step, up to 1 at ``warmup`` and down to 0 at ``total``."""

    def share(step: int) -> float:
        return step / warmup if step < warmup else max(0.0, (total - step) / max(1, total - warmup))

    return share


def _loss(logits: Any, label: Any, twice: bool) -> Any:
    import torch

    if logits.shape[1] == 1:
        return torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], label.to(logits.dtype))
    return torch.nn.functional.cross_entropy(logits.softmax(1) if twice else logits, label)
