"""Documents as rows of Arrow tables, and what a stage is: a function from a batch to the same batch, judged.

Every stage takes a batch and gives back as many rows in the same order. It may fill or change columns (a language, a
text without addresses), and it says in two columns which documents leave: ``reason``, null for those that stay, and
``evidence``. Rows are never removed by a stage: the pipeline takes them out, writes them into the ledger, and checks
that what stayed and what left is what was read.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from homespun.errors import RunError

if TYPE_CHECKING:
    Values = pa.Array[Any] | pa.ChunkedArray[Any]
else:
    Values = pa.Array | pa.ChunkedArray

Batch = pa.Table
"""Rows of `SCHEMA`, in some places with the columns of `VERDICT` beside them."""

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # unique in a run: the input's name, and the record's place or own identifier
        ("text", pa.large_string()),
        ("url", pa.string()),
        ("source", pa.string()),  # name of the recipe's source
        ("lang", pa.string()),  # ISO 639-1 where there is one, else 639-3, with a script where one needs it: "sr-Latn"
        ("lang_score", pa.float32()),
        ("licence", pa.string()),  # SPDX expression
        ("licence_source", pa.string()),  # where that is said: "source", "document", "filter"
        ("upstream", pa.list_(pa.string())),  # what the document was made from, nearest first
        ("fetched", pa.string()),  # ISO 8601, where known
        ("quality", pa.float32()),
        ("toxicity", pa.float32()),
        ("copies", pa.int32()),  # documents of its cluster before deduplication, itself included
        ("pii_email", pa.int32()),
        ("pii_ip", pa.int32()),
        ("pii_iban", pa.int32()),
        ("pii_other", pa.int32()),
        ("meta", pa.string()),  # whatever else the input said, as one JSON object
    ]
)
"""A document. Unknown is null, never a default."""

VERDICT = pa.schema([("reason", pa.string()), ("evidence", pa.string())])
"""Why a document leaves: a word that can be counted, and what shows it (a rule, a score, another document's id)."""

EXCLUDED = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("source", pa.string()),
        ("lang", pa.string()),
        ("filter", pa.string()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
        ("bytes", pa.int64()),
        ("shard", pa.int32()),
        ("row", pa.int64()),  # the document's place in its shard as it was read
    ]
)
"""A row of the ledger: one for every document that left."""

Judge = Callable[[Batch], Batch]
"""A stage that is open: a batch in, the same batch with its verdicts out."""


class Stage(Protocol):
    """A stage's configuration: a frozen dataclass, small, picklable, and equal to itself in every process.

    ``open`` makes the function, with whatever is dear to load (a model, a table); it is called once per process.
    """

    name: ClassVar[str]
    """The filter's name in the ledger."""

    version: ClassVar[int]
    """Goes up when the same input would be judged differently."""

    @property
    def files(self) -> Mapping[str, Path]:
        """Files that the stage reads, by a name for the run's record; their contents are part of the run."""
        ...

    def open(self) -> Judge:
        """The function.

        Raises:
            DataError: a file cannot be read.
            ConfigError: a library or a setting is missing.
        """
        ...


class Parted(NamedTuple):
    """A judged batch in two."""

    kept: Batch
    excluded: pa.Table
    """Rows of `EXCLUDED` less ``shard`` and ``row``, with all columns of the batch that it has."""
    mask: NDArray[np.bool_]
    """Which rows stayed."""


def documents(columns: Mapping[str, Sequence[Any] | Values]) -> Batch:
    """A batch with the columns of `SCHEMA`: those given, and nulls.

    Args:
        columns: At least ``id`` and ``text``, all of one length. ``meta`` may hold mappings, written as JSON.
    """
    count = len(columns["id"])
    arrays: list[Any] = []
    for field in SCHEMA:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(count, field.type))
        elif isinstance(values, pa.Array | pa.ChunkedArray):
            arrays.append(values.cast(field.type))
        elif field.name == "meta":
            arrays.append(pa.array([None if v is None else json.dumps(v, ensure_ascii=False) for v in values]))
        else:
            arrays.append(pa.array(values, field.type))
    extra = {name: columns[name] for name in VERDICT.names if name in columns}
    table = pa.Table.from_arrays(arrays, schema=SCHEMA)
    for name, values in extra.items():
        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, pa.string())
        table = table.append_column(name, array)
    return table


def replaced(batch: Batch, name: str, values: Sequence[Any] | NDArray[Any] | Values) -> Batch:
    """The batch with one column of `SCHEMA` changed."""
    kind = SCHEMA.field(name).type
    known = isinstance(values, pa.Array | pa.ChunkedArray)
    array = values.cast(kind) if known else pa.array(values, kind)
    return batch.set_column(batch.schema.get_field_index(name), SCHEMA.field(name), array)


def judged(
    batch: Batch, reason: Sequence[str | None] | Values, evidence: Sequence[str | None] | Values | None = None
) -> Batch:
    """The batch with its verdicts.

    Args:
        batch: Documents, without verdicts.
        reason: For each row why it leaves; null: it stays.
        evidence: For each row that leaves what shows it.
    """
    said: dict[str, Any] = {"reason": reason, "evidence": [None] * len(batch) if evidence is None else evidence}
    for name, values in said.items():
        known = isinstance(values, pa.Array | pa.ChunkedArray)
        batch = batch.append_column(name, values.cast(pa.string()) if known else pa.array(values, pa.string()))
    return batch


def parted(batch: Batch, stage: str, count: int) -> Parted:
    """What stays, and what leaves with its reason.

    Args:
        batch: A stage's answer; without verdicts all of it stays.
        stage: Its name.
        count: Rows that it was given.

    Raises:
        RunError: rows were lost or won, or a text became null.
    """
    if len(batch) != count:
        raise RunError(f"{count} documents went in and {len(batch)} came out", f"stage {stage}", "mend the stage")
    if "reason" not in batch.column_names:
        return Parted(batch.select(SCHEMA.names), batch.slice(0, 0), np.ones(count, dtype=np.bool_))
    stays = pc.is_null(batch["reason"])
    mask = np.asarray(stays.to_numpy(zero_copy_only=False), dtype=np.bool_)
    kept = batch.select(SCHEMA.names)
    if mask.all():
        return Parted(kept, batch.slice(0, 0), mask)
    return Parted(kept.filter(stays), batch.filter(pc.invert(stays)), mask)


def byte_lengths(batch: Batch) -> NDArray[np.int64]:
    """UTF-8 bytes of each text; 0 where there is none."""
    lengths: Any = pc.binary_length(batch["text"])
    return pc.fill_null(lengths, pa.scalar(0, lengths.type)).to_numpy().astype(np.int64)
