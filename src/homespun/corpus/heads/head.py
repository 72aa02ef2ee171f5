"""A head: one or two layers on a document's vectors, and the file that holds it.

Quality is d → 256 → 1 with a sigmoid, toxicity d → d → 2 with a softmax, both with ReLU between (d = 768 for XLM-R);
for hashed n-grams a head is one layer. Scoring needs numpy alone. The file is an ``.npz`` of float32 arrays with one
JSON text: it is never unpickled, its members may not be compressed, and every size is checked before it is believed.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from homespun.errors import DataError
from homespun.runs.tables import atomic

Kind = Literal["quality", "toxicity"]
Floats = NDArray[np.float32]
MAX_BYTES = 1 << 28
"""Of a head's file; the largest published head has 1.2 million weights, 5 MB."""
HINT = "a file that homespun corpus train-head wrote"
Fraction = Annotated[float, Field(ge=0, le=1)]


class Measured(BaseModel):
    """A number on labels that the head was not trained on, with its 95 % interval; null where it is not defined."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float | None
    low: float | None
    high: float | None


class About(BaseModel):
    """What a head is, and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    kind: Kind
    classes: tuple[str, str]
    """What labels 0 and 1 mean; a score is the probability of the second, as balanced as the training was."""
    embedder: dict[str, str | int | bool]
    languages: tuple[str, ...] = ()
    """Of the labels; empty: not said."""
    labels_sha256: str
    """Of the table of labels."""
    labels: Annotated[int, Field(ge=0)]
    """Rows of it."""
    licence: str = ""
    """SPDX expression of the labels."""
    training: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Settings, seed included."""
    held_out: dict[str, Measured] = Field(default_factory=dict)
    """auroc, accuracy and base_rate on the part of the labels that was kept out."""
    thresholds: dict[str, Fraction] = Field(default_factory=dict)
    """By language, where whoever trained the head has settled them; `Cut.fixed` takes them."""


class Layer(NamedTuple):
    """An affine map."""

    weight: Floats
    """(d_in, d_out)"""
    bias: Floats
    """(d_out,)"""


class Head(NamedTuple):
    """A head that can score."""

    about: About
    layers: tuple[Layer, ...]

    def scores(self, vectors: Any) -> Floats:
        """(n,) probability of class 1, from vectors (n, d), dense or sparse CSR."""
        return probability(forward(self.layers, vectors))


def forward(layers: tuple[Layer, ...], vectors: Any) -> Floats:
    """(n, d_out) before the sigmoid or softmax; ReLU between layers, no dropout."""
    hidden = vectors
    for at, (weight, bias) in enumerate(layers):
        hidden = np.asarray(hidden @ weight) + bias
        if at + 1 < len(layers):
            hidden = np.maximum(hidden, 0)
    return hidden


def probability(logits: NDArray[np.floating]) -> Floats:
    """(n,) of (n, 1) by the sigmoid, of (n, 2) by the softmax, which is the sigmoid of the difference."""
    from scipy.special import expit

    wide = logits.astype(np.float64)
    return expit(wide[:, 0] if wide.shape[1] == 1 else wide[:, 1] - wide[:, 0]).astype(np.float32)


def save_head(path: Path, head: Head) -> Path:
    """Writes a head; equal heads give equal bytes.

    Raises:
        DataError: the place cannot be written.
    """
    arrays: dict[str, Any] = {"about": np.frombuffer(head.about.model_dump_json().encode(), dtype=np.uint8)}
    for at, layer in enumerate(head.layers):
        arrays |= {f"weight_{at}": layer.weight, f"bias_{at}": layer.bias}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    try:
        with atomic(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
    except OSError as error:
        raise DataError(error.strerror or "cannot be written", str(path), "check the folder") from None
    return path


def load_head(path: Path, kind: Kind | None = None) -> Head:
    """Reads a head.

    Args:
        path: The file.
        kind: What it has to be.

    Raises:
        DataError: missing, damaged, forged, or of another kind.
    """
    arrays = _arrays(path)
    try:
        about = About.model_validate_json(bytes(arrays.pop("about")))
    except (KeyError, TypeError, ValidationError) as error:
        first = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else "no description"
        raise DataError(f"is no head: {first}", str(path), HINT) from None
    if kind is not None and about.kind != kind:
        raise DataError(f"is a head for {about.kind}, not {kind}", str(path), f"a head for {kind}")
    count = len(arrays) // 2
    names = {f"{part}_{at}" for at in range(count) for part in ("weight", "bias")}
    if not 1 <= count <= 2 or set(arrays) != names:
        raise DataError(f"arrays {', '.join(sorted(arrays))[:200] or 'missing'}", str(path), HINT)
    layers = tuple(Layer(arrays[f"weight_{at}"], arrays[f"bias_{at}"]) for at in range(count))
    _check(layers, path)
    return Head(about, layers)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"has {size:,} bytes", str(path), f"a head of at most {MAX_BYTES:,}")
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            packed = [item.filename for item in members.infolist() if item.compress_type != zipfile.ZIP_STORED]
            held = sum(item.file_size for item in members.infolist())
        if packed or held > size:
            raise DataError("is compressed, which a head is not", str(path), HINT)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except DataError:
        raise
    except OSError as error:
        raise DataError(error.strerror or "cannot be read", str(path), "check the path") from None
    except Exception as error:  # whatever a forged archive makes zipfile or numpy say
        raise DataError(f"is no head ({type(error).__name__})", str(path), HINT) from None


def _check(layers: tuple[Layer, ...], path: Path) -> None:
    """That the arrays are layers that fit on each other."""
    width: int | None = None
    for at, (weight, bias) in enumerate(layers):
        shapes: Mapping[str, Any] = {"weight": weight.shape, "bias": bias.shape}
        fits = weight.ndim == 2 and weight.size and bias.shape == weight.shape[1:] and width in (None, weight.shape[0])
        if weight.dtype != np.float32 or bias.dtype != np.float32 or not fits:
            said = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise DataError(f"layer {at} has {said}", str(path), HINT)
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise DataError(f"layer {at} has numbers that are not finite", str(path), HINT)
        width = weight.shape[1]
    if width not in (1, 2):
        raise DataError(f"has {width} classes", str(path), "one or two outputs")
