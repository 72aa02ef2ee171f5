"""Tables in, tables out: Parquet, CSV or JSONL by column name, hostile until checked, written whole or not at all."""

import hashlib
import os
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl

from homespun.errors import DataError

Kind = Literal["text", "number", "fraction", "count", "boolean", "any"]
FORMATS = (".parquet", ".csv", ".jsonl", ".ndjson")


@contextmanager
def atomic(path: Path) -> Generator[Path]:
    """Gives a temporary path beside ``path`` and moves it into place only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Checksum of a file, or of a folder's files with their names.

    Raises:
        DataError: the path cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if path.is_dir():
            for file in sorted(item for item in path.rglob("*") if item.is_file()):
                digest.update(file.relative_to(path).as_posix().encode() + b"\0" + sha256(file).encode())
        else:
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise DataError(error.strerror or "cannot be read", str(path), "check the path") from None
    return digest.hexdigest()


def write_table(path: Path, frame: pl.DataFrame) -> Path:
    """Writes a table in the format of its suffix; the same frame gives the same bytes.

    Raises:
        DataError: the suffix names no known format, or the place cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"unknown table format {suffix!r}", str(path), "one of .parquet .csv .jsonl")
    try:
        with atomic(path) as temporary:
            if suffix == ".parquet":
                frame.write_parquet(temporary, compression="zstd")
            elif suffix == ".csv":
                frame.write_csv(temporary)
            else:
                frame.write_ndjson(temporary)
    except OSError as error:
        raise DataError(error.strerror or "cannot be written", str(path), "check the folder") from None
    return path


def read_table(
    path: Path | str,
    required: Mapping[str, Kind],
    optional: Mapping[str, Kind] | None = None,
) -> pl.DataFrame:
    """Reads a table and checks it; returns the named columns only, with the types asked for.

    Args:
        path: A ``.parquet``, ``.csv``, ``.jsonl`` or ``.ndjson`` file.
        required: Columns that must be there and hold no nulls, with their kind.
        optional: Columns to take when they are there; nulls allowed.

    Raises:
        DataError: unreadable, empty, a column missing, of the wrong type or out of range; the text names
            the first offending row.
    """
    path = Path(path)
    frame = _read(path)
    missing = [name for name in required if name not in frame.columns]
    if missing:
        there = ", ".join(name[:40] for name in frame.columns[:12]) or "none"
        raise DataError(f"missing column {', '.join(map(repr, missing))}", str(path), f"columns there: {there}")
    if frame.height == 0:
        raise DataError("the table has no rows", str(path), "a table with at least one row")
    wanted: dict[str, Kind] = {**required, **{k: v for k, v in (optional or {}).items() if k in frame.columns}}
    return frame.select(_checked(frame[name], kind, path, name in required) for name, kind in wanted.items())


def _read(path: Path) -> pl.DataFrame:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"unknown table format {suffix!r}", str(path), "one of .parquet .csv .jsonl")
    if not os.path.isfile(path):  # unlike Path.is_file, it doesn't raise on names too long to exist
        raise DataError("no such file", str(path)[:500], "check the path")
    if path.stat().st_size == 0:
        raise DataError("the file is empty", str(path), "a table with at least one row")
    try:
        if suffix == ".parquet":
            return pl.read_parquet(path)
        if suffix == ".csv":
            return pl.read_csv(path, infer_schema_length=None)
        return pl.read_ndjson(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        first = (str(error).splitlines() or ["?"])[0][:200]
        raise DataError(f"cannot be read as {suffix[1:]}: {first}", str(path), "a whole, well-formed file") from None
    except BaseException as error:  # a damaged file can make the reader's native code panic
        if type(error).__name__ != "PanicException":
            raise
        raise DataError(f"cannot be read as {suffix[1:]}", str(path), "a whole, well-formed file") from None


def _checked(column: pl.Series, kind: Kind, path: Path, required: bool) -> pl.Series:
    where = f"{path}, column {column.name!r}"
    if required and column.null_count():
        raise DataError(f"row {_first(column.is_null())} has no value", where, "fill it or leave the row out")
    if kind == "any":
        return column
    if kind == "text":
        if column.dtype.is_nested():
            raise DataError(f"holds {column.dtype}, not text", where, "plain text")
        return column.cast(pl.String)
    if kind == "boolean":
        if column.dtype == pl.Boolean:
            return column
        numbers = _numbers(_worded(column), where)
        bad = ~numbers.is_in([0.0, 1.0]) & numbers.is_not_null()
        if bad.any():
            raise DataError(f"row {_first(bad)} is neither true nor false", where, "true or false")
        return numbers.cast(pl.Boolean)
    numbers = _numbers(column, where)
    bad = ~numbers.is_finite() & numbers.is_not_null()
    if bad.any():
        raise DataError(f"row {_first(bad)} is {numbers[_first(bad)]}", where, "finite numbers")
    if kind in ("fraction", "count"):
        bad = (numbers < 0) | ((numbers > 1) if kind == "fraction" else (numbers != numbers.floor()))
        if bad.any():
            row = _first(bad)
            wanted = "fractions from 0 to 1" if kind == "fraction" else "whole numbers from 0"
            raise DataError(f"row {row} is {numbers[row]:g}", where, wanted)
    return numbers


def _numbers(column: pl.Series, where: str) -> pl.Series:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.cast(pl.Float64)
    if column.dtype == pl.String:
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
        bad = numbers.is_null() & column.is_not_null()
        if not bad.any():
            return numbers
        raise DataError(f"row {_first(bad)} is {column[_first(bad)][:40]!r}, not a number", where, "numbers")
    if column.dtype == pl.Null:
        return column.cast(pl.Float64)
    raise DataError(f"holds {column.dtype}, not numbers", where, "numbers")


def _worded(column: pl.Series) -> pl.Series:
    """Text in which true and false, however spelt, are 1 and 0."""
    if column.dtype != pl.String:
        return column
    plain = column.str.strip_chars().str.to_lowercase()
    return plain.replace({"true": "1", "false": "0"}).alias(column.name)


def _first(mask: pl.Series) -> int:
    return int(mask.fill_null(False).arg_max() or 0)
