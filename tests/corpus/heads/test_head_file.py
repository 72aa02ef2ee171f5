"""The file of a head: comes back as it was; forged and damaged ones are refused in one line."""

import io
import pickle
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus.heads.hashed import HashedNgrams
from homespun.corpus.heads.head import About, Head, Layer, load_head, save_head
from homespun.corpus.heads.scorer import embedder_of
from homespun.errors import ConfigError, DataError

EMBEDDER = HashedNgrams(bits=6)


def about(**change) -> About:
    said = {
        "kind": "quality",
        "classes": ("other", "good"),
        "embedder": dict(EMBEDDER.spec),
        "labels_sha256": "0" * 64,
        "labels": 5,
    }
    return About(**said | change)


def head(*shapes: tuple[int, int], **change) -> Head:
    generator = np.random.default_rng(0)
    layers = [
        Layer(generator.standard_normal(shape).astype(np.float32), np.zeros(shape[1], np.float32)) for shape in shapes
    ]
    return Head(about(**change), tuple(layers))


@pytest.mark.parametrize("shapes", [[(64, 1)], [(64, 8), (8, 2)]])
def test_a_head_comes_back(tmp_path, shapes) -> None:
    made = head(*shapes, thresholds={"de": 0.9977}, licence="CC-BY-4.0", languages=("de",))
    path = save_head(tmp_path / "a.npz", made)
    found = load_head(path, "quality")
    assert found.about == made.about
    for mine, theirs in zip(made.layers, found.layers, strict=True):
        assert mine.weight.tobytes() == theirs.weight.tobytes()
        assert mine.bias.tobytes() == theirs.bias.tobytes()
    assert save_head(tmp_path / "b.npz", found).read_bytes() == path.read_bytes()
    vectors = np.random.default_rng(1).standard_normal((5, 64)).astype(np.float32)
    assert made.scores(vectors).tobytes() == found.scores(vectors).tobytes()


def test_of_another_kind(tmp_path) -> None:
    path = save_head(tmp_path / "a.npz", head((64, 1)))
    with pytest.raises(DataError, match="is a head for quality, not toxicity"):
        load_head(path, "toxicity")


def test_missing_or_of_a_folder(tmp_path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(DataError, match="try"):
            load_head(path)


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_nothing_is_unpickled(tmp_path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(DataError, match="no head"):
        load_head(path)
    arrays = {"about": np.frombuffer(about().model_dump_json().encode(), np.uint8)}
    array = np.empty((1, 1), dtype=object)
    array[0, 0] = _Bomb()
    np.savez(path, weight_0=array, bias_0=np.zeros(1, np.float32), **arrays)
    with pytest.raises(DataError, match="no head"):
        load_head(path)


def test_a_compressed_file_is_no_head(tmp_path) -> None:
    """A gigabyte of zeros fits into a megabyte: nothing is unpacked before sizes are known."""
    path = tmp_path / "a.npz"
    np.savez_compressed(path, weight_0=np.zeros((1000, 1000), np.float32))
    with pytest.raises(DataError, match="compressed"):
        load_head(path)


def test_an_array_that_claims_to_be_vast(tmp_path) -> None:
    path = tmp_path / "a.npz"
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.npy", b"")
        archive.writestr("weight_0.npy", buffer.getvalue())
    with pytest.raises(DataError, match="no head"):
        load_head(path)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (head((64, 3)), "3 classes"),
        (head((64, 8), (4, 1)), "layer 1"),
        (head((64, 4), (4, 4), (4, 1)), "arrays"),
        (Head(about(), (Layer(np.full((64, 1), np.nan, np.float32), np.zeros(1, np.float32)),)), "not finite"),
        (Head(about(), (Layer(np.zeros((64, 1)), np.zeros(1)),)), "layer 0"),
        (Head(about(), (Layer(np.zeros((64, 1), np.float32), np.zeros(2, np.float32)),)), "layer 0"),
        (Head(about(), (Layer(np.zeros((0, 1), np.float32), np.zeros(1, np.float32)),)), "layer 0"),
    ],
)
def test_layers_that_do_not_fit(tmp_path, made: Head, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_head(save_head(tmp_path / "a.npz", made))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_damaged_file_is_refused_or_whole(tmp_path, data) -> None:
    content = bytearray(save_head(tmp_path / "a.npz", head((64, 1))).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "b.npz"
    path.write_bytes(bytes(content))
    with suppress(DataError):  # and no other error; a bit that nothing depends on, such as a date, may be changed
        assert load_head(path).layers[0].weight.shape == (64, 1)


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "magic"},
        {"kind": "hashed", "bits": 99},
        {"kind": "hashed", "colour": 1},
        {"kind": "minilm"},
        dict(HashedNgrams(bits=7).spec),
        {**EMBEDDER.spec, "words": 1},
    ],
)
def test_embedders_that_do_not_fit(spec) -> None:
    with pytest.raises(DataError, match=r"a\.npz"):
        embedder_of(head((64, 1), embedder=spec), None, "a.npz") and pytest.fail("taken")


def test_the_encoder_has_to_be_given() -> None:
    with pytest.raises(ConfigError, match="needs the encoder"):
        embedder_of(head((64, 1), embedder={"kind": "xlm-r", "weights": "0"}), None, "a.npz")


def test_the_embedder_comes_back() -> None:
    assert embedder_of(head((64, 1)), None, "a.npz") == EMBEDDER
