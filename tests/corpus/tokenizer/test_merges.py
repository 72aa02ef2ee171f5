"""Merges: the library's where there is one language, and against a slow reading of the paper where there are more."""

import itertools
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.corpus.tokenizer.files import Merge, alphabet
from homespun.corpus.tokenizer.merges import Merges, Parity, learn
from homespun.corpus.tokenizer.specials import NUM_SPECIAL
from homespun.corpus.tokenizer.symbols import Words
from homespun.corpus.tokenizer.train import bpe_merges, train_parity, word_counts
from homespun.errors import ConfigError, DataError

WORDS = st.dictionaries(st.text("abc", min_size=1, max_size=7), st.integers(0, 9), max_size=8)


def slow(languages: Mapping[str, Words], letters: str, size: int, settings: Parity) -> Merges:
    """The paper's loop, everything counted anew at each step."""
    ids = {letter: at for at, letter in enumerate(letters)}
    names = sorted(languages)
    split = {
        (name, word): list(word) for name in names for word in {*languages[name].train, *languages[name].dev} if word
    }
    merges: list[Merge] = []
    chosen: Counter[str] = Counter()
    recent: list[str] = []
    waiting = {name for name in names if languages[name].lines}

    def counts(of: list[str]) -> Counter[Merge]:
        found: Counter[Merge] = Counter()
        for (name, word), symbols in split.items():
            if name in of:
                for pair in itertools.pairwise(symbols):
                    found[pair] += languages[name].train.get(word, 0)
        return found

    def cost(name: str) -> float:
        dev = languages[name].dev
        return sum(len(split[name, word]) * count for word, count in dev.items() if word) / languages[name].lines

    while len(ids) < size:
        if chosen[""] < settings.global_merges:
            who, of = "", names
        else:
            most = settings.alpha * settings.window / len([n for n in names if languages[n].lines])
            last = recent[-(settings.window - 1) :] if settings.window > 1 else []
            allowed = [name for name in sorted(waiting) if not settings.window or last.count(name) + 1 <= most]
            allowed = allowed or sorted(waiting)
            if not allowed:
                break
            who = max(allowed, key=lambda name: (cost(name), [-ord(c) for c in name]))
            of = [who]
        found = counts(of)
        best = min(found, key=lambda pair: (-found[pair], ids[pair[0]], ids[pair[1]]), default=None)
        if best is None or found[best] < settings.min_frequency:
            if not who:
                break
            waiting.discard(who)
            continue
        merges.append(best)
        ids.setdefault("".join(best), len(ids))
        chosen[who] += 1
        if who:
            recent.append(who)
        for symbols in split.values():
            at = 0
            while at < len(symbols) - 1:
                if (symbols[at], symbols[at + 1]) == best:
                    symbols[at : at + 2] = ["".join(best)]
                at += 1
    return Merges(merges, dict(chosen))


@given(
    train=st.lists(WORDS, min_size=2, max_size=3),
    dev=st.lists(WORDS, min_size=3, max_size=3),
    first=st.integers(0, 3),
    window=st.sampled_from([0, 3, 6]),
)
def test_every_step_is_that_of_the_slow_reading(
    train: list[dict[str, int]], dev: list[dict[str, int]], first: int, window: int
) -> None:
    languages = {name: Words(train=t, dev=d, lines=2) for name, t, d in zip("xyz", train, dev, strict=False)}
    settings = Parity(global_merges=first, window=window, alpha=1.0)
    fast = learn(languages, "abc", 14, settings)
    assert fast == slow(languages, "abc", 14, settings)


@given(words=st.lists(st.text("abcé漢 ", min_size=1, max_size=12), min_size=1, max_size=40))
def test_with_one_language_the_merges_are_those_of_the_library(words: list[str]) -> None:
    settings = Parity(vocab=330, window=5)
    counts, _ = word_counts((("xx", word) for word in words), settings)
    language = Words(train=counts.get("xx", {}), dev=counts.get("xx", {}), lines=len(words))
    own = learn({"xx": language}, alphabet(), 330 - NUM_SPECIAL, settings)
    assert own.merges == bpe_merges(words, settings)


def test_with_one_language_the_merges_are_those_of_the_library_on_longer_text(texts: list[tuple[str, str]]) -> None:
    settings = Parity(vocab=1200)
    one = [("xx", text) for _, text in texts]
    made = train_parity(one, one[:50], settings)
    library = bpe_merges((text for _, text in texts), settings)
    assert len(library) > 700
    counts, _ = word_counts(one, settings)
    hybrid = Parity(vocab=1200, global_merges=10_000)
    assert learn({"xx": Words(train=counts["xx"])}, alphabet(), 1200 - NUM_SPECIAL, hybrid).merges == library
    assert made.chosen == {"xx": len(library)}


def test_the_worst_off_language_is_served(texts: list[tuple[str, str]], dev: list[tuple[str, str]]) -> None:
    made = train_parity(texts, dev, Parity(vocab=700))
    assert made.chosen["km"] > made.chosen["el"] > made.chosen["en"]  # three bytes a letter, two, one


def test_the_window_bounds_a_languages_turns() -> None:
    stuck = Words(train={"abcabcabcabc" * 3: 5, "cba": 5}, dev={"zzzz": 100}, lines=1)
    other = Words(train={"xyxyxyyx": 5, "yyx": 4}, dev={"xy": 1}, lines=1)
    letters = "abcxyz"
    without = learn({"stuck": stuck, "other": other}, letters, 12, Parity())
    assert without.chosen == {"stuck": 6}  # its merges never shorten its development text
    within = learn({"stuck": stuck, "other": other}, letters, 12, Parity(window=2, alpha=1.0))
    assert within.chosen == {"stuck": 3, "other": 3}


def test_a_language_without_pairs_is_passed_over() -> None:
    empty = Words(train={"a": 9}, dev={"aaaa": 100}, lines=1)
    other = Words(train={"bcbc": 9}, dev={"bc": 1}, lines=1)
    assert learn({"empty": empty, "other": other}, "abc", 9, Parity()).chosen == {"other": 2}


def test_no_merge_spells_what_is_forbidden() -> None:
    words = Words(train={"abab": 9}, dev={"abab": 1}, lines=1)
    merges = [("b", "a"), ("a", "ba"), ("aba", "b")]  # spellchecker:disable-line
    assert learn({"x": words}, "ab", 9, Parity(), forbidden=["ab"]).merges == merges


def test_a_character_that_is_no_byte_is_refused() -> None:
    with pytest.raises(DataError, match="character 'z' is no byte"):
        learn({"x": Words(train={"az": 1})}, "ab", 9, Parity())


def test_languages_must_be_comparable(texts: list[tuple[str, str]]) -> None:
    with pytest.raises(DataError, match="no language has development lines"):
        train_parity(texts, [], Parity(vocab=600))
    with pytest.raises(DataError, match="xx: no text to learn from"):
        train_parity(texts, [("xx", "words")], Parity(vocab=600))
    with pytest.raises(DataError, match="no text to learn from"):
        train_parity([], [], Parity(vocab=600))


@pytest.mark.parametrize("wrong", [{"alpha": 0.5}, {"window": -1}, {"global_merges": -1}, {"vocab": 100}])
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Parity(**wrong)  # pyright: ignore[reportArgumentType]
