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


def cross_entropy(
    hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, weights_N: Tensor, total: Tensor | None = None
) -> Tensor:
    """The loss, a scalar in float32.

    Args:
        hidden_ND: Hidden states; products are computed in their type.
        head_VD: Output embeddings.
        targets_N: Ids.
        weights_N: What each position counts, ≥ 0; what counts nothing is not computed.
        total: What to divide by, where a step is made of several calls; None: the sum of these weights.
    """
    total = weights_N.float().sum() if total is None else total
    return _SlicedCrossEntropy.apply(hidden_ND, head_VD, targets_N, weights_N, total)  # type: ignore[return-value]


class _SlicedCrossEntropy(Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, whole: Tensor) -> Tensor:
        chosen = weights.nonzero()[:, 0]
        left_out = len(chosen) < len(weights)
        rows, labels, share = hidden, targets, weights
        if left_out:
            rows, labels, share = hidden[chosen], targets[chosen], weights[chosen]
        share = share.float() / whole.clamp(min=1e-12)
        scorer = head.to(hidden.dtype)
        grads = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        d_rows, d_head = torch.empty_like(rows), torch.zeros_like(head, dtype=torch.float32)
        total = hidden.new_zeros((), dtype=torch.float32)
        size = GPU_ROWS if hidden.is_cuda else max(16, SLICE_BYTES // (4 * head.shape[0]))
        for start in range(0, len(rows), size):
            part, label = rows[start : start + size], labels[start : start + size, None]
            weight = share[start : start + size, None]
            scores = (part @ scorer.T).float()
            largest = scores.amax(-1, keepdim=True)
            right = scores.gather(1, label)
            chances = scores.sub_(largest).exp_()
            mass = chances.sum(-1, keepdim=True)
            total += (weight * (mass.log() + largest - right)).sum()
            if not grads:
                continue
            slope = chances.mul_(weight / mass).scatter_add_(1, label, -weight).to(hidden.dtype)
            torch.mm(slope, scorer, out=d_rows[start : start + size])
            if slope.dtype == torch.float32:
                d_head.addmm_(slope.T, part)
            else:
                d_head += slope.T @ part
        if grads:
            if left_out:
                d_rows = torch.zeros_like(hidden).index_copy_(0, chosen, d_rows)
            ctx.save_for_backward(d_rows, d_head.to(head.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        d_rows, d_head = ctx.saved_tensors
        return d_rows * grads[0].to(d_rows.dtype), d_head * grads[0].to(d_head.dtype), None, None, None
