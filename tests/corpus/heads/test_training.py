"""Heads that learn: numpy equals torch, the schedule is the published one, the same labels give the same bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from scipy.stats import norm

from homespun.corpus.heads.embedder import Passages
from homespun.corpus.heads.encoders import MiniLM
from homespun.corpus.heads.fitting import Mlp, Rows, fit_linear, fit_mlp, warmed
from homespun.corpus.heads.hashed import HashedNgrams
from homespun.corpus.heads.head import Layer, forward, probability, save_head
from homespun.corpus.heads.scorer import scorer
from homespun.corpus.heads.training import Labels, Training, measure, split, train
from homespun.errors import ConfigError, DataError

HASHED = HashedNgrams(bits=16)
LINEAR = Training(kind="quality", shape="linear")


def clouds(count: int = 600, width: int = 12, seed: int = 0) -> Rows:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, count)
    vectors = generator.standard_normal((count, width)).astype(np.float32)
    vectors[:, 0] += 3 * label
    return Rows(vectors, label)


@pytest.mark.parametrize("kind", ["quality", "toxicity"])
def test_numpy_scores_as_torch_does(kind: str) -> None:
    import torch

    width = 32
    torch.manual_seed(3)
    model = torch.nn.Sequential(
        torch.nn.Linear(width, 24),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.2),
        torch.nn.Linear(24, 1 + (kind == "toxicity")),
    ).eval()
    x = torch.randn(200, width) * 3
    with torch.inference_mode():
        logits = model(x)
        expected = (torch.sigmoid(logits)[:, 0] if kind == "quality" else torch.softmax(logits, 1)[:, 1]).numpy()
    layers = tuple(Layer(model[at].weight.detach().numpy().T, model[at].bias.detach().numpy()) for at in (0, 3))
    np.testing.assert_allclose(probability(forward(layers, x.numpy())), expected, atol=1e-5)


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=1, max_size=20))
def test_two_classes_are_the_sigmoid_of_their_difference(rows: list[tuple[float, float]]) -> None:
    logits = np.array(rows)
    np.testing.assert_allclose(probability(logits), softmax(logits, axis=1)[:, 1], atol=1e-6)
    np.testing.assert_allclose(probability(logits[:, :1]), expit(logits[:, 0]), atol=1e-6)


@pytest.mark.parametrize(("kind", "hidden", "out"), [("quality", 256, 1), ("toxicity", 12, 2)])
def test_two_layers_have_the_published_shape_and_learn(kind: str, hidden: int, out: int) -> None:
    settings = Mlp(rate=3e-3)
    layers, settled = fit_mlp(clouds(2000), clouds(seed=1), kind, settings, 0)  # type: ignore[arg-type]
    assert [layer.weight.shape for layer in layers] == [(12, hidden), (hidden, out)]
    test = clouds(seed=2)
    found = probability(forward(layers, test.vectors))
    area = measure(found, test.label)["auroc"]
    # two normal clouds three standard deviations apart: no rule does better than the normal law of 3 / sqrt(2)
    assert area.value > 0.95
    assert area.low < norm.cdf(3 / 2**0.5)
    assert 1 <= settled["epoch"] <= 6
    again, _ = fit_mlp(clouds(2000), clouds(seed=1), kind, settings, 0)  # type: ignore[arg-type]
    assert all(a.weight.tobytes() == b.weight.tobytes() for a, b in zip(layers, again, strict=True))
    other, _ = fit_mlp(clouds(2000), clouds(seed=1), kind, settings, 1)  # type: ignore[arg-type]
    assert other[0].weight.tobytes() != layers[0].weight.tobytes()


def test_training_leaves_torchs_dice_alone() -> None:
    import torch

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    fit_mlp(clouds(80), clouds(40), "quality", Mlp(epochs=1), 0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_kept_epoch_is_the_best_on_validation() -> None:
    """Validation labels that contradict training: every further epoch is worse, so the first is kept."""
    against = clouds(seed=1)
    _, settled = fit_mlp(clouds(3000), Rows(against.vectors, 1 - against.label), "quality", Mlp(), 0)
    assert settled["epoch"] == 1


def test_a_softmax_twice_is_another_loss() -> None:
    import torch

    from homespun.corpus.heads.fitting import _loss

    logits, label = torch.tensor([[1.0, 3.0], [0.5, -2.0]]), torch.tensor([1, 1])
    shares = softmax(logits.numpy(), axis=1)
    assert float(_loss(logits, label, False)) == pytest.approx(-np.log(shares[:, 1]).mean(), rel=1e-6)
    assert float(_loss(logits, label, True)) == pytest.approx(-np.log(softmax(shares, axis=1)[:, 1]).mean(), rel=1e-6)


@given(st.integers(1, 300), st.integers(1, 3000))
def test_the_schedule_is_transformers_linear_one(warmup: int, more: int) -> None:
    total = warmup + more
    share = warmed(warmup, total)
    assert share(0) == 0
    assert share(warmup) == 1
    assert share(total) == 0
    assert share(total + 5) == 0


def test_the_schedule_beside_transformers() -> None:
    import torch
    from transformers import get_linear_schedule_with_warmup

    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
    schedule = get_linear_schedule_with_warmup(optimiser, 20, 60)
    for step in range(60):
        assert schedule.get_last_lr()[0] == pytest.approx(3e-4 * warmed(20, 60)(step), abs=1e-12)
        optimiser.step()
        schedule.step()


def test_a_linear_head_is_scikit_learns_on_weighted_columns() -> None:
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    dense = generator.poisson(0.3, (300, 40)).astype(np.float32)
    label = (dense[:, 0] + generator.random(300) > 0.8).astype(np.int64)
    rows = Rows(sparse.csr_array(dense), label)
    (layer,), settled = fit_linear(rows, rows)
    weighted = TfidfTransformer(norm=None, smooth_idf=True).fit(dense).transform(dense)
    reference = LogisticRegression(C=settled["penalty"], max_iter=5000).fit(weighted, label)
    expected = reference.predict_proba(weighted)[:, 1]
    np.testing.assert_allclose(probability(forward((layer,), rows.vectors)), expected, atol=2e-3)


@pytest.mark.slow
def test_hashed_ngrams_tell_text_from_spoilt_text(good: Labels, tmp_path) -> None:
    head = train(good, HASHED, LINEAR)
    held = head.about.held_out
    assert held["auroc"].low > 0.8
    assert held["accuracy"].low > held["base_rate"].high
    again = train(good, HASHED, LINEAR)
    paths = [save_head(tmp_path / f"{at}.npz", made) for at, made in enumerate((head, again))]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_labels_dealt_by_lot_teach_nothing(good: Labels) -> None:
    """A head that scored well here would have seen the held-out labels."""
    lot = np.random.default_rng(0).integers(0, 2, len(good.texts))
    found = train(good._replace(label=lot), HashedNgrams(bits=12, characters=3), LINEAR).about.held_out["auroc"]
    assert found.low < 0.5 < found.high


@pytest.mark.slow
def test_mild_insults_are_found_by_the_worst_chunk(rude: Labels) -> None:
    embedder = HashedNgrams(bits=16, lower=True, size=400)
    head = train(rude, embedder, Training(kind="toxicity", shape="linear"))
    assert head.about.held_out["auroc"].low > 0.9
    score = scorer(head, embedder)
    clean = rude.texts[int(np.flatnonzero(rude.label == 0)[0])]
    calm, late = score([clean * 6, clean * 6 + " OH SHUT UP, you twit"])
    assert late > calm
    assert late == max(score([piece])[0] for piece in _cut(clean * 6 + " OH SHUT UP, you twit", 400))


def _cut(text: str, size: int) -> list[str]:
    from homespun.corpus.heads.embedder import pieces

    return pieces(text, size)


def test_parts_are_apart_balanced_and_copies_stay_together(rude: Labels) -> None:
    texts = [*rude.texts, *rude.texts]
    labels = rude._replace(texts=texts, label=np.concatenate([rude.label, rude.label]))
    parts = split(labels, Training(kind="toxicity"))
    sets = [set(part.tolist()) for part in parts]
    assert not sets[0] & sets[1] | sets[0] & sets[2] | sets[1] & sets[2]
    words = [{texts[at] for at in part} for part in sets]
    assert not words[0] & words[1] | words[0] & words[2] | words[1] & words[2]
    for part in parts[:2]:
        assert labels.label[part].mean() == 0.5
    assert labels.label[parts.held_out].mean() < 0.4
    assert len(parts.held_out) == pytest.approx(0.1 * len(texts), rel=0.35)


def test_intervals_are_wilsons() -> None:
    label = np.array([1] * 30 + [0] * 70)
    found = measure(np.where(label == 1, 0.9, 0.1).astype(np.float32), label)
    assert found["auroc"].value == found["accuracy"].value == 1
    assert found["base_rate"].value == 0.3
    # Wilson (1927): centre (p + z²/2n) / (1 + z²/n), here computed by hand for 30 of 100 at 95 %
    assert (found["base_rate"].low, found["base_rate"].high) == pytest.approx((0.21895, 0.39585), abs=1e-5)


def test_rows_of_a_group_are_drawn_together() -> None:
    """Each row ten times over: as one group they say no more than once, as rows they seem to."""
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, 60)
    scores = np.clip(0.3 * label + generator.random(60) * 0.7, 0, 1).astype(np.float32)
    names = [str(at) for at in range(60)]
    once = measure(scores, label, names)["auroc"]
    often = measure(np.repeat(scores, 10), np.repeat(label, 10), list(np.repeat(names, 10)))["auroc"]
    apart = measure(np.repeat(scores, 10), np.repeat(label, 10))["auroc"]
    assert often.value == pytest.approx(once.value)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.2)
    assert apart.high - apart.low < 0.5 * (once.high - once.low)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": [0, 2]}, "label 2"),
        ({"label": [0, 0]}, "0 rows with label 1"),
        ({"texts": ["", "x"], "label": [0, 1]}, "row 0 has no text"),
    ],
)
def test_wrong_labels(change: dict, said: str) -> None:
    texts = [text for text in change.get("texts", ["x", "y"]) for _ in range(60)]
    label = np.repeat(change["label"], 60)
    with pytest.raises(DataError, match=said):
        train(Labels(texts, label, (), ""), HASHED, LINEAR)


def test_groups_are_never_divided(good: Labels) -> None:
    parts = split(good, LINEAR)
    assert good.groups is not None
    names = [{good.groups[at] for at in part} for part in parts]
    assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]


def test_equal_texts_cannot_be_split() -> None:
    labels = Labels(["x"] * 60 + ["y"] * 60, np.repeat([0, 1], 60), (), "")
    with pytest.raises(DataError, match="of one class"):
        train(labels, HASHED, LINEAR)


def test_settings_that_cannot_be(good: Labels) -> None:
    with pytest.raises(ConfigError, match="too wide"):
        train(good, HASHED, Training(kind="quality"))
    with pytest.raises(ConfigError, match="shares"):
        Training(kind="quality", validation=0.5, held_out=0.5)


class _Flat:
    """An embedder of three numbers, to train two layers in no time."""

    name, width, spec = "minilm", 3, {"kind": "minilm", "size": 1000}

    def embed(self, texts, chunks=1) -> Passages:
        rows = [[len(t) / 600, t.count("|") / 9, t.count(" ") / 90] for t in texts]
        return Passages(np.array(rows, dtype=np.float32), np.arange(len(texts)))


def test_two_layers_in_one_call(good: Labels) -> None:
    head = train(good, _Flat(), Training(kind="quality"), {"de": 0.9})
    assert head.about.thresholds == {"de": 0.9}
    assert head.about.training["hidden"] == 256
    assert head.about.training["rate"] == 3e-4
    assert head.about.held_out["auroc"].value > 0.6


@pytest.mark.slow
def test_minilm_has_one_vector_a_chunk() -> None:
    from homespun.models.embedding import embed

    text = "A sentence about rivers. " * 10
    vectors, owner = MiniLM(size=100).embed([text, "", "x"], None)
    assert owner.tolist() == [0, 0, 0, 2]
    np.testing.assert_allclose(vectors[-1], embed(["x"])[0], atol=1e-6)
    assert vectors.dtype == np.float32
