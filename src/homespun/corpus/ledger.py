"""Asks a corpus about one document: whether it stayed, which filter took it out and on what evidence, where it is now.

DuckDB reads the run's Parquet files where they lie: the columns that identify a document and nothing else, so a corpus
is asked without being read.
"""

import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np

from homespun.corpus.ledger_rules import rule, settings, shown
from homespun.corpus.shards import shard_path
from homespun.errors import DataError, RunError
from homespun.records import Run
from homespun.runs import ledger as runs
from homespun.runs.run import read_run

MEMORY = "1GB"
"""What DuckDB may hold; beyond it the disk is used."""
SHOWN = 4
"""Documents that an ambiguous question is answered with, at most."""
How = Literal["exact", "part"]

ROWS = """
select id, url, source, lang, filename as file, file_row_number as at,
       cast(null as varchar) as filter, cast(null as varchar) as reason, cast(null as varchar) as evidence,
       cast(null as bigint) as bytes, cast(null as bigint) as row
from read_parquet($documents, filename = true, file_row_number = true)
where {asked}
union all
select id, url, source, lang, filename, file_row_number, filter, reason, evidence, bytes, row
from read_parquet($excluded, filename = true, file_row_number = true)
where {asked}
limit 50
"""
ASKED: Mapping[How, tuple[str, ...]] = {
    "exact": ("id = $asked", "url = $asked"),
    "part": (
        "starts_with(id, $asked) or ends_with(id, $asked)",
        "starts_with(url, $asked) or ends_with(url, $asked)",
    ),
}
NEAREST = """
select id from (
    select id, url from read_parquet($documents) union all select id, url from read_parquet($excluded))
order by greatest(jaro_winkler_similarity(id, $asked), coalesce(jaro_winkler_similarity(url, $asked), 0)) desc, id
limit 3
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a document's tokens lie."""

    file: str
    """Of the run's folder."""
    start: int
    """First token, the document's beginning."""
    stop: int
    """One beyond the last, which is the document's end."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a document."""

    run: str
    id: str
    url: str | None
    source: str | None
    lang: str | None
    kept: bool
    shard: int
    words: str
    """The whole answer as a sentence."""
    row: int | None = None
    """Its place in its shard: among what was kept, or for what left, as it was read."""
    filter: str | None = None
    reason: str | None = None
    evidence: str | None = None
    settings: Mapping[str, Any] | None = None
    """The filter's, from the run's record."""
    keeper: str | None = None
    """For a copy: the document that stands for it."""
    keeper_words: str | None = None
    """What became of that one, if it didn't stay either."""
    bytes: int | None = None
    """Of its text when it left."""
    tokens: Place | None = None
    """For what was kept, where the corpus was packed."""

    def plain(self) -> dict[str, Any]:
        """As JSON knows it."""
        return asdict(self)


def why(document: str, *, run: str | None = None, root: Path | str | None = None) -> Answer:
    """What became of a document.

    Args:
        document: Its id, its URL, or the beginning or end of either if no other document's is like it.
        run: A corpus by its id or the beginning of it; None asks all that are finished, the newest first.
        root: Folder of runs.

    Raises:
        DataError: no document is called so, or several are; the text names the nearest.
        RunError: a run's files are damaged, or no corpus was built yet.
    """
    folders = [corpus_folder(run, root)] if run else finished(root)
    how: tuple[How, ...] = ("exact", "part")
    for kind in how:
        for folder in folders:
            found = _find(folder, document, kind)
            if found is not None:
                return _answer(folder, found)
    some = ", ".join(map(shown, _nearest(folders[0], document))) if document else ""
    hint = f"one of the nearest: {some}" if some else "its id or its URL"
    raise DataError(f"no document is called {document[:200]!r}", folders[0].name, hint)


def corpus_folder(run: str, root: Path | str | None = None) -> Path:
    """Folder of a finished corpus.

    Raises:
        DataError: no such run, or several.
        RunError: it is no corpus, or is not finished.
    """
    folder = runs.find(run, root)
    record = read_run(folder)
    if record.stage != "corpus" or not (folder / "documents").is_dir():
        raise RunError(f"a run of stage {record.stage!r}, no corpus", record.id, "homespun runs ls --stage corpus")
    if record.status != "done":
        raise RunError(f"the run is {record.status}", record.id, "the command that began it goes on where it stopped")
    return folder


def finished(root: Path | str | None = None) -> list[Path]:
    """Folders of all finished corpora, newest first.

    Raises:
        RunError: there is none, or a record is damaged.
    """
    rows = [row for row in runs.ls(root, stage="corpus") if row["status"] == "done"]
    found = [Path(row["folder"]) for row in rows if (Path(row["folder"]) / "documents").is_dir()]
    if not found:
        raise RunError("no corpus was built yet", None, "homespun corpus build tiny")
    return found


