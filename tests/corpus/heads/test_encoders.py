"""XLM-R from a folder: a tiny one with random weights against a loop, a chunk at a time."""

import json
from pathlib import Path

import numpy as np
import pytest

from homespun.corpus.heads.encoders import XlmR
from homespun.corpus.heads.head import About, Head, Layer
from homespun.corpus.heads.scorer import embedder_of, scorer
from homespun.errors import ConfigError, DataError

pytestmark = pytest.mark.slow
TEXTS = ["ab ca acba " * 30, "", "a", "b a b", "cc ab " * 9]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of XLM-R's kind, 16 wide, that reads 20 tokens at a time."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    path = tmp_path_factory.mktemp("xlmr")
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), *((c, -1.0) for c in "▁abc"), ("ab", -1.5)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=20, **names).save_pretrained(path)
    torch.manual_seed(0)
    size = {"vocab_size": len(pieces), "hidden_size": 16, "intermediate_size": 32, "max_position_embeddings": 40}
    config = XLMRobertaConfig(**size, num_hidden_layers=2, num_attention_heads=2, pad_token_id=1)
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(path)
    return path


def one_by_one(folder: Path, text: str) -> np.ndarray:
    """Every chunk alone, without padding: 18 tokens between the marks of beginning and end."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    rows = []
    for at in range(0, len(ids), 18):
        with torch.inference_mode():
            hidden = model(torch.tensor([[0, *ids[at : at + 18], 2]])).last_hidden_state[0]
        rows.append(hidden.mean(0).numpy())
    return np.array(rows)


def test_every_chunk_is_the_mean_of_its_tokens(folder: Path) -> None:
    found = XlmR(folder=folder, batch=3).embed(TEXTS, None)
    for at, text in enumerate(TEXTS):
        expected = one_by_one(folder, text) if text else np.zeros((0, 16))
        own = found.vectors[found.owner == at]
        assert len(own) == len(expected)
        if text:
            np.testing.assert_allclose(own, expected, atol=1e-5)
    assert found.owner.tolist() == sorted(found.owner.tolist())
    assert np.bincount(found.owner)[0] > 5


def test_the_first_chunk_is_the_first_of_all(folder: Path) -> None:
    embedder = XlmR(folder=folder)
    every, first = embedder.embed(TEXTS, None), embedder.embed(TEXTS)
    assert first.owner.tolist() == [0, 2, 3, 4]
    _, where = np.unique(every.owner, return_index=True)
    np.testing.assert_allclose(first.vectors, every.vectors[where], atol=1e-5)


def test_toxicity_is_the_worst_chunks_and_quality_the_firsts(folder: Path) -> None:
    embedder = XlmR(folder=folder)
    generator = np.random.default_rng(0)
    layer = Layer(generator.standard_normal((16, 2)).astype(np.float32), np.zeros(2, np.float32))
    for kind in ("toxicity", "quality"):
        about = About(kind=kind, classes=("a", "b"), embedder=dict(embedder.spec), labels_sha256="", labels=0)
        head = Head(about, (layer,))
        assert embedder_of(head, folder, "x.npz") == embedder
        found = scorer(head, embedder)(TEXTS)
        assert np.isnan(found).tolist() == [False, True, False, False, False]
        for at in (0, 2, 3, 4):
            alone = head.scores(one_by_one(folder, TEXTS[at]))
            assert found[at] == pytest.approx(alone.max() if kind == "toxicity" else alone[0], abs=1e-5)


def test_another_encoder_is_noticed(folder: Path, tmp_path: Path) -> None:
    import shutil

    moved = shutil.copytree(folder, tmp_path / "moved")
    assert XlmR(folder=moved).spec == XlmR(folder=folder).spec
    changed = shutil.copytree(folder, tmp_path / "changed")
    config = json.loads((changed / "config.json").read_text())
    (changed / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 0.1}))
    about = About(
        kind="quality", classes=("a", "b"), embedder=dict(XlmR(folder=folder).spec), labels_sha256="", labels=0
    )
    layer = Layer(np.zeros((16, 1), np.float32), np.zeros(1, np.float32))
    with pytest.raises(DataError, match="other vectors"):
        embedder_of(Head(about, (layer,)), changed, "x.npz")


def test_folders_that_are_none(folder: Path, tmp_path: Path) -> None:
    import shutil

    with pytest.raises(DataError, match="holds no model"):
        _ = XlmR(folder=tmp_path).width
    with pytest.raises(DataError, match=r"lacks config\.json"):
        XlmR(folder=tmp_path).embed(["a"])
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises((DataError, ConfigError), match="cannot be loaded"):
        XlmR(folder=broken).embed(["a"])
