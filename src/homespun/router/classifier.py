"""Which cell is a prompt of: the fast classifier, the slow one, and their blend.

EMAFusion §2.3: p(c|x) = λ·p_slow(c|x) + (1 - λ)·p_fast(c|x), λ = 0.6 where both exist [X]. Fast is a multinomial
logistic regression on the router's text features, trained on labels of `taxonomy.cell_labels`; at a decision it sees
the prompt's text and nothing else. Slow is a language model that is asked for the cell as JSON; it is asked only when
the fast one is unsure, and is given up after 600 ms.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import anyio
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from homespun.models.base import Model
from homespun.records import Message, Prompt, Sampling

Floats = NDArray[np.float64]

LAMBDA = 0.6
"""Weight of the slow classifier."""
SLOW_SECONDS = 0.6
UNSURE = 0.5
"""Share of the largest possible entropy from which on the slow classifier is worth asking."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """Multinomial logistic regression over dense features: cells c, features d."""

    cells: tuple[str, ...]
    weights_DC: Floats
    bias_C: Floats

    @classmethod
    def fit(cls, features: Floats, labels: Sequence[str], *, penalty: float = 1.0) -> Self:
        """Learns from (n, d) features and n labels; a single label makes a constant classifier."""
        cells = tuple(sorted(set(labels)))
        if len(cells) == 1:
            return cls(cells, np.zeros((features.shape[1], 1)), np.zeros(1))
        model = LogisticRegression(C=1.0 / penalty, max_iter=1000).fit(features, list(labels))
        weights, bias = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)
        if len(cells) == 2:
            weights, bias = np.vstack([-weights, weights]) / 2, np.append(-bias, bias) / 2
        return cls(cells, weights.T.copy(), bias)

    def predict(self, features: Floats) -> Floats:
        """(n, c) probability of each cell."""
        logits = features @ self.weights_DC + self.bias_C
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def arrays(self) -> dict[str, Floats]:
        """Its whole state, beside the names of the cells."""
        return {"weights": self.weights_DC, "bias": self.bias_C}

    @classmethod
    def restored(cls, cells: Sequence[str], arrays: Mapping[str, Any]) -> Self:
        """The classifier whose `arrays` these are."""
        weights, bias = (np.asarray(arrays[name], dtype=np.float64) for name in ("weights", "bias"))
        if weights.shape[1:] != (len(cells),) or bias.shape != (len(cells),):
            raise ValueError("classifier and cells differ in number")
        return cls(tuple(cells), weights, bias)


def certainty(p_NC: Floats) -> Floats:
    """(n,) 1 - H/H_max: 1 for a familiar cell, 0 when every cell is as likely; with one cell, 1."""
    cells = p_NC.shape[1]
    if cells == 1:
        return np.ones(len(p_NC))
    entropy = -(p_NC * np.log(np.maximum(p_NC, 1e-300))).sum(axis=1)
    return np.clip(1.0 - entropy / np.log(cells), 0.0, 1.0)


def blend(fast_C: Floats, slow_C: Floats | None, *, weight: float = LAMBDA) -> Floats:
    """λ·p_slow + (1 - λ)·p_fast; the fast one alone where the slow one had nothing to say."""
    return fast_C if slow_C is None else weight * slow_C + (1.0 - weight) * fast_C


async def classify_slowly(
    prompt: str, cells: Sequence[str], model: Model, *, timeout: float = SLOW_SECONDS
) -> Floats | None:
    """(c,) probabilities by a language model, or ``None`` where it was late, failed, or named no cell.

    Args:
        prompt: The request.
        cells: Names of the cells.
        model: Any model; asked once, greedily.
        timeout: Seconds after which it is given up.
    """
    question = (
        f"Sort the request below into these categories: {', '.join(cells)}.\n"
        'Reply with one JSON object that maps each fitting category to a probability, such as {"math": 0.9}.\n\n'
        f"Request:\n{prompt[:4000]}"
    )
    asked = Prompt(
        id="classify",
        problem_id="classify",
        strategy="classify",
        messages=(Message(role="user", content=question),),
        sampling=Sampling(max_tokens=100),
    )
    with anyio.move_on_after(timeout):
        return _parsed((await model.sample(asked, 1))[0].text, cells)
    return None


def _parsed(text: str, cells: Sequence[str]) -> Floats | None:
    start, end = text.find("{"), text.rfind("}")
    try:
        content = json.loads(text[start : end + 1])
        shares = np.array([max(float(content.get(cell, 0.0)), 0.0) for cell in cells])
    except (ValueError, TypeError, AttributeError):
        return None
    total = shares.sum()
    return shares / total if np.isfinite(total) and total > 0 else None
