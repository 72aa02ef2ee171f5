"""What a router sees of a prompt: a dense vector from text alone, in about a millisecond on one core.

EMAFusion §4.1. Three blocks side by side: 26 `scalars`, the leading latent directions of TF-IDF (`terms`), and, with
the extra ``embed``, all-MiniLM-L6-v2 sentence embeddings. Where we differ: TF-IDF is projected on its leading singular
directions (latent semantic analysis), so that one closed form serves every regressor; the sparse columns stay at hand
for the linear one, and characters are optional, since words alone did as well (docs/papers/emafusion-learned.md).
Only the first 6,000 and the last 2,000 characters are read, so a prompt of a million costs what one of 8,000 does.

Legend: n prompts, v terms, r latent directions, d features.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD

from homespun.errors import DataError
from homespun.models.embedding import embed
from homespun.router.arrays import DAMAGE, read_arrays
from homespun.router.scalars import SCALARS, clip, scalars_of
from homespun.router.terms import Terms

Floats = NDArray[np.float64]


class Seen(NamedTuple):
    """Prompts as a router sees them."""

    dense: Floats
    """(n, d), each block centred and at unit mean square norm."""
    terms: Any
    """(n, v) sparse TF-IDF; no columns where no term is known."""


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Which blocks there are, and how wide."""

    num_words: int = 20_000
    """At most this many word 1–2-grams, the most frequent; 0 leaves them out."""
    num_characters: int = 0
    """At most this many character 2–5-grams; 0 leaves them out."""
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
        self.terms = Terms(self.config.num_words, self.config.num_characters)
        self._directions_VR: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self._mean_D: Floats = np.zeros(0)
        self._scale_D: Floats = np.ones(0)

    def fit(self, prompts: Sequence[str]) -> Seen:
        """Learns vocabulary, directions and scaling; returns the view of these very prompts.

        Raises:
            DataError: no prompt was given.
            ConfigError: embeddings are asked for and the extra is not installed.
        """
        if not prompts:
            raise DataError("no prompt to learn features from", "features", "at least one")
        terms = self.terms.fit([clip(prompt) for prompt in prompts])
        self._directions_VR = self._directions(terms)
        raw = self._raw(prompts, terms)
        self._mean_D = raw.mean(axis=0)
        self._scale_D = self._scales(raw - self._mean_D)
        return Seen((raw - self._mean_D) * self._scale_D, terms)

    def see(self, prompts: Sequence[str]) -> Seen:
        """Dense and sparse view of n prompts."""
        terms = self.terms.transform([clip(prompt) for prompt in prompts])
        return Seen((self._raw(prompts, terms) - self._mean_D) * self._scale_D, terms)

    def transform(self, prompts: Sequence[str]) -> Floats:
        """(n, d) the dense view alone."""
        return self.see(prompts).dense

    @property
    def width(self) -> int:
        """d, the number of dense features."""
        return len(self._mean_D)

    def blocks(self) -> dict[str, slice]:
        """Which columns hold the scalars, the latent directions and the embedding."""
        first = len(SCALARS)
        second = first + self._directions_VR.shape[1]
        return {"scalars": slice(0, first), "latent": slice(first, second), "embedding": slice(second, self.width)}

    def save(self, folder: Path) -> None:
        """Writes ``features.json`` and ``features.npz``; nothing in them is executable."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {"config": asdict(self.config), "scalars": SCALARS, "vocabularies": self.terms.vocabularies()}
        (folder / "features.json").write_text(json.dumps(content, ensure_ascii=True))
        arrays: dict[str, Any] = {f"idf.{name}": idf for name, idf in self.terms.weights().items()}
        arrays |= {"directions": self._directions_VR, "mean": self._mean_D, "scale": self._scale_D}
        np.savez(folder / "features.npz", **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            DataError: a file is missing, damaged, or made by another version.
        """
        try:
            content = json.loads((folder / "features.json").read_text())
            return cls._restored(content, read_arrays(folder / "features.npz"))
        except DAMAGE as error:
            raise DataError(f"not a saved set of features: {error}", str(folder), "fit the router again") from None

    @classmethod
    def _restored(cls, content: dict[str, Any], arrays: dict[str, Any]) -> Self:
        if tuple(content["scalars"]) != SCALARS:
            raise ValueError("its scalar features are of another version")
        made = cls(FeatureConfig(**content["config"]))
        vocabularies = content["vocabularies"]
        made.terms.restore(vocabularies, {name: arrays[f"idf.{name}"] for name in vocabularies})
        made._directions_VR = arrays["directions"]
        made._mean_D, made._scale_D = arrays["mean"], arrays["scale"]
        if len(made._directions_VR) not in (0, len(made.terms)):
            raise ValueError("vocabulary and directions differ in length")
        if made._mean_D.shape != made._scale_D.shape or made.width < made.blocks()["latent"].stop:
            raise ValueError("scaling and blocks differ in width")
        return made

    def _directions(self, terms: Any) -> NDArray[np.float32]:
        rank = min(self.config.rank, terms.shape[0] - 1, terms.shape[1] - 1)
        if rank < 1:
            return np.zeros((0, 0), dtype=np.float32)
        model: Any = TruncatedSVD(rank, n_iter=3, random_state=self.config.seed).fit(terms)
        return np.ascontiguousarray(model.components_.T, dtype=np.float32)

    def _raw(self, prompts: Sequence[str], terms: Any) -> Floats:
        blocks = [scalars_of(prompts)]
        if self._directions_VR.size:
            blocks.append(np.asarray(terms @ self._directions_VR, dtype=np.float64))
        if self.config.embed:
            blocks.append(embed([clip(prompt) for prompt in prompts]))
        return np.hstack(blocks)

    def _scales(self, centred: Floats) -> Floats:
        """One scale per scalar, one for each other block, so that every block has unit mean square norm."""
        spread = centred.std(axis=0)
        scale = np.where(spread > 1e-9, 1.0 / np.maximum(spread, 1e-9), 0.0) / np.sqrt(len(SCALARS))
        for name in ("latent", "embedding"):
            columns = self.blocks()[name]
            norm = float(np.sqrt(np.square(centred[:, columns]).sum(axis=1).mean()))
            scale[columns] = 1.0 / norm if norm > 1e-9 else 0.0
        return scale
