"""Documents as tokens for training: a flat file of ids for each shard, and where each document ends.

Row ``r`` of ``documents/00012.parquet`` is ``tokens/00012.bin[ends[r - 1]:ends[r]]``: ``<s>``, its text, ``</s>``. So a
loader can cut sequences wherever it likes, mask attention at document borders, and say of every token where it is from.
A document that holds the letters ``</s>`` holds four letters, not an end; only markers of personal data are read.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from homespun.corpus.documents import Batch, byte_lengths
from homespun.corpus.shards import batches, shard_path, write_json
from homespun.corpus.tokenizer import files
from homespun.corpus.tokenizer.specials import BEGIN, END, MARKERS
from homespun.errors import ConfigError, DataError
from homespun.runs.tables import atomic, sha256

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ENCODED_BYTES = 1 << 20
"""Text that is encoded at once, unless one document is longer: the library needs about a hundred bytes for each."""
Ids = NDArray[np.uint16] | NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True)
class Pack:
    """How documents become tokens."""

    tokenizer: Path
    """A folder with a ``tokenizer.json``, or the file."""
    begin: str = BEGIN
    """Token before each document."""
    end: str = END
    """Token after each document."""


class Packer:
    """A tokenizer opened for packing.

    Args:
        settings: Which, and what stands around a document.

    Raises:
        DataError: it cannot be read.
        ConfigError: it lacks the tokens that stand around a document.
    """

    def __init__(self, settings: Pack) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # a worker has one thread
        self.tokenizer: Tokenizer = files.read(settings.tokenizer)
        self.vocab = max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.dtype = np.dtype("<u2" if self.vocab <= 1 << 16 else "<u4")
        self.specials = {t.content: i for i, t in sorted(self.tokenizer.get_added_tokens_decoder().items())}
        missing = [token for token in (settings.begin, settings.end) if token not in self.specials]
        if missing:
            text = f"has no special token {missing[0]!r}"
            raise ConfigError(text, str(settings.tokenizer), "begin and end that it has")
        self.begin, self.end = self.specials[settings.begin], self.specials[settings.end]
        self._control = np.zeros(self.vocab, dtype=np.bool_)
        self._control[[at for token, at in self.specials.items() if token not in MARKERS]] = True

    def encode(self, texts: list[str]) -> list[Ids]:
        """Each text's ids, with begin and end.

        Raises:
            ConfigError: the tokenizer's merges spell a control token from letters.
        """
        found: list[Ids] = []
        for encoding in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            inner = np.asarray(encoding.ids, dtype=self.dtype)
            if self._control[inner].any():
                raise ConfigError("letters of a document became a control token", "tokenizer", "train one with `train`")
            found.append(np.concatenate(([self.begin], inner, [self.end])).astype(self.dtype))
        return found


def pack_shard(documents: Path, settings: Pack, bin_path: Path, ends_path: Path) -> dict[str, int]:
    """Packs one shard; the same documents give the same bytes.

    Args:
        documents: A shard's Parquet file.
        settings: How.
        bin_path: Where the ids go, little-endian, without a header.
        ends_path: Where the document ends go: int64, one for each row.

    Returns:
        Counts of documents and tokens.

    Raises:
        DataError: the documents or the tokenizer cannot be read.
        ConfigError: the tokenizer lacks the tokens that stand around a document.
    """
    packer = Packer(settings)
    lengths: list[int] = []
    with atomic(bin_path) as temporary, temporary.open("wb") as stream:
        for table in batches(documents, ["text"]):
            for texts in _portions(table):
                for ids in packer.encode(texts):
                    lengths.append(len(ids))
                    stream.write(ids.tobytes())
    ends = np.cumsum(np.asarray(lengths, dtype="<i8"), dtype="<i8")
    with atomic(ends_path) as temporary, temporary.open("wb") as stream:
        np.save(stream, ends)
    return {"documents": len(ends), "tokens": int(ends[-1]) if len(ends) else 0}


def _portions(table: Batch) -> Iterator[list[str]]:
    """Texts, a few at a time."""
    column = table["text"]
    sizes = np.cumsum(byte_lengths(table))
    at, before = 0, 0
    while at < len(sizes):
        stop = max(at + 1, int(np.searchsorted(sizes, before + ENCODED_BYTES, side="right")))
        yield [text or "" for text in column.slice(at, stop - at).to_pylist()]
        at, before = stop, int(sizes[stop - 1])


def write_index(folder: Path, settings: Pack, shards: int) -> Path:
    """Writes ``index.json`` over packed shards: what a loader must know before it opens them.

    Args:
        folder: The run's ``tokens``.
        settings: As they were packed.
        shards: How many there are.

    Raises:
        DataError: a shard is missing.
    """
    packer = Packer(settings)
    counts: list[dict[str, int]] = []
    for shard in range(shards):
        ends = _ends(folder, shard)
        counts.append({"shard": shard, "documents": len(ends), "tokens": int(ends[-1]) if len(ends) else 0})
    said: dict[str, Any] = {
        "version": 1,
        "dtype": "uint16" if packer.dtype.itemsize == 2 else "uint32",
        "vocab": packer.vocab,
        "tokenizer": sha256(files.tokenizer_file(settings.tokenizer)),
        "begin": packer.begin,
        "end": packer.end,
        "specials": packer.specials,
        "documents": sum(count["documents"] for count in counts),
        "tokens": sum(count["tokens"] for count in counts),
        "shards": counts,
    }
    path = folder / "index.json"
    write_json(path, said)
    return path


class Place(NamedTuple):
    """Where a document lies."""

    shard: int
    row: int


class Tokens:
    """A packed corpus, mapped into memory: nothing is read before it is asked for.

    Args:
        folder: A run's ``tokens``.

    Raises:
        DataError: a file is missing, cut off, or doesn't belong to the others.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = _index(folder)
        self.dtype = np.dtype("<u2" if self.index["dtype"] == "uint16" else "<u4")
        self._ends = [_ends(folder, at) for at in range(len(self.index["shards"]))]
        self._ids: list[Ids] = []
        for at, (ends, said) in enumerate(zip(self._ends, self.index["shards"], strict=True)):
            path = shard_path(folder, "", at, ".bin")
            if not path.is_file():
                raise DataError("no such file", str(path), "delete the run's folder and start again")
            tokens = int(ends[-1]) if len(ends) else 0
            if path.stat().st_size != tokens * self.dtype.itemsize or said["tokens"] != tokens:
                text = f"holds {path.stat().st_size:,} bytes, not {tokens:,} tokens of {self.index['dtype']}"
                raise DataError(text, str(path), "delete the run's folder and start again")
            ids = np.memmap(path, self.dtype, "r") if tokens else np.empty(0, self.dtype)
            self._ids.append(cast("Ids", ids))
        self._before = np.cumsum([0, *(len(ends) for ends in self._ends)])

    def __len__(self) -> int:
        return int(self._before[-1])

    @property
    def num_tokens(self) -> int:
        """Tokens of all shards."""
        return sum(map(len, self._ids))

    def shard(self, shard: int) -> Ids:
        """All ids of a shard, its documents one after another."""
        return self._ids[shard]

    def ends(self, shard: int) -> NDArray[np.int64]:
        """Where each of a shard's documents ends."""
        return self._ends[shard]

    def place(self, document: int) -> Place:
        """The shard and the row of a document, counted through all shards.

        Raises:
            IndexError: there is no such document.
        """
        if not 0 <= document < len(self):
            raise IndexError(f"document {document} of {len(self)}")
        shard = int(np.searchsorted(self._before, document, side="right")) - 1
        return Place(shard, document - int(self._before[shard]))

    def find(self, shard: int, row: int) -> tuple[int, int]:
        """Where a row's tokens begin and end in its shard."""
        ends = self._ends[shard]
        if not 0 <= row < len(ends):
            raise IndexError(f"row {row} of {len(ends)} in shard {shard}")
        return int(ends[row - 1]) if row else 0, int(ends[row])

    def document(self, document: int) -> Ids:
        """A document's ids, begin and end included."""
        shard, row = self.place(document)
        start, stop = self.find(shard, row)
        return self._ids[shard][start:stop]

    def identifier(self, document: int) -> str:
        """A document's ``id``, from the Parquet file beside its tokens."""
        shard, row = self.place(document)
        return self._names[shard][row].as_py()

    @cached_property
    def _names(self) -> "_Names":
        return _Names(self.folder.parent)


