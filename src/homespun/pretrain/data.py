"""Packed documents into batches: any step's batch can be asked for by its number, so resuming needs no more than that.

A corpus run's ``tokens`` folder holds ids shard after shard and where documents end. They are read as one long stream,
cut into sequences of T tokens (and the one that follows, for the last label), which a permutation puts in order: a
Feistel network keyed by seed and pass, so that nothing of the order is kept in memory. Documents that are cut begin
again at position 0, and don't see what lies before the cut. The loss leaves out what follows an end of document (the
next document's beginning is not to be guessed, as Apertus has it), and what the Goldfish mask drops.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homespun.errors import DataError
from homespun.pretrain.goldfish import Goldfish, mask, mixed, word_mask

Ints = NDArray[np.int64]


class Batch(NamedTuple):
    """Arrays of (B, T), see `homespun.pretrain.model.Packed`; weights are 0 or 1."""

    inputs: Ints
    labels: Ints
    documents: Ints
    positions: Ints
    weights: NDArray[np.float32]


class Tokens:
    """The tokens of corpus runs, as one stream that is never read whole.

    Args:
        folders: ``tokens`` folders, of one tokenizer.

    Raises:
        DataError: a folder is damaged, or they were packed by different tokenizers.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.parts: list[NDArray[Any]] = []
        tokenizers: set[str] = set()
        self.begin = self.end = self.vocab = 0
        for folder in folders:
            index = _index(folder)
            tokenizers.add(index["tokenizer"])
            self.begin, self.end, self.vocab = index["begin"], index["end"], index["vocab"]
            for shard in index["shards"]:
                if shard["tokens"]:
                    self.parts.append(_mapped(folder / f"{shard['shard']:05d}.bin", index["dtype"], shard["tokens"]))
        if len(tokenizers) > 1:
            raise DataError("packed by different tokenizers", ", ".join(map(str, folders)), "corpora of one tokenizer")
        self._starts = np.cumsum([0, *(len(part) for part in self.parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, start: int, stop: int) -> Ints:
        """Ids from ``start`` to ``stop``, across shards."""
        found: list[NDArray[Any]] = []
        at = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop:
            offset = start - int(self._starts[at])
            found.append(self.parts[at][offset : offset + stop - start])
            start += len(found[-1])
            at += 1
        return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)


def _index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / "index.json").read_text())
        wanted = {"dtype", "vocab", "tokenizer", "begin", "end", "shards"}
        if index["dtype"] not in ("uint16", "uint32") or not wanted <= set(index):
            raise ValueError("not what packing writes")
    except (OSError, ValueError, KeyError, TypeError) as error:
        first = str(error).splitlines()[0][:200]
        raise DataError(f"no readable index.json: {first}", str(folder), "the tokens folder of a corpus run") from None
    return index


def _mapped(path: Path, dtype: str, count: int) -> NDArray[Any]:
    kind = np.dtype(dtype).newbyteorder("<")
    try:
        if path.stat().st_size != count * kind.itemsize:
            raise DataError(
                f"holds {path.stat().st_size} bytes, not {count} tokens", str(path), "build the corpus again"
            )
        return np.memmap(path, kind, mode="r")
    except OSError as error:
        raise DataError(error.strerror or "cannot be read", str(path), "build the corpus again") from None


