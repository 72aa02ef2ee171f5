"""What a router sees of a prompt: a dense vector from text alone, in about a millisecond on one core.

EMAFusion §4.1. Three blocks side by side: latent directions of TF-IDF over words (1–2-grams) and characters
(2–5-grams within words), `SCALARS` counted by hand, and, with the extra ``embed``, all-MiniLM-L6-v2 sentence
embeddings. Where we differ: TF-IDF is projected on its leading singular directions (latent semantic analysis),
since a ridge on some hundred of them routed better than on all sparse columns (docs/papers/emafusion-learned.md).
Only the first 6,000 and the last 2,000 characters are read, so a prompt of a million costs what one of 8,000 does.

Legend: n prompts, v terms, r latent directions, d features.
"""

import json
import re
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from homespun.errors import DataError
from homespun.router.embedding import embed

Floats = NDArray[np.float64]

HEAD, TAIL = 6000, 2000
"""Characters of a long prompt that are read, at its start and at its end."""

SCALARS = (
    "characters",
    "words",
    "lines",
    "sentences",
    "mean_word",
    "longest_sentence",
    "distinct_words",
    "digits",
    "numbers",
    "largest_number",
    "decimals",
    "operators",
    "money_percent",
    "capitals",
    "non_ascii",
    "code",
    "questions",
    "how_many",
    "why_how",
    "options",
    "option_length",
    "blanks",
    "negations",
    "rates",
    "comparisons",
    "statements",
)

