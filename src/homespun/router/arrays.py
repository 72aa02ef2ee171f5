"""Arrays on disk: an ``.npz`` that is read whole, closed again, and never unpickled."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, zipfile.BadZipFile)
"""What reading a missing, cut or forged file can raise."""


def read_arrays(path: Path) -> dict[str, Any]:
    """All arrays of a file by name; raises one of `DAMAGE` where it is not what ``np.savez`` writes."""
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def under(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """The arrays whose names begin so, without that beginning."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
