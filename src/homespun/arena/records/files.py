"""Files of duels, by the name of their shape."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from homespun.arena.records import event_log, preference, rows
from homespun.arena.records.duel import Duel, Row, mapping
from homespun.errors import ConfigError, DataError
from homespun.runs.tables import atomic, write_table

Format = Literal["preference", "reward", "event-log", "space", "raw", "table"]
FORMATS: tuple[Format, ...] = get_args(Format)
Scrub = Callable[[Row], Row]
_TELLS: dict[str, Format] = {
    "tstamp": "event-log", "human_vote": "reward", "feedback": "preference", "conversation_messages": "raw",
    "conversation_a": "space", "winner": "table",
}  # fmt: skip
"""A field that only rows of one shape have; the first that is there counts, so a log's vote line is no preference."""
_ONE: dict[Format, tuple[Callable[[Duel], Row], Callable[[Row, str], Duel]]] = {
    "preference": (preference.to_preference, preference.from_preference),
    "reward": (preference.to_reward, preference.from_reward),
    "space": (rows.to_space, rows.from_space),
    "table": (rows.to_table, rows.from_table),
}


def write(form: Format, duels: Iterable[Duel], out: Path, scrub: Scrub) -> int:
    """Writes duels; returns how many.

    Args:
        form: The shape. An event log is a folder, with one file for each session and each run; a table is Parquet, CSV
            or JSONL by its suffix; the others are JSONL.
        duels: Of sessions with a vote, except for the event log and the raw rows.
        out: Where to.
        scrub: Applied to each row.

    Raises:
        ConfigError: the place does not fit the shape.
        DataError: it cannot be written.
    """
    if form == "event-log":
        return _write_logs(duels, out, scrub)
    if form == "table":
        return _write_table([rows.to_table(duel) for duel in duels], out)
    if out.suffix not in (".jsonl", ".ndjson"):
        raise ConfigError(f"{form} is written as JSON lines", str(out), "a name that ends in .jsonl")
    count = 0
    try:
        with atomic(out) as temporary, temporary.open("w", encoding="utf-8") as stream:
            for duel in duels:
                count += 1
                for row in rows.to_raw(duel) if form == "raw" else [_ONE[form][0](duel)]:
                    stream.write(_line(scrub(row)))
    except OSError as error:
        raise DataError(error.strerror or "cannot be written", str(out), "check the folder") from None
    return count


def _write_table(found: list[Row], out: Path) -> int:
    """A table without propensities where a vote has none: votes are weighed by all of them or by none."""
    frame = pl.DataFrame(found, infer_schema_length=None)
    if not found:
        frame = pl.DataFrame(schema=dict.fromkeys(("model_a", "model_b", "winner"), pl.String))
    elif frame["propensity"].null_count():
        frame = frame.drop("propensity")
    write_table(out, frame)
    return len(found)


def read(path: Path, form: Format | None = None) -> Iterator[Duel]:
    """Reads duels.

    Args:
        path: A file of rows (JSONL, or Parquet or CSV), or a folder with an event log.
        form: The shape; unless given, it is told from the first row.

    Raises:
        DataError: unreadable, or a row is not of the shape; the text names the row.
    """
    if path.is_dir():
        yield from _read_logs(path)
        return
    found = _rows(path)
    first = next(found, None)
    if first is None:
        return
    form = form or _told(first, path)
    every = (row for part in ([first], found) for row in part)
    if form == "event-log":
        yield from event_log.from_event_log(every, where=str(path))
    elif form == "raw":
        yield from rows.from_raw(every, str(path))
    else:
        for place, row in enumerate(every, 1):
            yield _ONE[form][1](row, f"{path}, row {place}")


def _told(row: Row, path: Path) -> Format:
    for name, form in _TELLS.items():
        if name in row:
            return form
    raise DataError("its rows are of no known shape", str(path), f"--format {'|'.join(FORMATS)}")


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _rows(path: Path) -> Iterator[Row]:
    try:
        if path.suffix in (".parquet", ".csv"):
            frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema_length=None)
            yield from frame.iter_rows(named=True)
            return
        with path.open(encoding="utf-8") as stream:
            for place, line in enumerate(stream, 1):
                if line.strip():
                    yield _object(line, f"{path}, line {place}")
    except OSError as error:
        raise DataError(error.strerror or "cannot be read", str(path), "check the path") from None
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise DataError(f"unreadable: {str(error).splitlines()[0][:100]}", str(path), "JSON lines or Parquet") from None


def _object(text: str, where: str) -> Row:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DataError("is no JSON object", where, "one object in each line")
    return mapping(found)


def _write_logs(duels: Iterable[Duel], out: Path, scrub: Scrub) -> int:
    if out.exists() and not out.is_dir():
        raise ConfigError("an event log is a folder", str(out), "the name of a folder")
    count = 0
    try:
        for name in ("conv_logs", "sandbox_logs"):
            (out / name).mkdir(parents=True, exist_ok=True)
        for count, duel in enumerate(duels, 1):  # noqa: B007
            lines = "".join(_line(scrub(line)) for line in event_log.to_event_log(duel))
            _put(out / "conv_logs" / _safe(event_log.log_name(duel)), lines)
            for name, log in event_log.to_sandbox_logs(duel):
                _put(out / "sandbox_logs" / _safe(name), _line(scrub(log)))
    except OSError as error:
        raise DataError(error.strerror or "cannot be written", str(out), "check the folder") from None
    return count


def _put(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _safe(name: str) -> str:
    """A file's name: ids of imported sessions may be anything."""
    return "".join(character if character.isalnum() or character in "-_." else "_" for character in name)[-200:]


def _read_logs(path: Path) -> Iterator[Duel]:
    logs = [_object(_text(file), str(file)) for file in sorted(path.rglob("sandbox-*.json"))]
    lines = (row for file in sorted(path.rglob("conv-log-*")) for row in _rows(file))
    yield from event_log.from_event_log(lines, logs, str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(str(error)[:100], str(path), "check the file") from None
