"""Apertus: a decoder with xIELU, QK-norm and grouped queries, whose documents don't see each other (arXiv:2509.14233).

    h ← h + W_o Attn(RMSNorm(h))          q, k normalised per head before RoPE; heads / kv_heads queries share a key
    h ← h + W_down xIELU(W_up RMSNorm(h)) not gated, so ffn is 1.5 times a SwiGLU's of equal parameters (5.25 d)

Pre-norm, no biases, no dropout, input and output embeddings apart. A batch is packed: documents one after the other,
attention block-diagonal and causal, positions beginning anew with each. `attention` has three forms of the same
thing: flex (GPU), one masked call (a mask of a whole batch), and a causal call when each row is one document.
Names of weights are those of transformers' `ApertusForCausalLM`, so that files are exchanged as they are.

Shapes: B rows, T tokens, D width, H heads, K key heads, C channels of a head, V vocabulary.
"""

import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention

from homespun.errors import ConfigError
from homespun.pretrain.loss import cross_entropy
from homespun.pretrain.xielu import XIELU


@dataclass(frozen=True, kw_only=True)
class Config:
    """A model's shape."""

    layers: int
    width: int
    ffn: int
    heads: int
    kv_heads: int
    vocab: int
    context: int = 4096
    """Longest sequence it is trained for; positions beyond it are an error."""
    theta: float = 5e5
    """Base of the rotary angles; 1e6, 2e6, 4e6 and 1.2e7 as the context grows to 8k, 16k, 32k and 64k."""
    factor: float = 8.0
    """Of the llama3 scaling of rotary angles, on from the start; 1: none."""
    init: float = 0.02
    """Standard deviation of the weights; those that write into the residual stream get it divided by √(2 layers)."""
    eps: float = 1e-5

    @property
    def channels(self) -> int:
        """Of a head."""
        return self.width // self.heads

    def __post_init__(self) -> None:
        if self.width % self.heads or self.heads % self.kv_heads or self.channels % 2:
            text = f"width {self.width}, heads {self.heads}, kv_heads {self.kv_heads} don't divide"
            raise ConfigError(text, "model", "width = heads × an even number, heads a multiple of kv_heads")

    def parameters(self) -> int:
        """How many there are."""
        attention = self.width * self.channels * (2 * self.heads + 2 * self.kv_heads) + 2 * self.channels
        layer = attention + 2 * self.width * self.ffn + 2 * self.width + 2
        return self.layers * layer + self.width + 2 * self.vocab * self.width

    def flops(self, tokens: int, length: float) -> float:
        """Floating-point operations of a forward and backward pass.

        Args:
            tokens: In total.
            length: Mean tokens that a token attends to; half the document's length when masks are causal.
        """
        dense = self.parameters() - self.vocab * self.width  # looking up an embedding multiplies nothing
        return tokens * (6.0 * dense + 12.0 * self.layers * self.heads * self.channels * length)


LADDER = {
    "nano": Config(layers=4, width=128, ffn=672, heads=4, kv_heads=2, vocab=4096, context=512),
    "micro": Config(layers=6, width=256, ffn=1344, heads=4, kv_heads=2, vocab=8192, context=1024),
    "mini": Config(layers=12, width=512, ffn=2688, heads=8, kv_heads=2, vocab=32768, context=2048),
    "small": Config(layers=16, width=1024, ffn=5376, heads=16, kv_heads=4, vocab=65536),
    "1.6B": Config(layers=20, width=2048, ffn=10752, heads=16, kv_heads=4, vocab=131072),
    "8B": Config(layers=32, width=4096, ffn=21504, heads=32, kv_heads=8, vocab=131072, init=0.008944),
    "70B": Config(layers=80, width=8192, ffn=43008, heads=64, kv_heads=8, vocab=131072, init=0.008944),
}
"""From minutes on two cores to the published models; systems page, sections 3 and 9."""


@dataclass(frozen=True)
class Packed:
    """A batch of packed documents.

    tokens, documents and positions are (B, T): ids, the number of the document within its row, and the token's place
    in it.
    """

    tokens: Tensor
    documents: Tensor
    positions: Tensor

    @property
    def single(self) -> bool:
        """Whether every row is one document, so that a causal mask says all."""
        return bool((self.documents == self.documents[:, :1]).all())


class Target(NamedTuple):
    """What a step predicts: labels (B, T), what each counts (B, T), and what the sum is divided by."""

    labels: Tensor
    weights: Tensor
    total: Tensor | None = None


def dense_mask(documents: Tensor) -> Tensor:
    """(B, 1, T, T): token i sees j iff both are of one document and j ≤ i."""
    length = documents.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
    return ((documents[:, :, None] == documents[:, None, :]) & causal)[:, None]


