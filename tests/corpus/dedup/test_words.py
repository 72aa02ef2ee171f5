"""Words: worked examples, the rule written out a second time, and laws."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.corpus.dedup.words import words

ALONE = "\u0e01-\u0e30\u4e00-\u9fff\u3041-\u30ff\u1780-\u17b3"
ALPHABET = "aBzÉ\u0301ßЖя가한数文字のカกขគហक\u093f \n.,-_’5٣\u00ad\u200d\u0000😀"


def hashes(text: str) -> list[int]:
    return words([text], 0).hashes.tolist()


def spelled(text: str) -> list[str]:
    """The same words by Unicode's own functions and one pattern, a text at a time."""
    kept = [c for c in text if unicodedata.category(c) not in ("Mn", "Cf")]
    folded = [unicodedata.normalize("NFD", c.lower()) for c in kept]
    plain = "".join(c if "가" <= c.lower() <= "힣" else "".join(d for d in f if not unicodedata.combining(d))
                    for c, f in zip(kept, folded, strict=True))  # fmt: skip
    plain = re.sub(r"\d+(?:[.,]\d+)*", " 0 ", plain)
    plain = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in plain)
    return re.sub(rf"([{ALONE}])", r" \1 ", plain).split()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The  Cat, sat!", "the cat\nsat"),
        ("Éclair déjà vu", "eclair deja vu"),
        ("e\u0301clair", "éclair"),
        ("costs 3.14 or 1,000,000", "costs 7 or 12"),
        ("١٢٣ كتاب", "5 كتاب"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("ΣΟΦΟΣ", "σοφοσ"),
    ],
)
def test_what_is_simplified(one: str, other: str) -> None:
    assert hashes(one) == hashes(other)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("...", 0),
        ("don't", 2),
        ("snake_case", 2),
        ("2024-11-25", 3),
        ("你好世界", 4),
        ("ひらがな カタカナ", 8),
        ("กขค", 3),
        ("한국어 단어", 2),
        ("h264", 2),
        ("中abc文", 3),
    ],
)
def test_how_many_words(text: str, count: int) -> None:
    assert len(hashes(text)) == count


def test_order_of_letters_counts() -> None:
    drawn = ["abc", "acb", "bac", "bca", "cab", "cba", "ab", "abcabc", "a", "aa", "aaa"]
    assert len({hashes(word)[0] for word in drawn}) == len(drawn)


@given(st.lists(st.text(ALPHABET, max_size=60), max_size=8))
def test_words_are_those_of_the_written_rule(texts: list[str]) -> None:
    expected = [spelled(text) for text in texts]
    found = words(texts, 0)
    assert found.counts.tolist() == [len(each) for each in expected]
    flat = [word for each in expected for word in each]
    by_word = dict(zip(flat, found.hashes.tolist(), strict=True))
    assert [by_word[word] for word in flat] == found.hashes.tolist()
    assert len(set(by_word.values())) == len(by_word)


@given(st.lists(st.text(max_size=40), max_size=8), st.integers(0, 8))
def test_a_text_does_not_see_its_neighbours(texts: list[str], cut: int) -> None:
    whole, first, second = words(texts, 3), words(texts[:cut], 3), words(texts[cut:], 3)
    assert whole.hashes.tolist() == first.hashes.tolist() + second.hashes.tolist()
    assert whole.counts.tolist() == first.counts.tolist() + second.counts.tolist()


def test_another_seed_is_another_hash_of_the_same_words() -> None:
    text = "one two three two one"
    one, other = words([text], 0).hashes, words([text], 1).hashes
    assert not np.any(one == other)
    assert np.array_equal(one[:, None] == one, other[:, None] == other)
