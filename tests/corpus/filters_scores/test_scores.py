"""The stages that score: what is filled, what stays null, and what the scores are."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus.documents import Batch, documents, parted
from homespun.corpus.filters.scores import PUBLISHED_LANGUAGES, Quality, Toxicity
from homespun.corpus.heads.hashed import HashedNgrams
from homespun.corpus.heads.head import About, Head, Layer, save_head
from homespun.corpus.heads.scorer import scorer
from homespun.errors import DataError

EMBEDDER = HashedNgrams(bits=10, size=40)


def made(kind: str, seed: int = 0, languages: tuple[str, ...] = ()) -> Head:
    weight = np.random.default_rng(seed).standard_normal((EMBEDDER.width, 1)).astype(np.float32)
    said = {"classes": ("a", "b"), "embedder": dict(EMBEDDER.spec), "labels_sha256": "", "labels": 0}
    about = About(kind=kind, languages=languages, **said)  # type: ignore[arg-type]
    return Head(about, (Layer(weight, np.array([0.1], np.float32)),))


@pytest.fixture
def quality(tmp_path: Path) -> Path:
    return save_head(tmp_path / "quality.npz", made("quality"))


def batch(texts: list[str | None], langs: list[str | None], source: str = "web") -> Batch:
    count = len(texts)
    return documents({"id": list(map(str, range(count))), "text": texts, "lang": langs, "source": [source] * count})


def test_quality_is_the_first_chunks_and_toxicity_the_worst(tmp_path: Path) -> None:
    text = "first words of it, then many others that follow after, and more, and more " * 3
    parts = EMBEDDER.embed([text], None).vectors
    assert parts.shape[0] > 3
    for kind, stage in (("quality", Quality), ("toxicity", Toxicity)):
        head = made(kind)
        judged = stage(head=save_head(tmp_path / f"{kind}.npz", head)).open()(batch([text], ["de"]))
        alone = head.scores(parts)
        expected = alone[0] if kind == "quality" else alone.max()
        assert judged[kind][0].as_py() == pytest.approx(expected, abs=1e-6)
        assert judged["toxicity" if kind == "quality" else "quality"].null_count == 1


def test_nothing_leaves_and_texts_without_a_character_are_unknown(quality: Path) -> None:
    rows = batch(["abc", "", None, "def"], ["de"] * 4)
    judged = Quality(head=quality).open()(rows)
    assert judged["quality"].is_null().to_pylist() == [False, True, True, False]
    assert judged.drop_columns("quality").equals(rows.drop_columns("quality"))
    assert len(parted(judged, "score_quality", 4).kept) == 4


def test_languages_without_a_classifier_are_unknown(tmp_path: Path, quality: Path) -> None:
    rows = batch(["abc"] * 3, ["de", "rm", None])
    asked = Quality(head=quality, languages=frozenset({"de"})).open()(rows)
    assert asked["quality"].is_null().to_pylist() == [False, True, True]
    trained = save_head(tmp_path / "rm.npz", made("quality", languages=("rm",)))
    assert Quality(head=trained).open()(rows)["quality"].is_null().to_pylist() == [True, False, True]
    assert Quality(head=quality).open()(rows)["quality"].null_count == 0
    assert len(PUBLISHED_LANGUAGES) == 9


def test_a_folder_has_a_head_for_each_language(tmp_path: Path) -> None:
    heads = {lang: made("toxicity", seed) for seed, lang in enumerate(("de", "fr"))}
    for lang, head in heads.items():
        save_head(tmp_path / f"{lang}.npz", head)
    rows = batch(["abc", "abc", "abc"], ["fr", "de", "it"])
    found = Toxicity(head=tmp_path).open()(rows)["toxicity"].to_pylist()
    assert found[2] is None
    assert found[0] == pytest.approx(scorer(heads["fr"], EMBEDDER)(["abc"])[0])
    assert found[1] == pytest.approx(scorer(heads["de"], EMBEDDER)(["abc"])[0])
    assert found[0] != found[1]
    only = Toxicity(head=tmp_path, languages=frozenset({"de"})).open()(rows)["toxicity"]
    assert only.is_null().to_pylist() == [True, False, True]


def test_sources_that_are_left_alone_keep_what_they_said(quality: Path) -> None:
    rows = documents({"id": ["1"], "text": ["abc"], "source": ["code"], "quality": [0.25]})
    stage = Quality(head=quality, skip_sources=frozenset({"code"}))
    assert stage.open()(rows)["quality"].to_pylist() == [0.25]
    assert Quality(head=quality).open()(rows)["quality"].to_pylist() != [0.25]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.lists(st.tuples(st.text(max_size=60) | st.none(), st.sampled_from(["de", None])), max_size=8), st.integers(0, 8)
)
def test_batches_do_not_matter_to_the_last_bit(quality: Path, pairs: list, at: int) -> None:
    rows = batch([text for text, _ in pairs], [lang for _, lang in pairs])
    judge = Quality(head=quality).open()
    whole = judge(rows)["quality"].to_pylist()
    assert judge(rows.slice(0, at))["quality"].to_pylist() + judge(rows.slice(at))["quality"].to_pylist() == whole
    assert all(score is None or 0 <= score <= 1 for score in whole)


def test_a_stage_is_small_equal_to_itself_and_names_its_files(quality: Path) -> None:
    stage = Quality(head=quality)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert len(pickle.dumps(stage)) < 1000
    assert hash(stage) == hash(Quality(head=quality))
    assert dict(stage.files) == {"head": quality}
    assert set(Toxicity(head=quality, encoder=quality.parent).files) == {"head", "encoder"}
    assert (stage.name, Toxicity.name) == ("score_quality", "score_toxicity")


def test_wrong_heads_are_named(tmp_path: Path, quality: Path) -> None:
    with pytest.raises(DataError, match="for quality, not toxicity"):
        Toxicity(head=quality).open()
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no heads"):
        Toxicity(head=tmp_path / "none").open()
    with pytest.raises(DataError, match=r"missing\.npz"):
        Quality(head=tmp_path / "missing.npz").open()
