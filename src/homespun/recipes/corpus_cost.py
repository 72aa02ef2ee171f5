"""What a corpus will cost before it is built: documents, bytes, core-hours and disk, from measured rates.

Sizes come from the files: tables say theirs, of other files a sample is read. Every document is taken to stay until the
end, so the forecast is a bound from above as far as the rates hold.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from homespun.corpus.dedup import sign
from homespun.corpus.documents import SCHEMA, Batch, byte_lengths, parted
from homespun.corpus.pack import pack_shard
from homespun.corpus.plan import Corpus
from homespun.corpus.read.source import Slice, read, slices
from homespun.corpus.shards import ShardWriter


class Rate(NamedTuple):
    """What one core does in a second; the larger of both costs counts."""

    documents: float
    bytes: float


RATES: Mapping[str, Rate] = {
    "read": Rate(3_255, 9_966_799),
    "extract": Rate(874, 2_737_884),
    "robots": Rate(91_327, 264_149_426),
    "licence": Rate(43_087, 125_658_844),
    "language": Rate(5_562, 16_516_829),
    "dedup": Rate(7_147, 21_255_723),
    "pii": Rate(22_267, 66_226_605),
    "pack": Rate(421, 1_263_045),
    "write": Rate(62_123, 186_210_461),
}
"""By stage, on one core of a machine with other work, 2026-11-25: `measured` of `tiny`; reading and extraction of its
web alone, since the rest is no HTML. Documents of some 3 kB."""
SLOWEST = Rate(1_000, 3_000_000)
"""Of a stage that nobody has measured."""
GROWTH = 4.5
"""Bytes that a byte of compressed text or WARC becomes."""
SAMPLED_FILES = 64
"""Files of a source that are looked into."""
SAMPLED_DOCUMENTS = 200
STORED, WORKED = 0.3, 0.75
"""Bytes on disk for each byte of text: of the finished shards (zstd), and of the work beside them until the end."""
TOKEN = 3.0
"""Bytes of text to a token, of a small vocabulary."""


def forecast(corpus: Corpus) -> dict[str, Any]:
    """The cost of building a corpus, at most.

    Args:
        corpus: The recipe; its sources must be there.

    Returns:
        Documents and bytes to read; core-hours, with their share by stage; bytes of disk at the end and at the most.

    Raises:
        DataError: a source is missing.
    """
    documents = size = 0.0
    for source in corpus.sources:
        found = _size(slices(source, corpus.limits), corpus)
        documents, size = documents + found.documents, size + found.bytes
    free = {cut.column for cut in corpus.cuts}
    names = [name for name in (*corpus.stages, *(["pack"] if corpus.pack else []), "write") if name not in free]
    seconds = {name: _seconds(name, documents, size) for name in names}
    tokens = size / TOKEN if corpus.pack else 0.0
    kept = STORED * size + 4 * tokens
    return {
        "documents": round(documents),
        "bytes": round(size),
        "tokens": round(tokens),
        "core_hours": round(sum(seconds.values()) / 3600, 4),
        "core_seconds": {name: round(value, 2) for name, value in seconds.items()},
        "disk_bytes": round(kept),
        "disk_bytes_while_building": round(kept + WORKED * size),
    }


def _seconds(name: str, documents: float, size: float) -> float:
    rate = RATES.get(name, SLOWEST)
    return max(documents / rate.documents, size / rate.bytes)


class _Size(NamedTuple):
    documents: float
    bytes: float


def _size(cut: Sequence[Slice], corpus: Corpus) -> _Size:
    """Documents and bytes of a source, by evenly chosen files, in proportion to all files' sizes."""
    paths = list(dict.fromkeys(slice_.path for slice_ in cut))
    chosen = {paths[int(at)] for at in np.linspace(0, len(paths) - 1, min(len(paths), SAMPLED_FILES))}
    documents = size = looked = 0.0
    for slice_ in {slice_.path: slice_ for slice_ in reversed(cut) if slice_.path in chosen}.values():
        found = _table(slice_) if slice_.kind == "parquet" else None
        found = found or _sampled(slice_, corpus)
        documents, size = documents + found.documents, size + found.bytes
        looked += slice_.path.stat().st_size
    whole = sum(path.stat().st_size for path in paths)
    share = whole / looked if looked else 0.0
    return _Size(documents * share, size * share)


def _table(slice_: Slice) -> _Size | None:
    """What a Parquet file says of itself; None if it can't be read, which reading will name."""
    column = dict(slice_.source.columns)["text"]
    try:
        said = pq.ParquetFile(slice_.path).metadata
        columns = [said.row_group(g).column(c) for g in range(said.num_row_groups) for c in range(said.num_columns)]
        return _Size(said.num_rows, sum(c.total_uncompressed_size for c in columns if c.path_in_schema == column))
    except (OSError, pa.ArrowException):
        return None


def _sampled(slice_: Slice, corpus: Corpus) -> _Size:
    """By the first documents of a file and its length."""
    lengths: list[int] = []
    for batch in read(slice_, corpus.limits):
        lengths.extend(byte_lengths(batch).tolist())
        if len(lengths) >= SAMPLED_DOCUMENTS:
            break
    packed = slice_.path.suffix in (".gz", ".zst")
    size = slice_.path.stat().st_size * (GROWTH if packed else 1.0)
    return _Size(size / max(1.0, float(np.mean(lengths or [size]))), size)


def measured(corpus: Corpus, batches: int = 6) -> dict[str, Rate]:
    """Rates of a recipe's stages on this machine: processor time of one process, loading left out.

    Args:
        corpus: The recipe.
        batches: Of each source.
    """
    spent: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    opened = [(stage.name, stage.open()) for stage in (*corpus.gather, *corpus.refine)]
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "00000.parquet"
        with ShardWriter(file, SCHEMA) as writer:
            for batch in _read(corpus, batches, spent):
                for name, judge in opened:
                    if len(batch):
                        with _Timed(spent[name], batch):
                            said = judge(batch)
                        batch = parted(said, name, len(batch)).kept
                if corpus.dedup:
                    with _Timed(spent["dedup"], batch):
                        sign(batch, corpus.dedup)
                with _Timed(spent["write"], batch):
                    writer.append(batch)
        if corpus.pack:
            with _Timed(spent["pack"], pq.read_table(file)):
                pack_shard(file, corpus.pack, Path(scratch) / "00000.bin", Path(scratch) / "00000.ends.npy")
    return {name: Rate(round(count / took), round(size / took)) for name, (took, count, size) in spent.items() if took}


def _read(corpus: Corpus, batches: int, spent: Mapping[str, list[float]]) -> Iterator[Batch]:
    for source in corpus.sources:
        found = (batch for slice_ in slices(source, corpus.limits) for batch in read(slice_, corpus.limits))
        started = time.process_time()
        for batch in islice(found, batches):
            spent["read"][0] += time.process_time() - started
            spent["read"][1] += len(batch)
            spent["read"][2] += float(byte_lengths(batch).sum())
            yield parted(batch, "read", len(batch)).kept
            started = time.process_time()


class _Timed:
    """Adds a block's processor time, and what it worked on."""

    def __init__(self, into: list[float], batch: Batch) -> None:
        self._into, self._batch = into, batch

    def __enter__(self) -> None:
        self._started = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._into[0] += time.process_time() - self._started
        self._into[1] += len(self._batch)
        self._into[2] += float(byte_lengths(self._batch).sum())
