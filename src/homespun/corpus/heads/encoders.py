"""Embedders with a language model inside: all-MiniLM-L6-v2, whose package carries its weights, and XLM-R from a folder.

Apertus takes XLM-R-base, the mean over the tokens of each chunk of at most 512. Its weights are not ours to ship: the
folder is what ``save_pretrained`` writes, with safetensors; nothing is fetched and nothing unpickled. Both need the
extra ``embed``, and torch is imported at the first call.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homespun.corpus.heads.embedder import Passages, Spec, owned
from homespun.errors import ConfigError, DataError
from homespun.models import embedding
from homespun.runs.tables import sha256

Encode = Callable[[Sequence[str], int | None], Passages]
WEIGHTS = ("config.json", "model.safetensors", "tokenizer.json")
"""Files of an encoder's folder that decide its vectors."""


@dataclass(frozen=True, kw_only=True)
class MiniLM:
    """Sentence embeddings of 384 numbers, English above all."""

    size: int = 1_000
    """Characters of a chunk; the model reads 256 tokens of it, most often all."""

    @property
    def name(self) -> str:
        """For people."""
        return "minilm"

    @property
    def width(self) -> int:
        """384."""
        return embedding.WIDTH

    @property
    def spec(self) -> Spec:
        """The chunk's size; the weights are pinned by the package."""
        return {"kind": self.name, "size": self.size}

    def embed(self, texts: Sequence[str], chunks: int | None = 1) -> Passages:
        """Unit vectors (m, 384)."""
        parts, owner = owned(texts, self.size, chunks)
        return Passages(embedding.embed(parts).astype(np.float32), owner)


@dataclass(frozen=True, kw_only=True)
class XlmR:
    """Mean of the last hidden states over each chunk's tokens."""

    folder: Path
    """A model and its tokenizer, as ``save_pretrained`` writes them."""
    batch: int = 16
    """Chunks that are computed together."""

    @property
    def name(self) -> str:
        """For people."""
        return "xlm-r"

    @property
    def width(self) -> int:
        """Of the hidden states, 768 in XLM-R-base.

        Raises:
            DataError: the folder holds no model.
        """
        try:
            return int(json.loads((self.folder / "config.json").read_bytes())["hidden_size"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"holds no model ({type(error).__name__})", str(self.folder), "a folder written by save_pretrained"
            ) from None

    @property
    def spec(self) -> Spec:
        """Checksum of what decides the vectors; the folder may move."""
        return {"kind": self.name, "weights": _fingerprint(self.folder)}

    def embed(self, texts: Sequence[str], chunks: int | None = 1) -> Passages:
        """Vectors (m, width), not normalised."""
        return _encoder(self.folder, self.batch)(texts, chunks)


@cache
def _fingerprint(folder: Path) -> str:
    missing = [name for name in WEIGHTS if not (folder / name).is_file()]
    if missing:
        raise DataError(f"lacks {', '.join(missing)}", str(folder), "a folder written by save_pretrained")
    import hashlib

    whole = "".join(sha256(folder / name) for name in WEIGHTS)
    return hashlib.sha256(whole.encode()).hexdigest()


@cache
def _encoder(folder: Path, batch: int) -> Encode:
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        hint = "pip install 'homespun[embed]'"
        raise ConfigError(f"an encoder needs {error.name or 'torch'}", "heads", hint) from None
    _fingerprint(folder)
    logging.disable_progress_bar()
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
        model = AutoModel.from_pretrained(str(folder), use_safetensors=True, dtype=torch.float32, **options).eval()
    except Exception as error:  # a damaged folder makes the library raise whatever its parts raise
        first = " ".join(str(error).split())[:200]
        hint = "a folder written by save_pretrained"
        raise DataError(f"cannot be loaded: {type(error).__name__}: {first}", str(folder), hint) from None
    positions = int(getattr(model.config, "max_position_embeddings", 514)) - 2
    length = min(512, positions, int(tokenizer.model_max_length))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device)

    def encode(texts: Sequence[str], chunks: int | None) -> Passages:
        ids: list[list[int]] = []
        owner: list[int] = []
        for at, text in enumerate(texts):
            if not text:
                continue
            # where only the beginning counts, only a beginning is read: no token has more than 64 characters
            read = text if chunks is None else text[: 64 * length * chunks]
            found = tokenizer([read], truncation=True, max_length=length, return_overflowing_tokens=True)["input_ids"]
            own = [list(part) for part in found][:chunks]
            ids += own
            owner += [at] * len(own)
        return Passages(_pooled(model, ids, int(tokenizer.pad_token_id or 0), batch, device), np.array(owner, np.int64))

    return encode


def _pooled(model: Any, ids: Sequence[Sequence[int]], pad: int, batch: int, device: str) -> NDArray[np.float32]:
    """The mean hidden state of each row of token ids; rows of near length go through the model together."""
    import torch

    out = np.zeros((len(ids), int(model.config.hidden_size)), dtype=np.float32)
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            longest = max(len(ids[row]) for row in rows)
            padded = torch.tensor([[*ids[row], *[pad] * (longest - len(ids[row]))] for row in rows], device=device)
            mask = torch.tensor([[1] * len(ids[r]) + [0] * (longest - len(ids[r])) for r in rows], device=device)
            hidden = model(input_ids=padded, attention_mask=mask).last_hidden_state
            weight = mask[..., None].to(hidden.dtype)
            out[rows] = ((hidden * weight).sum(1) / weight.sum(1)).cpu().numpy()
    return out