@dataclass(frozen=True, kw_only=True)
class Order:
    """Which sequences a step takes."""

    sequences: int
    """How many there are."""
    batch: int
    """Sequences of a step."""
    seed: int = 0

    def at(self, step: int) -> Ints:
        """(batch,) numbers of the sequences of a step; each pass over the data is a permutation of its own."""
        places = np.arange(step * self.batch, (step + 1) * self.batch, dtype=np.int64)
        out = np.empty_like(places)
        for turn in np.unique(places // self.sequences):
            here = places // self.sequences == turn
            out[here] = permuted(places[here] % self.sequences, self.sequences, self.seed, int(turn))
        return out


ROUNDS = 6


def permuted(places: Ints, count: int, seed: int, turn: int) -> Ints:
    """Where a random permutation of ``count`` numbers sends each of ``places``.

    A balanced Feistel network (Luby and Rackoff 1988) on the smallest even number of bits that holds them; what falls
    outside is sent on until it falls inside (cycle walking), which keeps it a permutation.
    """
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    low, shift = np.uint64((1 << half) - 1), np.uint64(half)
    keys = np.random.PCG64([seed, turn]).random_raw(ROUNDS)
    values = places.astype(np.uint64)
    waiting = np.ones(len(values), dtype=np.bool_)
    while waiting.any():
        left, right = values[waiting] >> shift, values[waiting] & low
        for key in keys:
            left, right = right, left ^ (mixed(right ^ key) & low)
        values[waiting] = left << shift | right
        waiting &= values >= count
    return values.astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Batches of one stage of a curriculum."""

    tokens: Tokens
    length: int
    """Tokens of a sequence, T."""
    batch: int
    """Sequences of a step, B."""
    goldfish: Goldfish | None
    seed: int = 0
    pieces: tuple[str, ...] = ()
    """Text of each id, for the Goldfish hash ``words``."""
    held_out: int = 0
    """Sequences at the end of the data that no step sees; `validation` gives them."""

    def __post_init__(self) -> None:
        if self.sequences < 1:
            text = f"{len(self.tokens):,} tokens make no sequence of {self.length:,}"
            raise DataError(text, "tokens", "a larger corpus or a shorter context")
        if self.goldfish and self.goldfish.hash == "words" and not self.pieces:
            raise DataError("hash 'words' needs the text of each token", "goldfish", "the corpus's tokenizer")

    @property
    def sequences(self) -> int:
        """Whole sequences to be trained on."""
        return (len(self.tokens) - 1) // self.length - self.held_out

    def validation(self) -> Iterator[Batch]:
        """The held-out sequences in order; every token counts, but for what follows an end."""
        open_ = replace(self, goldfish=None)
        for start in range(self.sequences, self.sequences + self.held_out, self.batch):
            here = range(start, min(start + self.batch, self.sequences + self.held_out))
            yield open_.batch_of([self.tokens.read(at * self.length, (at + 1) * self.length + 1) for at in here])

    def at(self, step: int) -> Batch:
        """The batch of a step."""
        order = Order(sequences=self.sequences, batch=self.batch, seed=self.seed)
        return self.batch_of([self.tokens.read(at * self.length, (at + 1) * self.length + 1) for at in order.at(step)])

    def batch_of(self, rows: Sequence[Ints]) -> Batch:
        """Rows of T + 1 ids as a batch."""
        row = np.stack(rows)
        inputs, labels = row[:, :-1], row[:, 1:]
        documents, positions = places(inputs, self.tokens.begin)
        counted = inputs != self.tokens.end
        if self.goldfish and self.goldfish.hash == "words":
            counted &= self._by_words(row)[:, 1:]
        elif self.goldfish:
            begun, _ = places(row, self.tokens.begin)
            counted &= (
                mask(row, self.goldfish, begun)[:, 1:]
                if self.goldfish.hash == "document"
                else mask(labels, self.goldfish)
            )
        return Batch(inputs, labels, documents, positions, counted.astype(np.float32))

    def _by_words(self, row: Ints) -> NDArray[np.bool_]:
        assert self.goldfish is not None
        out = np.ones(row.shape, dtype=np.bool_)
        begun, _ = places(row, self.tokens.begin)
        for at in range(len(row)):
            for document in range(int(begun[at, -1]) + 1):
                here = begun[at] == document
                out[at, here] = word_mask([self.pieces[token] for token in row[at, here]], self.goldfish)
        return out


def places(inputs: Ints, begin: int) -> tuple[Ints, Ints]:
    """Number of each token's document within its row, and its place in it; a document begins at ``begin``.

    Args:
        inputs: (B, T) ids.
        begin: Id of the token before each document.
    """
    new = inputs == begin
    new[:, 0] = False
    documents = np.cumsum(new, axis=1)
    columns = np.arange(inputs.shape[1])
    starts = np.maximum.accumulate(np.where(new, columns, 0), axis=1)
    return documents, columns - starts
