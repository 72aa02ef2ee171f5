"""Cuts and samples: shares, ties, natural proportions; the same documents in every batch and process."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from homespun.corpus.chance import chances
from homespun.corpus.documents import Batch, documents, parted
from homespun.corpus.filters.cut import PUBLISHED_TOXICITY, Cut
from homespun.corpus.filters.sample import Sample
from homespun.corpus.sketch import Sketch
from homespun.errors import ConfigError, DataError

QUALITY = Cut(column="quality", keep="highest", fraction=0.33)
TOXICITY = Cut(column="toxicity", keep="lowest", fraction=0.95)


def batch(column: str, scores: list[float | None], langs: list[str | None] | None = None, source: str = "web") -> Batch:
    count = len(scores)
    return documents(
        {
            "id": [f"d{at}" for at in range(count)],
            "text": ["x"] * count,
            "lang": langs or ["de"] * count,
            "source": [source] * count,
            column: scores,
        }
    )


def kept(cut: Cut, rows: Batch, thresholds: dict[str, float] | None = None) -> list[str]:
    known = cut.thresholds(cut.sketch(rows)) if thresholds is None else thresholds
    return parted(cut.stage(known).open()(rows), cut.column, len(rows)).kept["id"].to_pylist()


@pytest.mark.parametrize(("cut", "share"), [(QUALITY, 0.33), (TOXICITY, 0.95)])
def test_the_share_that_stays_is_that_of_numpys_quantile(cut: Cut, share: float) -> None:
    scores = np.random.default_rng(1).beta(2, 5, 5000).astype(np.float32)
    rows = batch(cut.column, scores.tolist())
    bound = cut.thresholds(cut.sketch(rows))["de"]
    exact = np.quantile(scores, 1 - share if cut.keep == "highest" else share)
    assert abs(bound - exact) < 2**-8 * exact
    assert abs(len(kept(cut, rows)) / 5000 - share) < 0.004


@given(st.sampled_from([QUALITY, TOXICITY]), st.lists(st.floats(0, 1, width=32), min_size=100, max_size=160))
def test_no_other_threshold_comes_nearer_to_the_share(cut: Cut, scores: list[float]) -> None:
    rows = batch(cut.column, list(scores))
    wanted, stayed = cut.fraction * len(scores), len(kept(cut, rows))
    assert stayed > 0
    edges = cut.sketch(rows).edges("de")
    reachable = [n for n in (edges.above if cut.keep == "highest" else edges.below).tolist() if n]
    assert abs(stayed - wanted) == min(abs(n - wanted) for n in reachable)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=100, max_size=130))
def test_equal_scores_share_a_fate(scores: list[float]) -> None:
    for cut in (QUALITY, TOXICITY):
        rows = batch(cut.column, list(scores))
        stays = set(kept(cut, rows))
        fates = {(score, f"d{at}" in stays) for at, score in enumerate(scores)}
        assert len(fates) == len(set(scores))
        best = max(scores) if cut.keep == "highest" else min(scores)
        assert (best, True) in fates


def test_a_reason_and_what_shows_it() -> None:
    judged = QUALITY.stage({"de": 0.5}).open()(batch("quality", [0.25, 0.5]))
    assert judged["reason"].to_pylist() == ["below_threshold", None]
    assert judged["evidence"].to_pylist() == ["0.25 against 0.5 (de)", None]
    judged = TOXICITY.stage({"de": 0.5}).open()(batch("toxicity", [0.25, 0.5]))
    assert judged["reason"].to_pylist() == [None, "above_threshold"]


def test_thresholds_are_by_language() -> None:
    scores = [*np.linspace(0, 0.5, 500), *np.linspace(0.5, 1, 500)]
    rows = batch("quality", scores, ["de"] * 500 + ["fr"] * 500)
    stays = kept(QUALITY, rows)
    assert sum(int(name[1:]) < 500 for name in stays) == pytest.approx(165, abs=2)
    assert sum(int(name[1:]) >= 500 for name in stays) == pytest.approx(165, abs=2)


@pytest.mark.parametrize("cut", [QUALITY, TOXICITY])
def test_natural_proportions_of_languages_stay(cut: Cut) -> None:
    generator = np.random.default_rng(2)
    sizes = {"de": 6000, "gsw": 3000, None: 1500}
    langs = [lang for lang, size in sizes.items() for _ in range(size)]
    scores = [float(generator.random()) if lang == "de" else None for lang in langs]
    rows = batch(cut.column, scores, langs)
    stays = {int(name[1:]) for name in kept(cut, rows)}
    for lang, size in sizes.items():
        count = sum(at in stays for at, own in enumerate(langs) if own == lang)
        assert binomtest(count, size, cut.fraction).pvalue > 1e-4
        assert lang != "de" or abs(count / size - cut.fraction) < 0.01


def test_a_language_with_few_scores_is_sampled() -> None:
    rows = batch("quality", [0.5] * 99 + [0.1] * 200, ["rm"] * 99 + ["de"] * 200)
    thresholds = QUALITY.thresholds(QUALITY.sketch(rows))
    assert set(thresholds) == {"de"}
    judged = QUALITY.stage(thresholds).open()(rows)
    said = {e for e in judged["evidence"].to_pylist() if e}
    assert said == {"0.33 of rm stay, too few scores for a threshold"}


def test_the_two_cuts_draw_different_lots() -> None:
    ids = [f"d{at}" for at in range(4000)]
    both = (chances(ids, "quality", 0) < 0.5) & (chances(ids, "toxicity", 0) < 0.5)
    assert binomtest(int(both.sum()), 4000, 0.25).pvalue > 1e-4


@given(st.lists(st.none() | st.floats(0, 1, width=32), max_size=60), st.integers(0, 60))
def test_batches_do_not_matter(scores: list[float | None], at: int) -> None:
    rows = batch("quality", scores)
    whole = kept(QUALITY, rows, {"de": 0.5})
    assert kept(QUALITY, rows.slice(0, at), {"de": 0.5}) + kept(QUALITY, rows.slice(at), {"de": 0.5}) == whole
    sketches = QUALITY.sketch(rows.slice(0, at)).merge(QUALITY.sketch(rows.slice(at)))
    assert sketches == QUALITY.sketch(rows)


def test_skipped_sources_stay_and_do_not_count() -> None:
    cut = Cut(column="quality", keep="highest", fraction=0.33, skip_sources=frozenset({"code"}))
    rows = batch("quality", [0.1, None, 0.9], source="code")
    assert cut.sketch(rows) == Sketch()
    assert kept(cut, rows, {"de": 0.5}) == ["d0", "d1", "d2"]


def test_fixed_thresholds_win() -> None:
    cut = Cut(column="toxicity", keep="lowest", fraction=0.95, fixed=PUBLISHED_TOXICITY)
    rows = batch("toxicity", list(np.linspace(0, 1, 200)))
    assert cut.thresholds(cut.sketch(rows)) == dict(PUBLISHED_TOXICITY)


def test_a_stage_travels_to_another_process() -> None:
    stage = QUALITY.stage({"de": 0.5})
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert hash(stage) == hash(QUALITY.stage({"de": 0.5}))
    assert (stage.name, TOXICITY.stage({}).name, dict(stage.files)) == ("quality", "toxicity", {})


@pytest.mark.parametrize(
    "change",
    [{"fraction": 0}, {"fraction": 1.5}, {"min_documents": 0}, {"column": "pii"}, {"fixed": (("de", 2.0),)}],
)
def test_a_wrong_cut(change: dict) -> None:
    with pytest.raises(ConfigError, match="Cut"):
        Cut(**{"column": "quality", "keep": "highest", "fraction": 0.5, **change})


def test_a_score_out_of_range_is_named() -> None:
    with pytest.raises(DataError, match="no score"):
        QUALITY.sketch(batch("quality", [0.5, 1.5]))


def test_an_empty_batch() -> None:
    assert kept(QUALITY, batch("quality", [])) == []
    assert len(Sample(fraction=0.5).open()(batch("quality", []))) == 0


# --- chances and samples


def test_chances_are_known_numbers_in_every_process() -> None:
    code = "from homespun.corpus.chance import chances; print(chances(['a', 'ü'], 'x', 3).tolist())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.strip() == str(chances(["a", "ü"], "x", 3).tolist())
    import hashlib

    digest = hashlib.blake2b(b"x\x003\x00a", digest_size=8).digest()
    assert chances(["a"], "x", 3)[0] == (int.from_bytes(digest, "little") >> 11) / 2**53


def test_chances_are_uniform() -> None:
    from scipy.stats import kstest

    found = chances([str(at) for at in range(20_000)], "x", 0)
    assert kstest(found, "uniform").pvalue > 1e-3
    assert found.min() >= 0
    assert found.max() < 1


@given(st.lists(st.text(max_size=5), unique=True, max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_share_is_part_of_a_greater(ids: list[str], a: float, b: float) -> None:
    rows = documents({"id": ids, "text": ["x"] * len(ids)})
    small, great = (
        set(parted(Sample(fraction=f).open()(rows), "sample", len(rows)).kept["id"].to_pylist()) for f in sorted([a, b])
    )
    assert small <= great
    assert not set(parted(Sample(fraction=0).open()(rows), "sample", len(rows)).kept["id"].to_pylist())


def test_shares_by_language_and_source_are_multiplied() -> None:
    sample = Sample(fraction=0.5, languages=(("de", 0.4), ("und", 0.2)), sources=(("book", 0.5),))
    count = 4000
    for lang, source, share in (
        ("de", "web", 0.4),
        ("de", "book", 0.2),
        ("fr", "book", 0.5),
        ("fr", "web", 0.5),
        (None, "web", 0.2),
    ):
        rows = documents(
            {"id": [f"{lang}{source}{at}" for at in range(count)], "text": ["x"] * count}
            | {"lang": [lang] * count, "source": [source] * count}
        )
        parts = parted(sample.open()(rows), "sample", count)
        assert binomtest(len(parts.kept), count, share).pvalue > 1e-4
        assert set(parts.excluded["reason"].to_pylist()) == {"sampled_out"}
        assert set(parts.excluded["evidence"].to_pylist()) == {f"{share:g} stay"}


@pytest.mark.parametrize("change", [{"fraction": 2}, {"languages": (("de", -1),)}, {"sources": (("a", 1), ("a", 1))}])
def test_a_wrong_sample(change: dict) -> None:
    with pytest.raises(ConfigError, match="Sample"):
        Sample(**change)