_OPTION = re.compile(r"^\s*\(?[A-Ja-j0-9][.)]\s+(.*)$", re.MULTILINE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CODE = re.compile(r"```|\bdef \b|\breturn\b|[{};]\s*$|</?\w+>|==|->", re.MULTILINE)
_HOW_MANY = re.compile(r"\bhow (?:many|much|far|long|old|often)\b", re.IGNORECASE)
_WHY_HOW = re.compile(r"\b(?:why|how|explain|prove|derive|show that)\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:not|never|except|without|least|false|incorrect)\b|n't\b", re.IGNORECASE)
_RATE = re.compile(r"\b(?:each|every|per|half|twice|thirds?|quarters?|fraction|times|average|ratio)\b", re.IGNORECASE)
_COMPARISON = re.compile(r"\b(?:more|less|fewer|than|most|greater|total|altogether|left|remaining)\b", re.IGNORECASE)
_STATEMENT = re.compile(r"\b(?:statement \d|following|which of|true|I{1,3}\b|assume|suppose|if)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Which blocks there are, and how wide."""

    num_words: int = 20_000
    """At most this many word 1–2-grams, the most frequent."""
    num_characters: int = 20_000
    """At most this many character 2–5-grams."""
    rank: int = 128
    """r, latent directions of TF-IDF; 0 leaves the block out."""
    embed: bool = False
    """Add sentence embeddings; needs ``pip install 'homespun[embed]'``."""
    seed: int = 0
    """Of the randomised singular value decomposition."""


class Features:
    """Fitted on training prompts; `transform` then reads any prompt."""

    def __init__(self, config: FeatureConfig | None = None) -> None:
        self.config = config or FeatureConfig()
        self._texts: dict[str, TfidfVectorizer] = {}
        self._directions_VR: NDArray[np.float32] | None = None
        self._mean_D: Floats = np.zeros(0)
        self._scale_D: Floats = np.ones(0)

    def fit(self, prompts: Sequence[str]) -> Self:
        """Learns vocabulary, directions and scaling.

        Raises:
            DataError: no prompt was given.
            ConfigError: embeddings are asked for and the extra is not installed.
        """
        if not prompts:
            raise DataError("no prompt to learn features from", "features", "at least one")
        texts = [clip(prompt) for prompt in prompts]
        if self.config.rank:
            self._fit_text(texts)
        raw = self._raw(prompts, texts)
        self._mean_D = raw.mean(axis=0)
        self._scale_D = self._scales(raw)
        return self

    def transform(self, prompts: Sequence[str]) -> Floats:
        """(n, d) features: scalars at unit variance, latent and embedding blocks at unit mean square norm."""
        return (self._raw(prompts, [clip(prompt) for prompt in prompts]) - self._mean_D) * self._scale_D

    @property
    def width(self) -> int:
        """d, the number of features."""
        return len(self._mean_D)

    def blocks(self) -> dict[str, slice]:
        """Which columns hold the scalars, the latent directions and the embedding."""
        rank = 0 if self._directions_VR is None else self._directions_VR.shape[1]
        first, second = len(SCALARS), len(SCALARS) + rank
        return {"scalars": slice(0, first), "latent": slice(first, second), "embedding": slice(second, self.width)}

    def save(self, folder: Path) -> None:
        """Writes ``features.json`` and ``features.npz``; nothing in them is executable."""
        folder.mkdir(parents=True, exist_ok=True)
        vocabularies = {
            name: sorted(text.vocabulary_, key=text.vocabulary_.__getitem__) for name, text in self._texts.items()
        }
        content = {"config": asdict(self.config), "scalars": SCALARS, "vocabularies": vocabularies}
        (folder / "features.json").write_text(json.dumps(content, ensure_ascii=True))
        arrays: dict[str, Any] = {f"idf.{name}": text.idf_ for name, text in self._texts.items()}
        if self._directions_VR is not None:
            arrays["directions"] = self._directions_VR
        np.savez(folder / "features.npz", mean=self._mean_D, scale=self._scale_D, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            DataError: a file is missing, damaged, or made by another version.
        """
        try:
            content = json.loads((folder / "features.json").read_text())
            with np.load(folder / "features.npz", allow_pickle=False) as arrays:
                return cls._restored(content, {name: arrays[name] for name in arrays.files})
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"not a saved set of features: {error}", str(folder), "fit the router again") from None

    @classmethod
    def _restored(cls, content: dict[str, Any], arrays: dict[str, Any]) -> Self:
        if tuple(content["scalars"]) != SCALARS:
            raise ValueError("its scalar features are of another version")
        made = cls(FeatureConfig(**content["config"]))
        for name, vocabulary in content["vocabularies"].items():
            text = _vectorizers(made.config)[name].set_params(vocabulary=vocabulary)
            text.idf_ = arrays[f"idf.{name}"]
            made._texts[name] = text
        made._directions_VR = arrays.get("directions")
        made._mean_D, made._scale_D = arrays["mean"], arrays["scale"]
        terms = sum(map(len, content["vocabularies"].values()))
        if made._directions_VR is not None and made._directions_VR.shape[0] != terms:
            raise ValueError("vocabulary and directions differ in length")
        rank = 0 if made._directions_VR is None else made._directions_VR.shape[1]
        if made._mean_D.shape != made._scale_D.shape or len(made._mean_D) < len(SCALARS) + rank:
            raise ValueError("scaling and blocks differ in width")
        return made

    def _fit_text(self, texts: Sequence[str]) -> None:
        counts: list[Any] = []
        for name, vectorizer in _vectorizers(self.config).items():
            with suppress(ValueError):  # no term occurs often enough
                counts.append(vectorizer.fit_transform(texts))
                self._texts[name] = vectorizer
        if not counts:
            return
        terms: Any = sparse.hstack(counts).tocsr()
        rank = min(self.config.rank, len(texts) - 1, int(terms.shape[1]) - 1)
        if rank > 0:
            model: Any = TruncatedSVD(rank, n_iter=3, random_state=self.config.seed).fit(terms)
            self._directions_VR = np.ascontiguousarray(model.components_.T, dtype=np.float32)
        else:
            self._texts = {}

    def _raw(self, prompts: Sequence[str], texts: Sequence[str]) -> Floats:
        blocks = [np.array([scalars(text, len(prompt)) for prompt, text in zip(prompts, texts, strict=True)])]
        if self._directions_VR is not None:
            terms = [vectorizer.transform(texts) for vectorizer in self._texts.values()]
            blocks.append(np.asarray(sparse.hstack(terms).tocsr() @ self._directions_VR, dtype=np.float64))
        if self.config.embed:
            blocks.append(embed(texts))
        return np.hstack(blocks)

    def _scales(self, raw: Floats) -> Floats:
        spread = raw.std(axis=0)
        scale = np.where(spread > 1e-9, 1.0 / np.maximum(spread, 1e-9), 0.0)
        for name in ("latent", "embedding"):
            columns = self.blocks()[name]
            norm = (
                float(np.sqrt(np.square(raw[:, columns] - self._mean_D[columns]).sum(axis=1).mean())) if columns else 0
            )
            scale[columns] = 1.0 / norm if norm > 1e-9 else 0.0
        return scale


def clip(prompt: str) -> str:
    """The part of a prompt that is read: all of it up to 8,000 characters, else its start and its end."""
    return prompt if len(prompt) <= HEAD + TAIL else f"{prompt[:HEAD]}\n{prompt[-TAIL:]}"


def scalars(text: str, length: int | None = None) -> list[float]:
    """`SCALARS` of a prompt; counts as log(1 + count), shares as they are.

    Args:
        text: What is read of the prompt.
        length: Characters of the whole prompt, where that is longer.
    """
    words = text.split()
    sentences = [part for part in re.split(r"[.!?]\s+|\n", text) if part.strip()] or [""]
    numbers = [_value(number) for number in _NUMBER.findall(text)]
    options = [option for option in _OPTION.findall(text) if option]
    size, num = max(len(text), 1), max(len(words), 1)
    counts = {
        "characters": len(text) if length is None else length,
        "words": len(words),
        "lines": text.count("\n"),
        "sentences": len(sentences),
        "longest_sentence": max(len(part.split()) for part in sentences),
        "numbers": len(numbers),
        "largest_number": max(numbers, default=0.0),
        "operators": sum(text.count(sign) for sign in "+-*/=^<>\\"),
        "money_percent": sum(text.count(sign) for sign in "$%€£"),
        "code": len(_CODE.findall(text)),
        "questions": text.count("?"),
        "how_many": len(_HOW_MANY.findall(text)),
        "why_how": len(_WHY_HOW.findall(text)),
        "options": len(options),
        "blanks": text.count("__"),
        "negations": len(_NEGATION.findall(text)),
        "rates": len(_RATE.findall(text)),
        "comparisons": len(_COMPARISON.findall(text)),
        "statements": len(_STATEMENT.findall(text)),
    }
    logs = {name: float(np.log1p(count)) for name, count in counts.items()}
    shares = {
        "mean_word": sum(map(len, words)) / num,
        "distinct_words": len(set(words)) / num,
        "digits": sum(map(str.isdigit, text)) / size,
        "decimals": sum(number != int(number) for number in numbers) / max(len(numbers), 1),
        "capitals": sum(map(str.isupper, text)) / size,
        "non_ascii": 0.0 if text.isascii() else sum(ord(sign) > 127 for sign in text) / size,
        "option_length": sum(map(len, options)) / max(len(options), 1) / 100,
    }
    values = logs | shares
    return [values[name] for name in SCALARS]


def _value(number: str) -> float:
    digits = number.replace(",", "")[:15]
    return float(digits) if digits.count(".") <= 1 else float(digits.split(".", maxsplit=1)[0])


def _vectorizers(config: FeatureConfig) -> dict[str, TfidfVectorizer]:
    """Word and character TF-IDF, unfitted."""
    common: dict[str, Any] = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}
    return {
        "words": TfidfVectorizer(ngram_range=(1, 2), max_features=config.num_words, **common),
        "characters": TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), max_features=config.num_characters, **common
        ),
    }
