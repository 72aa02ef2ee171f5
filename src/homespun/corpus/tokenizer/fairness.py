"""How evenly a tokenizer serves languages: the measures of Apertus over a parallel text.

arXiv:2509.14233, section on the tokenizer (systems page, section 2). For a text b let tau(b) be its tokens, |b|_u its
length in unit u, D a corpus and c_l a language's cost, its mean tokens per line of the parallel text:

    compression rate   CR_u = 1/|D| sum_b |b|_u / |tau(b)|                          higher is better
    fertility          F    = sum_b |tau(b)| / sum_b |b|_word                        lower is better
    vocabulary used    VU   = distinct tokens / |V|
    Gini               G    = 1/n (n + 1 - 2 sum_i (n + 1 - i) c_i / sum_i c_i)      c ascending; 0 is even
    worst language     W    = max_l c_l / c_en                                       ours: the paper shows it in a plot

Words are those of the library's Whitespace cut, for every language, as in the paper: where a script writes no spaces
the word is a whole clause, so compare word measures between tokenizers and not between languages. Intervals come from
resampling lines, the same lines for all languages and all tokenizers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from homespun.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNITS = ("char", "byte", "word", "line")
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def compression_rate(lengths: ArrayLike, tokens: ArrayLike) -> float:
    """CR: the mean over texts of length per token; texts of no tokens don't count.

    Args:
        lengths: |b|_u of each text.
        tokens: |tau(b)| of each text.
    """
    length, token = np.asarray(lengths, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
    some = token > 0
    return float(np.mean(length[some] / token[some])) if some.any() else float("nan")


def fertility(tokens: ArrayLike, words: ArrayLike) -> float:
    """F: tokens per word of the whole corpus."""
    count = float(np.sum(words))
    return float(np.sum(tokens)) / count if count else float("nan")


def gini(costs: ArrayLike) -> Floats:
    """G of each row of costs; 0 where all languages cost the same, below 1 always.

    Args:
        costs: Positive, the last axis over languages.

    Raises:
        DataError: a cost is negative or no number, or all are 0.
    """
    ascending = np.sort(np.asarray(costs, dtype=np.float64), axis=-1)
    total = ascending.sum(axis=-1)
    if ascending.size == 0 or not np.isfinite(total).all() or (ascending < 0).any() or (total <= 0).any():
        raise DataError("costs must be positive numbers", "gini", "tokens per line of each language")
    n = ascending.shape[-1]
    weights = np.arange(n, 0, -1)  # n + 1 - i
    return (n + 1 - 2 * (ascending * weights).sum(axis=-1) / total) / n


def worst_factor(costs: Mapping[str, float], base: str = "en") -> float | None:
    """W: what the dearest language costs beside the base; None if that is not among them."""
    return max(costs.values()) / costs[base] if costs.get(base) else None


class Parallel(NamedTuple):
    """A parallel text: line ``i`` says the same in every language."""

    languages: list[str]
    texts: list[list[str]]
    """By language, then by line."""
    left_out: int
    """Lines that not every language has."""


def parallel(frame: pl.DataFrame, where: str = "parallel table") -> Parallel:
    """A parallel text from rows of ``lang``, ``line`` and ``text``; without ``line`` rows count within a language.

    Args:
        frame: The rows.
        where: Named in errors.

    Raises:
        DataError: a line twice in a language, fewer than two languages, or no line that all of them have.
    """
    if "line" not in frame.columns:
        frame = frame.with_columns(line=pl.int_range(pl.len()).over("lang").cast(pl.String))
    frame = frame.filter(pl.col("text").str.strip_chars() != "")
    twice = frame.filter(pl.struct("lang", "line").is_duplicated())
    if len(twice):
        lang, line = twice.row(0, named=True)["lang"], twice.row(0, named=True)["line"]
        raise DataError(f"line {line!r} occurs twice in {lang}", where, "one row for each language and line")
    languages = sorted(frame["lang"].unique())
    if len(languages) < 2:
        raise DataError(f"{len(languages)} languages", where, "the same lines in two languages or more")
    times = frame.group_by("line").len().filter(pl.col("len") == len(languages))
    lines = times["line"].sort()
    if not len(lines):
        raise DataError("no line that every language has", where, "equal values of 'line' for lines of equal meaning")
    common = frame.join(lines.to_frame(), on="line").sort("lang", "line")
    texts = [common.filter(pl.col("lang") == lang)["text"].to_list() for lang in languages]
    return Parallel(languages, texts, frame["line"].n_unique() - len(lines))


@dataclass(frozen=True, kw_only=True)
class Fairness:
    """A tokenizer on a parallel text."""

    name: str
    vocab: int
    languages: Sequence[str]
    tokens_LN: Counts
    """Tokens by language (L) and line (N)."""
    lengths_ULN: Counts
    """Lengths by unit (U, in the order of `UNITS`), language and line."""
    used: int
    """Distinct tokens that occurred."""

    @property
    def costs(self) -> dict[str, float]:
        """c_l of each language."""
        return dict(zip(self.languages, self.tokens_LN.mean(axis=1).tolist(), strict=True))

    def rows(self) -> list[dict[str, Any]]:
        """The measures of each language."""
        costs = self.costs
        found: list[dict[str, Any]] = []
        for at, lang in enumerate(self.languages):
            tokens, lengths = self.tokens_LN[at], dict(zip(UNITS, self.lengths_ULN[:, at], strict=True))
            rates = {f"cr_{unit}": compression_rate(lengths[unit], tokens) for unit in UNITS}
            factor = costs[lang] / costs["en"] if costs.get("en") else None
            found.append(
                {
                    "tokenizer": self.name,
                    "lang": lang,
                    "cost": costs[lang],
                    "factor": factor,
                    **rates,
                    "fertility": fertility(tokens, lengths["word"]),
                }
            )
        return found

    def summary(self, weights_BN: Floats) -> dict[str, Any]:
        """The measures over all languages, Gini with its 95 % interval.

        Args:
            weights_BN: How often each resampling (B) took each line.
        """
        tokens, lengths = self.tokens_LN.ravel(), dict(zip(UNITS, self.lengths_ULN, strict=True))
        low, high = np.quantile(self.resampled(weights_BN), [0.025, 0.975])
        return {
            "tokenizer": self.name,
            "vocab": self.vocab,
            "languages": len(self.languages),
            "lines": self.tokens_LN.shape[1],
            "gini": float(gini(self.tokens_LN.mean(axis=1))),
            "gini_low": float(low),
            "gini_high": float(high),
            "worst": worst_factor(self.costs),
            "worst_lang": max(self.costs, key=lambda lang: self.costs[lang]),
            "cost": float(self.tokens_LN.mean()),
            **{f"cr_{unit}": compression_rate(lengths[unit].ravel(), tokens) for unit in UNITS},
            "fertility": fertility(tokens, lengths["word"]),
            "used": self.used / self.vocab,
        }

    def resampled(self, weights_BN: Floats) -> Floats:
        """Gini of each resampling."""
        return gini(weights_BN @ self.tokens_LN.T)


def resampling(lines: int, times: int = 1000, seed: int = 0) -> Floats:
    """How often each line is taken when as many lines are drawn with replacement; shape times × lines."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(lines, np.full(lines, 1 / lines), size=times).astype(np.float64)