class Norm(nn.Module):
    """RMSNorm with a weight, computed in float32 by torch's own kernel."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        """Over the last axis."""
        return rms_norm(x, self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    """Grouped-query attention with QK-norm and rotary positions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, c = config, config.channels
        self.q_proj = nn.Linear(config.width, config.heads * c, bias=False)
        self.k_proj = nn.Linear(config.width, config.kv_heads * c, bias=False)
        self.v_proj = nn.Linear(config.width, config.kv_heads * c, bias=False)
        self.o_proj = nn.Linear(config.heads * c, config.width, bias=False)
        self.q_norm, self.k_norm = Norm(c, config.eps), Norm(c, config.eps)

    def forward(self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor], mask: Any) -> Tensor:
        """(B, T, D) → (B, T, D). ``mask`` is None (causal), a (B, 1, T, T) tensor, or a BlockMask."""
        batch, length, _ = x_BTD.shape
        shape = (batch, length, -1, self.config.channels)
        q_BHTC = rotate(self.q_norm(self.q_proj(x_BTD).view(shape)), *rotary).transpose(1, 2)
        k_BKTC = rotate(self.k_norm(self.k_proj(x_BTD).view(shape)), *rotary).transpose(1, 2)
        v_BKTC = self.v_proj(x_BTD).view(shape).transpose(1, 2)
        y_BHTC = attend(q_BHTC, k_BKTC, v_BKTC, mask)
        return self.o_proj(y_BHTC.transpose(1, 2).reshape(batch, length, -1))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Any) -> Tensor:
    """Attention under a mask; see the top of the file."""
    if mask is None or isinstance(mask, Tensor):
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True)
    from torch.nn.attention.flex_attention import flex_attention

    return flex_attention(q, k, v, block_mask=mask, enable_gqa=True)  # type: ignore[return-value]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: channel i and i + C/2 of (B, T, heads, C) turned by the position's angle i."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)


@cache
def angles(channels: int, theta: float, factor: float) -> tuple[float, ...]:
    """Turn per position of each channel pair: θ^(−2i/C), the slow ones slowed by the llama3 rule (1, 4, 8192)."""
    found: list[float] = []
    for at in range(0, channels, 2):
        turn = theta ** (-at / channels)
        wave, low, high = 2 * math.pi / turn, 8192 / 1.0, 8192 / 4.0
        smooth = (8192 / wave - 1.0) / (4.0 - 1.0)
        slowed = turn / factor if wave > low else turn if wave < high else (1 - smooth) * turn / factor + smooth * turn
        found.append(slowed)
    return tuple(found)


class MLP(nn.Module):
    """Up, xIELU, down."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.width, config.ffn, bias=False)
        self.act_fn = XIELU()
        self.down_proj = nn.Linear(config.ffn, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, D)."""
        return self.down_proj(self.act_fn(self.up_proj(x)))


class Block(nn.Module):
    """One layer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_layernorm = Norm(config.width, config.eps)
        self.self_attn = Attention(config)
        self.feedforward_layernorm = Norm(config.width, config.eps)
        self.mlp = MLP(config)

    def forward(self, h: Tensor, rotary: tuple[Tensor, Tensor], mask: Any) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        h = h + self.self_attn(self.attention_layernorm(h), rotary, mask)
        return h + self.mlp(self.feedforward_layernorm(h))


class Apertus(nn.Module):
    """The model. Build it under ``torch.device("meta")`` for shapes alone."""

    def __init__(self, config: Config, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Parameter(torch.empty(config.vocab, config.width))
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(config.width, config.eps)
        self.lm_head = nn.Parameter(torch.empty(config.vocab, config.width))
        if not self.embed_tokens.is_meta:
            self.initialise(seed)

    def initialise(self, seed: int) -> None:
        """Weights anew from a seed: normal, those that write into the residual stream smaller by √(2 layers)."""
        generator = torch.Generator(device=self.embed_tokens.device).manual_seed(seed)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.ndim == 2:
                    last = name.endswith(("o_proj.weight", "down_proj.weight"))
                    deviation = self.config.init / (math.sqrt(2 * self.config.layers) if last else 1.0)
                    weight.normal_(0.0, deviation, generator=generator)

    def forward(self, batch: Packed, mask: Any = None, target: "Target | None" = None) -> Tensor:
        """Hidden states (B, T, D) after the last norm; or the loss, where there is something to predict.

        Args:
            batch: Packed documents.
            mask: Of `dense_mask` or a BlockMask; None: rows hold one document each, plain causal attention.
            target: Labels and what they count.
        """
        turns = torch.tensor(
            angles(self.config.channels, self.config.theta, self.config.factor), device=batch.tokens.device
        )
        turned = (batch.positions[..., None].float() * turns)[:, :, None]  # (B, T, 1, C/2)
        h = embedding(batch.tokens, self.embed_tokens)
        rotary = (turned.cos().to(h.dtype), turned.sin().to(h.dtype))
        for block in self.layers:
            h = block(h, rotary, mask)
        h = self.norm(h)
        if target is None:
            return h
        flat = (target.labels.flatten(), target.weights.flatten(), target.total)
        return cross_entropy(h.flatten(0, 1), self.lm_head, *flat)

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, D) → (…, V)."""
        return linear(hidden, self.lm_head)

    def shape(self) -> dict[str, Any]:
        """The configuration, as JSON."""
        return asdict(self.config)