def numbers(folder: Path) -> list[int]:
    """Shards of a run, by their files of documents."""
    return sorted(int(path.stem) for path in (folder / "documents").glob("[0-9]*.parquet"))


@contextmanager
def database() -> Generator[duckdb.DuckDBPyConnection]:
    """DuckDB in bounded memory; what doesn't fit goes where temporary files go."""
    with tempfile.TemporaryDirectory(prefix="homespun-") as scratch, duckdb.connect() as opened:
        opened.execute(f"set memory_limit = '{MEMORY}'")
        opened.execute("set temp_directory = $place", {"place": scratch})
        yield opened


def ask(
    folder: Path, query: str, parameters: Mapping[str, Any], database_: duckdb.DuckDBPyConnection
) -> list[dict[str, Any]]:
    """Rows of a query over ``$documents`` and ``$excluded``, the run's files.

    Raises:
        RunError: a file is missing or damaged.
    """
    files = {kind: [str(shard_path(folder, kind, at)) for at in numbers(folder)] for kind in ("documents", "excluded")}
    if not files["documents"]:
        raise RunError("the run has no documents", str(folder), "homespun corpus build")
    try:
        found = database_.execute(query, {**files, **parameters})
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    except duckdb.Error as error:
        first = str(error).splitlines()[0][:300]
        raise RunError(f"cannot be read: {first}", str(folder), "build it again") from None


def _find(folder: Path, document: str, how: How) -> dict[str, Any] | None:
    """The one row that is asked for."""
    if not document:
        return None
    for asked in ASKED[how]:
        with database() as opened:
            rows = ask(folder, ROWS.format(asked=asked), {"asked": document}, opened)
        if len(rows) == 1:
            return rows[0]
        if rows:
            some = ", ".join(map(shown, sorted(row["id"] for row in rows)[:SHOWN]))
            count = f"{len(rows)} documents" if len(rows) < 50 else "many documents"
            raise DataError(f"{document[:200]!r} could be {count}: {some}", folder.name, "one of these ids")
    return None


def _nearest(folder: Path, document: str) -> list[str]:
    with database() as opened:
        return [row["id"] for row in ask(folder, NEAREST, {"asked": document}, opened)]


def _answer(folder: Path, row: Mapping[str, Any]) -> Answer:
    record = read_run(folder)
    common = {key: row[key] for key in ("id", "url", "source", "lang")}
    shard = int(Path(row["file"]).stem)
    if row["filter"] is None:
        tokens = place(folder, shard, row["at"])
        where = f", {tokens.stop - tokens.start:,} tokens of {tokens.file}" if tokens else ""
        words = f"{row['id']} stayed in {record.id}{where}"
        return Answer(run=record.id, kept=True, shard=shard, row=row["at"], words=words, tokens=tokens, **common)
    return _left(folder, record, row, shard, common)


def _left(folder: Path, record: Run, row: Mapping[str, Any], shard: int, common: Mapping[str, Any]) -> Answer:
    filter_, reason, evidence = row["filter"], row["reason"], row["evidence"]
    keeper = evidence if filter_ == "dedup" else None
    found = _find(folder, keeper, "exact") if keeper else None
    gone = found is not None and found["filter"] is not None
    return Answer(
        run=record.id,
        kept=False,
        shard=shard,
        row=row["row"],
        words=f"{row['id']} left at {filter_}: {rule(filter_, reason, evidence)}",
        filter=filter_,
        reason=reason,
        evidence=evidence,
        settings=settings(record, filter_),
        keeper=keeper,
        keeper_words=_sentence(found) if found and gone else None,
        bytes=row["bytes"],
        **common,
    )


def _sentence(row: Mapping[str, Any]) -> str:
    return f"{row['id']} left at {row['filter']}: {rule(row['filter'], row['reason'], row['evidence'])}"


def ends(folder: Path, shard: int) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Where each document of a shard ends among its tokens; None if the corpus was not packed.

    Raises:
        RunError: the file is damaged.
    """
    path = shard_path(folder, "tokens", shard, ".ends.npy")
    if not path.exists():
        return None
    try:
        found: Any = np.load(path, mmap_mode="r" if path.stat().st_size > 1 << 20 else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(f"cannot be read: {error}", str(path), "build it again") from None
    if found.ndim != 1 or found.dtype != np.dtype("<i8"):
        raise RunError(f"holds {found.dtype} of {found.ndim} axes, not ends", str(path), "build it again")
    return found


def place(folder: Path, shard: int, row: int) -> Place | None:
    """Where a kept document's tokens lie.

    Args:
        folder: The run's.
        shard: Its shard.
        row: Its place among what was kept.
    """
    known = ends(folder, shard)
    if known is None or row >= len(known):
        return None
    start = int(known[row - 1]) if row else 0
    return Place(file=f"tokens/{shard:05d}.bin", start=start, stop=int(known[row]))
