"""Answers kept on disk by content: the same model, prompt, sampling and n again cost nothing.

The key is a hash of everything in the prompt but its id, so that a renamed prompt is still a hit. Only calls whose
every row succeeded are kept: a failure is asked again. A row that cannot be read counts as not there.
"""

import hashlib
import json
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyio import to_thread
from pydantic import ValidationError

from homespun.errors import DataError
from homespun.models.base import Model, Reply, sample_id, zero_cost
from homespun.models.wrap import Wrapper
from homespun.records import Prompt, Sample

SCHEMA = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, model TEXT NOT NULL, rows TEXT NOT NULL)"


class Cached(Wrapper):
    """Looks an answer up before it asks for one. Close it, or leave its ``async with``, to close the file.

    Args:
        inner: The model.
        path: The SQLite file; made when it is not there. Several processes may share it.

    Raises:
        DataError: the file is no SQLite database, or cannot be written.

    Attributes:
        hits: Calls that were answered from the file.
        misses: Calls that were not.
        unkept: Answers that could not be written.
    """

    def __init__(self, inner: Model, path: Path | str) -> None:
        super().__init__(inner)
        self.hits = self.misses = self.unkept = 0
        self._path, self._lock = Path(path), threading.Lock()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._store = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"cannot be opened: {error}", str(path), "another file for the cache") from None
        try:
            self._store.execute("PRAGMA journal_mode=WAL")
            self._store.execute(SCHEMA)
        except sqlite3.Error as error:
            self._store.close()
            raise DataError(f"is no cache: {error}", str(path), "remove it, or name another file") from None

    async def sample(self, prompt: Prompt, n: int = 1) -> list[Sample]:
        """Answers from the cache (``from_cache=True``, no cost), or asks and keeps the answer."""
        key = content_key(self.name, prompt, n)
        found = await to_thread.run_sync(self._read, key)
        kept = _decode(found, prompt, n) if found is not None else None
        if kept is not None:
            self.hits += 1
            return kept
        self.misses += 1
        rows = await self.inner.sample(prompt, n)
        if all(row.finish != "error" for row in rows):
            self.unkept += not await to_thread.run_sync(self._write, key, _encode(rows))
        return rows

    async def close(self) -> None:
        """Closes the file and the wrapped model."""
        self._store.close()
        await super().close()

    def _read(self, key: str) -> str | None:
        with self._lock:
            try:
                row = self._store.execute("SELECT rows FROM answers WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error as error:
                raise DataError(f"cannot be read: {error}", str(self._path), "remove it, or name another") from None
        return None if row is None else row[0]

    def _write(self, key: str, rows: str) -> bool:
        """Keeps an answer; a disk that is full must not lose what was paid for, so False instead of an error."""
        with self._lock, suppress(sqlite3.Error), self._store:
            self._store.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, self.name, rows))
            return True
        return False


def content_key(model: str, prompt: Prompt, n: int) -> str:
    """Hash of all that decides an answer: model, messages, strategy, problem, sampling and n; not the prompt's id."""
    content = {"model": model, "n": n, "prompt": prompt.model_dump(mode="json", exclude={"id"})}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _encode(rows: list[Sample]) -> str:
    return json.dumps([_fields(row) for row in rows])


def _fields(row: Sample) -> dict[str, Any]:
    beside = (
        {"usage_estimated": row.usage_estimated, "top_logprobs": row.top_logprobs} if isinstance(row, Reply) else {}
    )
    return row.model_dump(mode="json") | beside


def _decode(text: str, prompt: Prompt, n: int) -> list[Sample] | None:
    try:
        rows = [Reply.model_validate(fields) for fields in json.loads(text)]
    except (ValidationError, ValueError, TypeError):
        return None
    if len(rows) != n:
        return None
    identity = [{"id": sample_id(prompt, row.model, row.index), "prompt_id": prompt.id} for row in rows]
    return [zero_cost(row.model_copy(update=new)) for row, new in zip(rows, identity, strict=True)]
