"""Corpora as in the tests of the ledger, and tables of robots files."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

place = Path(__file__).parents[1] / "ledger" / "conftest.py"
spec = importlib.util.spec_from_file_location("corpus_fixtures", place)
assert spec is not None
assert spec.loader is not None
fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixtures)
make, doc = fixtures.make, fixtures.doc

Table = Callable[..., Path]


@pytest.fixture
def write_corpus() -> Any:
    """Writes a corpus's files without a run around them."""
    return fixtures.write_corpus


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Writes robots files, by host, as a table."""

    def written(files: Mapping[str, str | None], name: str = "robots") -> Path:
        rows = {"host": list(files), "content": list(files.values()), "fetched": ["2026-11-01"] * len(files)}
        schema = {"host": pl.String, "content": pl.String, "fetched": pl.String}
        path = tmp_path / f"{name}.parquet"
        pl.DataFrame(rows, schema=schema).write_parquet(path)
        return path

    return written
