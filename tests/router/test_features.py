import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from homespun.errors import DataError
from homespun.router.features import FeatureConfig, Features
from homespun.router.labels import SoftLabels
from homespun.router.scalars import SCALARS, clip, scalars, scalars_of
from homespun.router.terms import Terms

PROMPTS = [
    f"How many {thing} does {who} have after {n} days?" for thing in ("eggs", "coins") for who in "AB" for n in (1, 22)
]
PROMPTS += [
    "Which of the following is not true?\nA. cats\nB. dogs\nC. birds",
    "def f(x):\n    return x == 3  # ```code```",
]


@pytest.mark.parametrize(("words", "characters"), [(500, 0), (0, 500), (500, 500)])
def test_terms_are_scikit_learn_s(words, characters):
    common = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}
    expected = []
    if words:
        expected.append(TfidfVectorizer(ngram_range=(1, 2), max_features=words, **common))
    if characters:
        expected.append(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), max_features=characters, **common))
    ours, texts = Terms(words, characters), [*PROMPTS, "wholly unknown", ""]
    fitted = ours.fit(PROMPTS).toarray()
    theirs = np.hstack([model.fit(PROMPTS).transform(texts).toarray() for model in expected])
    assert np.allclose(ours.transform(texts).toarray(), theirs, atol=1e-6)
    assert np.allclose(fitted, theirs[: len(PROMPTS)], atol=1e-6)


def test_latent_block_keeps_distances_at_full_rank():
    features = Features(FeatureConfig(rank=200))
    seen = features.fit(PROMPTS)
    latent = seen.dense[:, features.blocks()["latent"]]
    rows = seen.terms.toarray()
    gram, expected = latent @ latent.T, (rows - rows.mean(axis=0)) @ (rows - rows.mean(axis=0)).T
    assert np.allclose(gram / np.trace(gram), expected / np.trace(expected), atol=0.02)


def test_blocks_weigh_the_same():
    features = Features(FeatureConfig(rank=4))
    dense = features.fit(PROMPTS).dense
    assert np.allclose(dense.mean(axis=0), 0, atol=1e-9)
    assert np.square(dense[:, features.blocks()["latent"]]).sum(axis=1).mean() == pytest.approx(1)
    used = dense.std(axis=0)[: len(SCALARS)]
    assert np.allclose(used[used > 0], 1 / np.sqrt(len(SCALARS)))


def test_counts_by_hand():
    found = dict(zip(SCALARS, scalars("How many of 12 cats cost $1,500.5 each?\nA. two\nB. four"), strict=True))
    assert found["numbers"] == pytest.approx(np.log1p(2))
    assert found["largest_number"] == pytest.approx(np.log1p(1500.5))
    assert found["decimals"] == 0.5
    assert found["options"] == pytest.approx(np.log1p(2))
    assert found["option_length"] == pytest.approx(3.5 / 100)
    assert found["how_many"] == found["rates"] == found["money_percent"] == pytest.approx(np.log1p(1))
    assert found["lines"] == pytest.approx(np.log1p(2))


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300))
def test_any_text_has_finite_features(text):
    assert len(scalars(text)) == len(SCALARS)
    assert np.isfinite(scalars(text)).all()


def test_a_million_characters_are_read_at_both_ends():
    long = "start " + "x" * 10**6 + " end"
    assert len(clip(long)) == 8001
    assert clip(long).startswith("start")
    assert clip(long).endswith("end")
    features = Features(FeatureConfig(rank=4))
    features.fit(PROMPTS)
    assert np.isfinite(features.transform([long, "9" * 10**6])).all()
    assert scalars_of([long])[0, 0] == pytest.approx(np.log1p(len(long)))


def test_a_text_without_known_terms_and_a_single_prompt():
    features = Features()
    features.fit(["lonely"])
    assert np.isfinite(features.transform(["", "else"])).all()


def test_saved_and_loaded_see_the_same(tmp_path):
    features = Features(FeatureConfig(rank=5, num_characters=50))
    features.fit(PROMPTS)
    features.save(tmp_path)
    assert np.array_equal(Features.load(tmp_path).transform(PROMPTS), features.transform(PROMPTS))


def test_hostile_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="not a saved set of features"):
        Features.load(tmp_path)
    Features(FeatureConfig(rank=3)).fit(PROMPTS)
    made = Features(FeatureConfig(rank=3))
    made.fit(PROMPTS)
    made.save(tmp_path)
    whole = json.loads((tmp_path / "features.json").read_text())
    for broken in (
        "[]",
        "{",
        json.dumps(whole | {"scalars": ["x"]}),
        json.dumps(whole | {"vocabularies": {"words": ["a"]}}),
    ):
        (tmp_path / "features.json").write_text(broken)
        with pytest.raises(DataError, match="not a saved set of features"):
            Features.load(tmp_path)


def test_a_pickle_is_never_opened(tmp_path):
    made = Features(FeatureConfig(rank=3))
    made.fit(PROMPTS)
    made.save(tmp_path)
    np.savez(tmp_path / "features.npz", mean=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="not a saved set of features"):
        Features.load(tmp_path)


def test_labels_of_training_prompts_are_left_out():
    """The block of a training prompt is what a reader fitted without it would say, found by refitting."""
    random = np.random.default_rng(0)
    seen = random.normal(size=(40, 5))
    names = [str(int(value > 0) + int(value > 1)) for value in seen[:, 0] + random.normal(size=40)]
    reader = SoftLabels()
    block = reader.fit(seen, names)
    probability = block / reader.scale + reader.mean_C
    onehot = np.array([[name == other for other in reader.names] for name in names], dtype=float)
    for i in (0, 7, 39):
        rest = np.arange(40) != i
        # the penalty and the intercept, as one augmented least-squares problem without prompt i
        design = np.hstack([seen[rest] - seen.mean(axis=0), np.ones((39, 1))])
        inverse = np.linalg.inv(design.T @ design + np.diag([10.0] * 5 + [0.0]))
        score = np.append(seen[i] - seen.mean(axis=0), 1) @ inverse @ design.T @ onehot[rest]
        expected = np.exp(reader.sharpness * score) / np.exp(reader.sharpness * score).sum()
        assert np.allclose(probability[i], expected, atol=1e-9)


def test_labels_that_can_be_told_are_told():
    random = np.random.default_rng(1)
    code = random.integers(0, 3, 200)
    seen = np.eye(3)[code] * 4 + random.normal(size=(200, 3)) * 0.5
    reader = SoftLabels()
    reader.fit(seen[:150], [f"kind {i}" for i in code[:150]])
    told = reader.probability(seen[150:])
    assert np.allclose(told.sum(axis=1), 1)
    assert (told.argmax(axis=1) == code[150:]).mean() > 0.95
    again = SoftLabels.restored(reader.arrays())
    assert np.array_equal(again.block(seen), reader.block(seen))
