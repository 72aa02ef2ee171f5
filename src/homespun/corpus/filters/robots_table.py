"""A table of robots files, by host: read once per process, its texts left in Arrow until a host is asked for."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from homespun.corpus.robots.decide import Fetched
from homespun.corpus.robots.hosts import host_of, look_up, normalised
from homespun.errors import DataError


class RobotsTable(Mapping[str, Fetched]):
    """Robots files by normalised host; where a host has several rows, the one fetched last counts.

    Args:
        table: ``host``, ``content``, and perhaps ``status``, ``fetched``, ``ai_txt``.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        if "fetched" in table.columns:
            table = table.sort("fetched", nulls_last=False, maintain_order=True)
        self._content = table["content"]
        self._status = table["status"].cast(pl.Int32) if "status" in table.columns else None
        self._ai_txt = table["ai_txt"] if "ai_txt" in table.columns else None
        self._rows = {_host(name): row for row, name in enumerate(table["host"]) if name}

    @classmethod
    def read(cls, path: Path) -> "RobotsTable":
        """The table in a file.

        Args:
            path: ``.parquet``, ``.jsonl`` or ``.ndjson``.

        Raises:
            DataError: there is none, it cannot be read, or a column is missing or of another kind.
        """
        reader = {".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson, ".ndjson": pl.read_ndjson}.get(path.suffix)
        if reader is None or not path.is_file():
            raise DataError("no robots table", str(path), "a .parquet or .jsonl with columns host and content")
        try:
            table = reader(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            text = str(error).partition("\n")[0]
            raise DataError(f"cannot be read: {text}", str(path), "a .parquet or .jsonl of robots files") from error
        kinds = {"host": (pl.String,), "content": (pl.String, pl.Binary, pl.Null)}
        kinds |= {"ai_txt": (pl.String, pl.Binary, pl.Null), "fetched": (pl.String, pl.Null, pl.Datetime, pl.Date)}
        for name, wanted in kinds.items():
            if name not in table.columns:
                if name in ("host", "content"):
                    raise DataError(f"no column {name!r}", str(path), f"columns: {', '.join(table.columns)[:200]}")
            elif not isinstance(table[name].dtype, wanted):
                raise DataError(f"column {name!r} is of type {table[name].dtype}", str(path), "text")
        if "status" in table.columns and not (table["status"].dtype.is_integer() or table["status"].dtype == pl.Null):
            raise DataError(
                f"column 'status' is of type {table['status'].dtype}", str(path), "HTTP statuses, such as 200"
            )
        return cls(table)

    def __getitem__(self, host: str) -> Fetched:
        row = self._rows[host]
        return Fetched(self._content[row], self._status[row] if self._status is not None else None)

    def __contains__(self, host: object) -> bool:
        return host in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def ai_txt(self, host: str) -> bytes | str | None:
        """The host's ``/ai.txt``, where the table has one."""
        row = look_up(self._rows, host) if self._ai_txt is not None else None
        return None if row is None or self._ai_txt is None else self._ai_txt[row]


def _host(name: str) -> str:
    """The host of a row, which may be written as a URL."""
    return host_of(name) if "://" in name else normalised(name)