def difference(first: Fairness, second: Fairness, weights_BN: Floats) -> tuple[float, float, float]:
    """Gini of the first less that of the second on the same lines: value, and 95 % interval."""
    value = gini(first.tokens_LN.mean(axis=1)) - gini(second.tokens_LN.mean(axis=1))
    low, high = np.quantile(first.resampled(weights_BN) - second.resampled(weights_BN), [0.025, 0.975])
    return float(value), float(low), float(high)


def measure(name: str, tokenizer: "Tokenizer", text: Parallel) -> Fairness:
    """A tokenizer on a parallel text.

    Args:
        name: What to call it.
        tokenizer: Ours or another's.
        text: The lines.
    """
    from tokenizers.pre_tokenizers import Whitespace

    cut = Whitespace()
    units: Sequence[Callable[[str], int]] = (
        len,
        lambda line: len(line.encode()),
        lambda line: len(cut.pre_tokenize_str(line)),
        lambda line: 1,
    )
    tokens: list[list[int]] = []
    used: set[int] = set()
    for lines in text.texts:
        encodings = tokenizer.encode_batch(lines, add_special_tokens=False)
        tokens.append([len(encoding.ids) for encoding in encodings])
        for encoding in encodings:
            used.update(encoding.ids)
    lengths = [[[unit(line) for line in lines] for lines in text.texts] for unit in units]
    return Fairness(
        name=name,
        vocab=tokenizer.get_vocab_size(),
        languages=text.languages,
        tokens_LN=np.array(tokens, dtype=np.int64),
        lengths_ULN=np.array(lengths, dtype=np.int64),
        used=len(used),
    )


def measure_files(tokenizers: Sequence[Path], text: Parallel) -> list[Fairness]:
    """Several tokenizers on a parallel text, called by their folders.

    Raises:
        DataError: one cannot be read.
    """
    from homespun.corpus.tokenizer.files import read

    names = [path.name if path.suffix != ".json" else path.parent.name or path.stem for path in tokenizers]
    if len(set(names)) < len(names):
        names = [str(path) for path in tokenizers]
    return [measure(name, read(path), text) for name, path in zip(names, tokenizers, strict=True)]
