"""The model: transformers' logits, documents that don't see each other, and the written-out gradients."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from homespun.errors import ConfigError, DataError
from homespun.pretrain.export import export, load
from homespun.pretrain.loss import cross_entropy
from homespun.pretrain.model import LADDER, Apertus, Config, Packed, dense_mask
from homespun.pretrain.xielu import XIELU, xielu

SMALL = Config(layers=2, width=64, ffn=96, heads=4, kv_heads=2, vocab=128, context=256)


def packed(lengths: list[list[int]], vocab: int = 128, seed: int = 0) -> Packed:
    """Rows of documents of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    total = sum(lengths[0])
    tokens = torch.randint(0, vocab, (len(lengths), total), generator=generator)
    documents = torch.stack([torch.repeat_interleave(torch.arange(len(row)), torch.tensor(row)) for row in lengths])
    positions = torch.stack([torch.cat([torch.arange(n) for n in row]) for row in lengths])
    return Packed(tokens, documents, positions)


def theirs(folder: Path) -> Any:
    """transformers' model of a folder, in float32."""
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.mark.parametrize("factor", [1.0, 8.0])
def test_logits_are_those_of_transformers(tmp_path: Path, factor: float) -> None:
    model = Apertus(replace(SMALL, factor=factor), seed=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():  # scalars and norms away from where they begin
            if weight.ndim == 1:
                weight.add_(torch.linspace(-0.2, 0.3, len(weight)) if len(weight) > 1 else 0.1 * len(name) % 0.4)
        batch = packed([[100]] * 3)
        ours = model.logits(model(batch))
        reference = theirs(export(model, tmp_path, dtype=torch.float32))(batch.tokens).logits
    assert torch.allclose(ours, reference, atol=1e-4)
    assert (ours - reference).abs().max() < 1e-4
    again = load(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert again.config == model.config


@pytest.mark.parametrize("name", LADDER)
def test_the_ladder_counts_its_parameters(name: str) -> None:
    with torch.device("meta"):
        model = Apertus(LADDER[name])
    assert sum(weight.numel() for weight in model.parameters()) == LADDER[name].parameters()


@pytest.mark.parametrize(("name", "published"), [("8B", 8.05e9), ("70B", 70.6e9), ("1.6B", 1.63e9)])
def test_the_published_sizes(name: str, published: float) -> None:
    assert LADDER[name].parameters() == pytest.approx(published, rel=0.002)


def test_documents_are_as_if_run_apart() -> None:
    model = Apertus(SMALL, seed=2)
    batch = packed([[30, 1, 50, 19], [60, 25, 10, 5]])
    with torch.no_grad():
        together = model(batch, dense_mask(batch.documents))
        for row in range(2):
            for document in range(4):
                chosen = batch.documents[row] == document
                tokens = batch.tokens[row, chosen][None]
                alone = model(Packed(tokens, torch.zeros_like(tokens), torch.arange(len(tokens[0]))[None]))
                assert torch.allclose(together[row, chosen], alone[0], atol=2e-5)


def test_no_token_sees_what_follows() -> None:
    model = Apertus(SMALL, seed=2)
    batch = packed([[40]])
    changed = Packed(batch.tokens.clone(), batch.documents, batch.positions)
    changed.tokens[0, 25:] = 0
    with torch.no_grad():
        before, after = model(batch), model(changed)
    assert torch.allclose(before[0, :25], after[0, :25], atol=1e-6)
    assert not torch.allclose(before[0, 25:], after[0, 25:], atol=1e-3)


def test_flex_attention_masks_like_the_dense_reference() -> None:
    from torch.nn.attention.flex_attention import create_block_mask

    model = Apertus(SMALL, seed=3)
    batch = packed([[100, 28], [3, 125]])

    def same(b: Any, h: Any, q: Any, k: Any) -> Any:
        return (batch.documents[b, q] == batch.documents[b, k]) & (q >= k)

    block = create_block_mask(same, 2, None, 128, 128, device="cpu")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.allclose(model(batch, block), model(batch, dense_mask(batch.documents)), atol=2e-5)


def test_xielu_is_transformers_value_and_gradient() -> None:
    from transformers.activations import XIELUActivation

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = XIELUActivation(dtype=torch.float32)
    ours = XIELU()
    assert torch.allclose(ours.alpha_p, reference.alpha_p)
    assert torch.allclose(ours.alpha_n, reference.alpha_n)
    found = []
    for activation in (ours, reference):
        x = torch.linspace(-8, 8, 4000, requires_grad=True)  # 0 is not among them: there ε makes theirs jump
        y = activation(x)
        (y * torch.cos(torch.arange(4000.0))).sum().backward()
        found.append((y, x.grad, activation.alpha_p.grad, activation.alpha_n.grad))
    for mine, other in zip(*found, strict=True):
        assert torch.allclose(mine, other, rtol=1e-4, atol=1e-4)


def test_xielu_gradient_is_its_derivative() -> None:
    x = torch.randn(40, dtype=torch.float64, requires_grad=True)
    slopes = [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (0.7, 1.1)]
    from homespun.pretrain.xielu import _Written

    assert torch.autograd.gradcheck(lambda *given: _Written.apply(*given), (x, *slopes), atol=1e-5, rtol=1e-4)
    assert torch.allclose(_Written.apply(x, *slopes), xielu(x, *slopes))


@pytest.mark.parametrize("left_out", [0.0, 0.3])
def test_sliced_loss_is_the_weighted_mean(monkeypatch: pytest.MonkeyPatch, left_out: float) -> None:
    from homespun.pretrain import loss

    monkeypatch.setattr(loss, "SLICE_BYTES", 1 << 13)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(150, 16, generator=generator)
    head, targets = torch.randn(99, 16, generator=generator), torch.randint(0, 99, (150,), generator=generator)
    weights = torch.rand(150, generator=generator)
    weights[torch.rand(150, generator=generator) < left_out] = 0
    found = []
    for sliced in (True, False):
        h, w = hidden.clone().requires_grad_(), head.clone().requires_grad_()
        if sliced:
            value = cross_entropy(h, w, targets, weights)
        else:
            each = torch.nn.functional.cross_entropy(h @ w.T, targets, reduction="none")
            value = (each * weights).sum() / weights.sum()
        (3 * value).backward()
        found.append((value, h.grad, w.grad))
    for mine, plain in zip(*found, strict=True):
        assert torch.allclose(mine, plain, rtol=1e-4, atol=1e-6)


def test_the_seed_says_the_weights() -> None:
    first, second, other = (Apertus(SMALL, seed=seed) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.lm_head, other.lm_head)


def test_bad_shapes_and_folders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="don't divide"):
        replace(SMALL, heads=3)
    with pytest.raises(DataError, match="cannot be read as a model"):
        load(tmp_path)
    export(Apertus(SMALL), tmp_path)
    settings = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(settings.replace('"hidden_size": 64', '"hidden_size": 32'))
    with pytest.raises(DataError, match="has shape"):
        load(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(DataError, match="is no Apertus"):
        load(tmp_path)