class _Names(dict[int, Any]):
    """Identifiers of a shard, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, shard: int) -> Any:
        path = shard_path(self.folder, "documents", shard)
        try:
            self[shard] = pq.read_table(path, columns=["id"])["id"]
        except (OSError, pa.ArrowInvalid):
            raise DataError("the documents beside the tokens cannot be read", str(path), "keep both") from None
        return self[shard]


def _index(folder: Path) -> dict[str, Any]:
    path = folder / "index.json"
    try:
        said = json.loads(path.read_text())
        known = said["version"] == 1 and said["dtype"] in ("uint16", "uint32")
        shards = [int(shard["tokens"]) for shard in said["shards"]]
    except FileNotFoundError:
        raise DataError("no index of tokens", str(path), "a run that was packed") from None
    except (OSError, ValueError, KeyError, TypeError):
        known, said, shards = False, {}, []
    if not known or min(shards, default=0) < 0:
        raise DataError("is no index of tokens that we know", str(path), "delete the run's folder and start again")
    return said


def _ends(folder: Path, shard: int) -> NDArray[np.int64]:
    path = shard_path(folder, "", shard, ".ends.npy")
    try:
        ends = np.load(path, mmap_mode=None, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise DataError("cannot be read", str(path), "delete the run's folder and start again") from None
    if ends.dtype != np.dtype("<i8") or ends.ndim != 1 or (len(ends) and (ends[0] < 0 or (np.diff(ends) < 0).any())):
        raise DataError("holds no document ends", str(path), "delete the run's folder and start again")
    return ends
