"""A finished corpus as `corpus build` leaves it, made from a list of what happened to each document."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from homespun.corpus.documents import EXCLUDED, SCHEMA, documents
from homespun.corpus.shards import ShardWriter, shard_path, write_json
from homespun.runs.run import open_run

STAGES = ["read", "robots", "licence", "language", "dedup", "quality", "pii"]
CONFIG: dict[str, Any] = {
    "name": "web",
    "stages": STAGES,
    "limits": {"document_bytes": 8388608},
    "gather": [
        {"stage": "robots", "version": 1, "policy": {"mode": "rfc", "agents": ["GPTBot", "CCBot", "*"]}},
        {"stage": "licence", "version": 1, "allow": ["CC0-1.0"]},
    ],
    "dedup": {"ngram": 5},
    "cuts": [{"column": "quality", "keep": "highest", "fraction": 0.33}],
    "refine": [{"stage": "pii", "version": 1}],
}


class Doc(NamedTuple):
    """A document that was read, and what became of it."""

    id: str
    text: str = "some text"
    url: str | None = None
    lang: str | None = "en"
    left: tuple[str, str, str | None] | None = None
    """Filter, reason, evidence; None: it stayed."""


def tokens_of(text: str) -> list[int]:
    """A document's tokens: its bytes, between a beginning and an end."""
    return [1, *(byte + 10 for byte in text.encode()), 2]


def write_corpus(folder: Path, shards: Sequence[Sequence[Doc]], *, packed: bool = True) -> dict[str, int]:
    """Writes a corpus's files, and returns its totals."""
    rows: list[dict[str, Any]] = []
    index: list[dict[str, int]] = []
    for shard, docs in enumerate(shards):
        kept = [doc for doc in docs if doc.left is None]
        left = [(row, doc) for row, doc in enumerate(docs) if doc.left is not None]
        with ShardWriter(shard_path(folder, "documents", shard), SCHEMA) as writer:
            writer.append(
                documents(
                    {
                        "id": [doc.id for doc in kept],
                        "text": [doc.text for doc in kept],
                        "url": [doc.url for doc in kept],
                        "lang": [doc.lang for doc in kept],
                        "source": ["web"] * len(kept),
                        "copies": [1] * len(kept),
                        "meta": [{"of": doc.id} for doc in kept],
                    }
                )
            )
        ledger = [
            {
                "id": doc.id,
                "url": doc.url,
                "source": "web",
                "lang": doc.lang,
                "filter": doc.left[0],
                "reason": doc.left[1],
                "evidence": doc.left[2],
                "bytes": len(doc.text.encode()),
                "shard": shard,
                "row": row,
            }
            for row, doc in left
            if doc.left is not None
        ]
        with ShardWriter(shard_path(folder, "excluded", shard), EXCLUDED) as writer:
            writer.append(pa.Table.from_pylist(ledger, schema=EXCLUDED))
        sizes = [len(tokens_of(doc.text)) for doc in kept]
        if packed:
            (folder / "tokens").mkdir(exist_ok=True)
            ids = np.array([token for doc in kept for token in tokens_of(doc.text)], dtype="<u2")
            ids.tofile(shard_path(folder, "tokens", shard, ".bin"))
            np.save(shard_path(folder, "tokens", shard, ".ends.npy"), np.cumsum(sizes, dtype=np.int64))
            index.append({"documents": len(kept), "tokens": sum(sizes)})
        counts = {
            "read": len(docs),
            "read_bytes": sum(len(doc.text.encode()) for doc in docs),
            "kept": len(kept),
            "kept_bytes": sum(len(doc.text.encode()) for doc in kept),
            "excluded": len(left),
            "excluded_bytes": sum(row["bytes"] for row in ledger),
            "tokens": sum(sizes) if packed else None,
        }
        rows.append({"shard": shard, "source": "web", "path": f"{shard}.jsonl", "start": 0, "stop": 1, **counts})
    kinds = {"shard": pl.Int32, "source": pl.String, "path": pl.String}
    table = pl.DataFrame(rows, schema={name: kinds.get(name, pl.Int64) for name in rows[0]})
    table.write_parquet(folder / "shards.parquet", compression="zstd")
    if packed:
        told = {"documents": sum(s["documents"] for s in index), "tokens": sum(s["tokens"] for s in index)}
        write_json(folder / "tokens" / "index.json", {"dtype": "uint16", "vocab": 300, "shards": index, **told})
    return {name: int(table[name].sum()) for name in ("read", "kept", "excluded")}


Make = Callable[..., Path]


@pytest.fixture
def make() -> Make:
    """Makes a finished run of stage corpus from its documents, and returns its folder."""

    def made(
        shards: Sequence[Sequence[Doc]],
        name: str = "web",
        *,
        packed: bool = True,
        config: dict[str, Any] | None = None,
        root: Path | None = None,
    ) -> Path:
        seen = {**(config or CONFIG), "documents": json.dumps([[list(doc) for doc in docs] for docs in shards])}
        with open_run("corpus", name, config=seen, root=root) as run:
            totals = write_corpus(run.path, shards, packed=packed)
            run.finish(metrics=totals)
        return run.path

    return made


@pytest.fixture
def doc() -> type[Doc]:
    """What a corpus is made from; a fixture, since tests import nothing from each other."""
    return Doc


@pytest.fixture
def corpus(make: Make) -> Path:
    """Two shards in which every filter took something."""
    agents = json.dumps({"agents": ["GPTBot"], "modes": ["rfc", "lenient"]})
    both = json.dumps({"agents": ["GPTBot", "CCBot"], "modes": ["paper", "rfc", "lenient"]})
    return make(
        [
            [
                Doc("web/0.jsonl#0", "Kept in English.", "https://a.example/0"),
                Doc("web/0.jsonl#1", "Refused.", "https://b.example/1", left=("robots", "agent", agents)),
                Doc("web/0.jsonl#2", "Refused too, by more.", "https://c.example/2", left=("robots", "agent", both)),
                Doc("web/0.jsonl#3", "Gardé en français.", "https://a.example/3", "fr"),
                Doc("web/0.jsonl#4", "\x00", None, None, left=("read", "not_utf8", "byte 4")),
                Doc("web/0.jsonl#5", "Kept as well.", "https://a.example/5"),
            ],
            [
                Doc(
                    "web/1.jsonl#0", "Kept in English.", "https://d.example/0", left=("dedup", "exact", "web/0.jsonl#0")
                ),
                Doc("web/1.jsonl#1", "Poor.", "https://d.example/1", left=("quality", "below_threshold", "0.1 < 0.4")),
                Doc("web/1.jsonl#2", "Poor!", "https://d.example/2", left=("dedup", "near", "web/1.jsonl#1")),
                Doc("web/1.jsonl#3", "Чужое", "https://d.example/3", "ru", left=("licence", "unspecified", None)),
                Doc("web/1.jsonl#4", "Last.", "https://d.example/4?page=7"),
            ],
        ]
    )
