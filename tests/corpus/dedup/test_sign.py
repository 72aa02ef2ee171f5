"""Keys of a document: what counts as the same text, whatever the batch, the process and the other languages."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.corpus.dedup import Dedup, keys, sign
from homespun.corpus.dedup.minhash import signatures
from homespun.corpus.dedup.sign import READ
from homespun.corpus.dedup.words import KEPT
from homespun.corpus.documents import Batch, documents
from homespun.errors import ConfigError, DataError

TEXT = "it was the best of times it was the worst of times"
VERIFIED = Dedup(verify=0.8)


def batch(texts: list[str | None], langs: list[str | None] | None = None) -> Batch:
    ids = [str(at) for at in range(len(texts))]
    return documents({"id": ids, "text": texts, "lang": langs or [None] * len(texts)})


@pytest.mark.parametrize(
    "other",
    [
        "a b\u00e9",
        "a  b\u00e9",
        " a\r\nb\u00e9\n",
        "a b e\u0301".replace(" e", "e"),
        "a\u00a0b\u00e9",
        "a\u3000b\u00e9",
    ],
)
def test_the_same_text_but_for_blanks_and_composition(other: str) -> None:
    table = sign(batch(["a b\u00e9", other]), Dedup())
    assert table["exact"][0] == table["exact"][1]


@pytest.mark.parametrize("other", ["A b", "a b.", "a bb", "a", "", "á b"])
def test_every_other_change_is_another_text(other: str) -> None:
    table = sign(batch(["a b", other]), Dedup())
    assert table["exact"][0] != table["exact"][1]


def test_exact_is_blake2b_of_the_text_without_blanks() -> None:
    assert sign(batch(["a b"]), Dedup())["exact"][0].as_py() == hashlib.blake2b(b"ab", digest_size=16).digest()


def test_no_shingle_no_band_and_no_text_no_key() -> None:
    table = sign(batch(["one two three four", "one two three four five", "", None]), VERIFIED)
    assert [value is None for value in table["band_03"].to_pylist()] == [True, False, True, True]
    assert [value is None for value in table["signature"].to_pylist()] == [True, False, True, True]
    assert [value is None for value in table["exact"].to_pylist()] == [False, False, False, True]


@pytest.mark.parametrize("settings", [Dedup(), VERIFIED, Dedup(exact=False), Dedup(minhash=False), Dedup(bands=3)])
def test_columns_are_the_keys_even_without_rows(settings: Dedup) -> None:
    empty, one = sign(batch([]), settings), sign(batch([TEXT]), settings)
    assert empty.schema == one.schema
    assert tuple(name for name in one.column_names if name != "signature") == keys(settings)
    assert ("signature" in one.column_names) == (settings is VERIFIED)


def test_languages_are_apart_unless_asked() -> None:
    langs = ["en", "de", None, "en"]
    apart, together = (sign(batch([TEXT] * 4, langs), Dedup(per_language=said)) for said in (True, False))
    assert len(set(apart["band_00"].to_pylist())) == 3
    assert apart["band_00"][0] == apart["band_00"][3]
    assert len(set(together["band_00"].to_pylist())) == 1
    assert len(set(apart["exact"].to_pylist())) == 1


def test_a_signature_holds_the_minima_that_its_bands_are_made_of() -> None:
    table = sign(batch([TEXT, TEXT.replace("worst", "end"), TEXT]), VERIFIED)
    minima = [np.frombuffer(value, "<u4") for value in table["signature"].to_pylist()]
    assert len(minima[0]) == 112
    assert np.array_equal(minima[0], minima[2])
    same = (minima[0] == minima[1]).reshape(14, 8).all(axis=1).tolist()
    assert same == [table[key][0] == table[key][1] for key in keys(VERIFIED) if key != "exact"]
    assert 0 < (minima[0] == minima[1]).mean() < 1


sentences = st.lists(st.sampled_from(["ab", "c", "12", "é", "文字", ".", "\n"]), max_size=30).map(" ".join)


@given(
    st.lists(st.tuples(st.none() | sentences, st.sampled_from(["en", "ja", None])), max_size=8),
    st.integers(0, 8),
)
def test_a_row_does_not_see_the_batch(rows: list[tuple[str | None, str | None]], cut: int) -> None:
    whole = batch([text for text, _ in rows], [lang for _, lang in rows])
    both = pa.concat_tables([sign(whole.slice(0, cut), VERIFIED), sign(whole.slice(cut), VERIFIED)])
    assert sign(whole, VERIFIED).equals(both)
    chunked = pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])
    assert sign(chunked, VERIFIED).equals(both)


def test_long_texts_are_signed_as_short_ones_are() -> None:
    drawn = np.random.default_rng(0).integers(97, 123, (KEPT // 8, 9))
    long = " ".join("".join(map(chr, letters)) for letters in drawn)
    assert len(long) > KEPT > READ
    alone = sign(batch([long]), Dedup())
    among = sign(batch([TEXT, long, long[: READ // 2], long]), Dedup())
    assert among.slice(1, 1).equals(alone)
    assert among.slice(3, 1).equals(alone)


@pytest.mark.parametrize(("read", "hashed"), [(1, 1), (20, 60), (60, 130), (1 << 16, 100)])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, read: int, hashed: int) -> None:
    texts = [TEXT, "short", None, TEXT.replace("worst", "end"), "", TEXT[10:], f"{TEXT} {TEXT}", "four words are few"]
    whole = sign(batch(texts), VERIFIED)
    module = sys.modules[sign.__module__]
    monkeypatch.setattr(module, "READ", read)
    monkeypatch.setattr(module, "HASHED", hashed)
    assert sign(batch(texts), VERIFIED).equals(whole)


def test_every_process_signs_alike() -> None:
    code = (
        "from homespun.corpus.dedup import *; from homespun.corpus.documents import documents;"
        "t = sign(documents({'id': ['a'], 'text': ['it was the best of times'], 'lang': ['en']}), Dedup(verify=.8));"
        "print([v for c in t.columns for v in c.to_pylist()])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_the_hash_functions_are_pinned() -> None:
    """A run of another day must find the same copies: these numbers change only on purpose."""
    table = sign(batch([TEXT], ["en"]), Dedup())
    assert table["exact"][0].as_py().hex() == "d013c4078dc1b0af3ffd74eca634d67b"
    assert [table[f"band_{band:02d}"][0].as_py() for band in (0, 13)] == [7616883110861168539, 6387095908085497109]


def test_what_is_no_text_is_one_clear_error() -> None:
    broken = pa.array([b"\xff\xfe"], pa.large_binary()).view(pa.large_string())
    table = documents({"id": ["a"], "text": ["x"]})
    table = table.set_column(table.schema.get_field_index("text"), "text", broken)
    with pytest.raises(DataError, match="column text: a text is not UTF-8"):
        sign(table, Dedup())


@pytest.mark.parametrize(
    "wrong",
    [
        {"exact": False, "minhash": False},
        {"ngram": 0},
        {"rows": 0},
        {"bands": 0},
        {"bands": 101},
        {"seed": -1},
        {"verify": 0.0},
        {"verify": 1.5},
    ],
)
def test_settings_that_mean_nothing(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="Dedup"):
        Dedup(**wrong)  # pyright: ignore[reportArgumentType]


def test_no_documents_have_no_signatures() -> None:
    from homespun.corpus.dedup.minhash import Shingles

    empty = Shingles(np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert signatures(empty, 4, 0).shape == (4, 0)
