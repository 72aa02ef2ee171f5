"""A few languages' worth of text of our own, and a tokenizer learnt from it."""

import itertools
import random
from pathlib import Path

import pytest

from homespun.corpus.tokenizer import Bpe, save, train_bpe

LETTERS = {"en": "abcdefghilmnorstu", "el": "αβγδεζηθικλμνοπρστυ", "km": "កខគឃងចឆជឈញដឋឌឍណតថទធន"}


def sentences(lang: str, count: int, seed: int = 0) -> list[str]:
    """Invented sentences: few words of a language's letters, often repeated."""
    rng = random.Random(f"{lang}{seed}")
    words = ["".join(rng.choices(LETTERS[lang], k=rng.randint(2, 8))) for _ in range(150)]
    weights = [1 / (at + 1) for at in range(len(words))]
    return [" ".join(rng.choices(words, weights, k=8)) + "." for _ in range(count)]


@pytest.fixture(scope="session")
def texts() -> list[tuple[str, str]]:
    """Far more English than Greek, more Greek than Khmer."""
    shares = {"en": 400, "el": 80, "km": 30}
    return [(lang, text) for lang, count in shares.items() for text in sentences(lang, count)]


@pytest.fixture(scope="session")
def dev() -> list[tuple[str, str]]:
    """As many lines of each; the words are those of the training text."""
    return [(lang, text) for lang in LETTERS for text in sentences(lang, 500)[-40:]]


@pytest.fixture(scope="session")
def folder(texts: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain tokenizer of 700 tokens."""
    made = train_bpe(itertools.chain((text for _, text in texts)), Bpe(vocab=700))
    return save(made, tmp_path_factory.mktemp("tokenizer") / "plain")
