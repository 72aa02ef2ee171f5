"""Tokenizers as files: what goes in comes out, special tokens are whole, letters never become control."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from homespun.corpus.tokenizer import CONTROL, MARKERS, SPECIALS, Bpe, Parity, read, save, train_bpe, train_parity
from homespun.corpus.tokenizer.files import PATTERN, alphabet, assembled, blank
from homespun.corpus.tokenizer.specials import NUM_SPECIAL
from homespun.errors import ConfigError, DataError

TEXT = st.text() | st.lists(st.sampled_from([*SPECIALS, " ", "a", "漢字", "\r\n", "ា", "12345", "\x00"])).map("".join)


@pytest.fixture(scope="module")
def both(folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """As saved, and as documents are read with."""
    return Tokenizer.from_file(str(folder / "tokenizer.json")), read(folder)


@given(text=TEXT)
def test_decoding_gives_the_composed_text(both: tuple[Tokenizer, Tokenizer], text: str) -> None:
    for tokenizer, whole in zip(both, (SPECIALS, MARKERS), strict=True):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        parts = [part if part in whole else unicodedata.normalize("NFC", part) for part in cut(text, whole)]
        assert tokenizer.decode(ids, skip_special_tokens=False) == "".join(parts)


def cut(text: str, specials: tuple[str, ...]) -> list[str]:
    """Special tokens, and the pieces between them: each of these is composed by itself."""
    return [part for part in re.split("(" + "|".join(map(re.escape, specials)) + ")", text) if part]


@given(text=st.text())
def test_without_normal_form_the_very_text_comes_back(text: str) -> None:
    made = assembled([], Bpe(vocab=288, nfc=False))
    assert made.decode(made.encode(text, add_special_tokens=False).ids, skip_special_tokens=False) == text


@given(text=TEXT)
def test_letters_of_a_document_never_become_control(both: tuple[Tokenizer, Tokenizer], text: str) -> None:
    encoded = both[1].encode(text, add_special_tokens=False)
    assert not {SPECIALS[at] for at in encoded.ids if at < NUM_SPECIAL} & set(CONTROL)
    assert [t for t in encoded.tokens if t in MARKERS] == [part for part in cut(text, MARKERS) if part in MARKERS]


@given(text=st.text(max_size=300) | st.sampled_from(["a", " ", "\n", "!", "é", "漢", "A", "1"]).map(lambda c: c * 500))
def test_cuts_are_bounded_and_lose_nothing(text: str) -> None:
    made = blank(Bpe(nfc=False)).pre_tokenizer
    assert made is not None
    places = [place for _, place in made.pre_tokenize_str(text)]
    assert "".join(text[start:stop] for start, stop in places) == text
    assert all(stop - start <= 128 for start, stop in places)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello world", ["Hello", " world"]),
        ("camelCase HTTPServer", ["camel", "Case", " HTTPServer"]),
        ("12345 6", ["123", "45", " ", "6"]),
        ("漢字かなlatin", ["漢字かな", "latin"]),
        ("wait...\n\nnext", ["wait", "...\n\n", "next"]),
        ("a   b", ["a", "  ", " b"]),
        ("it's", ["it", "'s"]),
        ("\t\tif", ["\t", "\tif"]),
        ("end  \n x", ["end", "  \n", " x"]),
        ("ភាសា ខ្មែរ", ["ភាសា", " ខ្មែរ"]),
    ],
)
def test_where_text_is_cut(text: str, pieces: list[str]) -> None:
    made = blank(Bpe()).pre_tokenizer
    assert made is not None
    assert [text[start:stop] for _, (start, stop) in made.pre_tokenize_str(text)] == pieces


def test_ids_stand_where_they_were_promised(both: tuple[Tokenizer, Tokenizer]) -> None:
    assert SPECIALS[:4] == ("<unk>", "<s>", "</s>", "<pad>")
    assert len(SPECIALS) == len(set(SPECIALS)) == NUM_SPECIAL
    for tokenizer in both:
        assert [tokenizer.token_to_id(token) for token in SPECIALS] == list(range(NUM_SPECIAL))
        assert [tokenizer.token_to_id(c) for c in alphabet()] == list(range(NUM_SPECIAL, NUM_SPECIAL + 256))
        assert tokenizer.get_vocab_size() == 700


def test_every_merge_joins_what_exists_before_it(folder: Path) -> None:
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    known = {*alphabet()}
    for left, right in model["merges"]:
        assert {left, right} <= known
        known.add(left + right)
    assert known == set(model["vocab"]) - set(SPECIALS)


def test_merges_that_cannot_be_are_refused() -> None:
    for merges in ([("ab", "c")], [("a", "<s>")], [("<", "s"), ("<s", ">")]):
        with pytest.raises(ConfigError, match="merge"):
            assembled(merges, Bpe(vocab=400))


def test_the_same_texts_give_the_same_bytes(
    texts: list[tuple[str, str]], dev: list[tuple[str, str]], folder: Path, tmp_path: Path
) -> None:
    again = save(train_bpe((text for _, text in reversed(texts)), Bpe(vocab=700)), tmp_path / "again")
    assert (again / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    fair = [save(train_parity(t, dev, Parity(vocab=500)).tokenizer, tmp_path / n) for n, t in
            (("a", texts), ("b", texts[::-1]))]  # fmt: skip
    assert (fair[0] / "tokenizer.json").read_bytes() == (fair[1] / "tokenizer.json").read_bytes()


def test_markers_in_training_text_leave_no_trace() -> None:
    said = train_bpe(["mail <email-pii> now"] * 20, Bpe(vocab=400)).get_vocab()
    assert not [token for token in said if "pii" in token and token not in MARKERS]


@pytest.mark.slow
def test_transformers_reads_it_and_speaks_the_chat(folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast.from_pretrained(folder)
    assert (made.unk_token_id, made.bos_token_id, made.eos_token_id, made.pad_token_id) == (0, 1, 2, 3)
    turns = [{"role": "system", "content": "S"}, {"role": "user", "content": " hi\n"}]
    text = made.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == "<s><|system|>S<|system-end|><|user|> hi\n<|user-end|><|assistant|>"
    ids = made.encode(text, add_special_tokens=False)
    assert made.convert_ids_to_tokens(ids)[:3] == ["<s>", "<|system|>", "S"]
    assert made.decode(ids) == text
    with pytest.raises(Exception, match="no role stranger"):
        made.apply_chat_template([{"role": "stranger", "content": ""}], tokenize=False)
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert made("Hello <email-pii>").input_ids == own.encode("Hello <email-pii>").ids


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"model": 1}', b"\xff\xfe"])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(DataError, match=r"tokenizer"):
        read(tmp_path)


def test_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="no text to learn from"):
        train_bpe(["", ""], Bpe(vocab=300))


def test_the_pattern_repeats_nothing_without_end() -> None:
    assert not [c for c in ("*", "+") if c in PATTERN]
