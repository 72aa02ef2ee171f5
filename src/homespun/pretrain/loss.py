"""Cross-entropy over a large vocabulary, a slice of the rows at a time: scores of a whole batch never exist at once.

The loss is a weighted mean, L = Σ_i w_i (−log p(x_i)) / Σ_i w_i; with w the Goldfish mask it is the paper's (section
4.1 of the systems page). Since it is a scalar, its gradient is worked out on the way forward, while a slice's scores
are still in the cache, and only scaled on the way back.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

SLICE_BYTES = 4 << 20
"""Of scores on a CPU: about a core's second-level cache; a GPU takes `GPU_ROWS` at once."""
GPU_ROWS = 4096


def cross_entropy(hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, weights_N: Tensor) -> Tensor:
    """The loss, a scalar in float32.

    Args:
        hidden_ND: Hidden states.
        head_VD: Output embeddings.
        targets_N: Ids.
        weights_N: What each position counts, ≥ 0; 0 leaves it out, and is not computed where a whole slice is out.
    """
    return _SlicedCrossEntropy.apply(hidden_ND, head_VD, targets_N, weights_N)  # type: ignore[return-value]


class _SlicedCrossEntropy(Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        chosen = weights.nonzero()[:, 0] if bool((weights == 0).any()) else None
        rows, labels, share = (
            (hidden, targets, weights) if chosen is None else (hidden[chosen], targets[chosen], weights[chosen])
        )
        share = share.float() / weights.float().sum().clamp(min=1e-12)
        grads = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        d_rows = torch.empty_like(rows) if grads else None
        d_head = torch.zeros_like(head, dtype=torch.float32) if grads else None
        total = hidden.new_zeros((), dtype=torch.float32)
        size = GPU_ROWS if hidden.is_cuda else max(16, SLICE_BYTES // (4 * head.shape[0]))
        for start in range(0, len(rows), size):
            part, label = rows[start : start + size], labels[start : start + size, None]
            scores = (part @ head.T).float()
            weight = share[start : start + size, None]
            largest = scores.amax(-1, keepdim=True)
            right = scores.gather(1, label)
            chances = scores.sub_(largest).exp_()
            mass = chances.sum(-1, keepdim=True)
            total += (weight * (mass.log() + largest - right)).sum()
            if d_rows is None or d_head is None:
                continue
            chances.mul_(weight / mass).scatter_add_(1, label, -weight)
            slope = chances.to(head.dtype)
            torch.mm(slope, head, out=d_rows[start : start + size])
            if head.dtype == torch.float32:
                d_head.addmm_(slope.T, part)
            else:
                d_head += slope.T @ part
        if d_rows is not None and d_head is not None:
            if chosen is not None:
                d_rows = torch.zeros_like(hidden).index_copy_(0, chosen, d_rows)
            ctx.save_for_backward(d_rows, d_head.to(head.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        d_rows, d_head = ctx.saved_tensors
        return d_rows * grads[0].to(d_rows.dtype), d_head * grads[0].to(d_head.dtype), None, None
