"""Tokenizers from text: byte-level BPE by the library, parity-aware BPE by our own merges; equal files either way."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from homespun.corpus.tokenizer.files import Bpe, Merge, alphabet, assembled, blank, plain_text
from homespun.corpus.tokenizer.merges import Advance, Parity, learn
from homespun.corpus.tokenizer.specials import NUM_SPECIAL, SPECIALS
from homespun.corpus.tokenizer.symbols import Words
from homespun.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Trained(NamedTuple):
    """A parity-aware tokenizer."""

    tokenizer: "Tokenizer"
    chosen: dict[str, int]
    """Merges for each language; those of the whole corpus under an empty name."""


def train_bpe(texts: Iterable[str], settings: Bpe) -> "Tokenizer":
    """Byte-level BPE; the same texts give the same file.

    Args:
        texts: Documents, in any order.
        settings: Vocabulary and normal form.

    Raises:
        DataError: there is no text.
    """
    return assembled(bpe_merges(texts, settings), settings)


def bpe_merges(texts: Iterable[str], settings: Bpe) -> list[Merge]:
    """The library's merges, less those that would spell a special token."""
    from tokenizers import trainers

    made = blank(settings)
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab - NUM_SPECIAL,
        min_frequency=settings.min_frequency,
        initial_alphabet=alphabet(),
        show_progress=False,
    )
    seen = 0

    def fed() -> Iterator[str]:
        nonlocal seen
        for text in texts:
            seen += bool(text)
            yield plain_text(text, settings)

    made.train_from_iterator(fed(), trainer)
    if not seen:
        raise DataError("no text to learn from", "tokenizer", "documents that hold text")
    merges = json.loads(made.to_str())["model"]["merges"]
    return [(left, right) for left, right in merges if left + right not in SPECIALS]


def train_parity(
    texts: Iterable[tuple[str, str]],
    dev: Iterable[tuple[str, str]],
    settings: Parity,
    *,
    advance: Advance | None = None,
) -> Trained:
    """Parity-aware BPE; the same texts give the same file.

    Args:
        texts: Language and document.
        dev: Language and line of a parallel text, as many lines in each language.
        settings: Vocabulary and variant.
        advance: Told how many tokens there are, and of how many.

    Raises:
        DataError: there is no text, or languages of the parallel text have no text of their own.
    """
    return fitted(counted(texts, dev, settings), settings, advance=advance)


def counted(texts: Iterable[tuple[str, str]], dev: Iterable[tuple[str, str]], settings: Bpe) -> dict[str, Words]:
    """The words of each language, in both texts; `fitted` learns from them, as often as one likes.

    Raises:
        DataError: as `train_parity`.
    """
    train, _ = word_counts(texts, settings)
    parallel, lines = word_counts(dev, settings)
    if not train:
        raise DataError("no text to learn from", "tokenizer", "documents that hold text")
    bare = sorted(set(parallel) - set(train))
    if bare:
        text = f"{', '.join(bare[:8])}: no text to learn from"
        raise DataError(text, "parity", "text in every language of the parallel table")
    return {
        lang: Words(train=words, dev=parallel.get(lang, {}), lines=lines.get(lang, 0)) for lang, words in train.items()
    }


def fitted(words: Mapping[str, Words], settings: Parity, *, advance: Advance | None = None) -> Trained:
    """A parity-aware tokenizer from counted words."""
    size = settings.vocab - NUM_SPECIAL
    merges, chosen = learn(words, alphabet(), size, settings, forbidden=SPECIALS, advance=advance)
    return Trained(assembled(merges, settings), chosen)


def word_counts(texts: Iterable[tuple[str, str]], settings: Bpe) -> tuple[dict[str, Counter[str]], dict[str, int]]:
    """How often each word occurs in each language, cut as the tokenizer cuts; and how many texts there are."""
    made = blank(settings)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    lines: Counter[str] = Counter()
    cut = made.pre_tokenizer
    assert cut is not None
    for lang, text in texts:
        if text:
            lines[lang] += 1
            counts[lang].update(word for word, _ in cut.pre_tokenize_str(plain_text(text, settings)))
    return dict(counts), dict(lines)
