"""What counts as a copy: the settings of deduplication."""

from dataclasses import dataclass

from homespun.errors import ConfigError

MAX_BANDS = 100


@dataclass(frozen=True, kw_only=True)
class Dedup:
    """How copies are found; the defaults are FineWeb-2's, which Apertus inherits (arXiv:2509.14233)."""

    exact: bool = True
    """Documents of the same text, but for white space and Unicode's composed and decomposed forms."""
    minhash: bool = True
    """Documents that share most of their n-grams of words."""
    ngram: int = 5
    """Words in a shingle, n."""
    bands: int = 14
    """Bands, b: a pair of Jaccard similarity J is found with probability 1 - (1 - J^r)^b."""
    rows: int = 8
    """Hashes in a band, r; b times r make a signature, 112 here."""
    seed: int = 0
    """Of all hash functions: another seed is another draw of the same probabilities."""
    per_language: bool = True
    """Near copies are looked for within a language (``lang``; null is one of its own), as FineWeb-2 does."""
    verify: float | None = None
    """Estimated Jaccard similarity that two documents of a band must reach; None: the band is enough, as in FineWeb."""

    def __post_init__(self) -> None:
        if not (self.exact or self.minhash):
            raise ConfigError("neither exact nor near copies are looked for", "Dedup", "exact=True or minhash=True")
        for name in ("ngram", "rows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}", "Dedup", "a number above 0")
        if not 1 <= self.bands <= MAX_BANDS:
            raise ConfigError(f"bands={self.bands}", "Dedup", f"1 to {MAX_BANDS}")
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed}", "Dedup", "0 or more")
        if self.verify is not None and not 0 < self.verify <= 1:
            raise ConfigError(f"verify={self.verify}", "Dedup", "a similarity above 0 and up to 1, or None")

    @property
    def hashes(self) -> int:
        """Hashes in a signature."""
        return self.bands * self.rows


def keys(settings: Dedup) -> tuple[str, ...]:
    """Names of the key columns of `sign`: documents that share a value of one of them are copies.

    Args:
        settings: Which kinds are looked for.
    """
    exact = ("exact",) if settings.exact else ()
    return exact + (tuple(f"band_{band:02d}" for band in range(settings.bands)) if settings.minhash else ())
