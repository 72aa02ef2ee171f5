"""A batch, its verdicts, and the division into what stays and what leaves."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.corpus.documents import SCHEMA, byte_lengths, documents, judged, parted, replaced
from homespun.errors import RunError


def test_unknown_columns_are_null_and_meta_is_json() -> None:
    batch = documents({"id": ["a", "b"], "text": ["x", "y"], "meta": [{"k": "ü"}, None]})
    assert batch.schema == SCHEMA
    assert batch["lang"].null_count == 2
    assert batch["meta"].to_pylist() == ['{"k": "ü"}', None]


@given(st.lists(st.tuples(st.text(), st.sampled_from([None, "short", "rude"])), max_size=20))
def test_what_stays_and_what_leaves_is_what_came(rows: list[tuple[str, str | None]]) -> None:
    batch = documents({"id": [str(at) for at in range(len(rows))], "text": [text for text, _ in rows]})
    parts = parted(judged(batch, [reason for _, reason in rows]), "s", len(rows))
    kept, left = parts.kept["id"].to_pylist(), parts.excluded["id"].to_pylist()
    assert sorted(kept + left, key=int) == [str(at) for at in range(len(rows))]
    assert kept == [str(at) for at, (_, reason) in enumerate(rows) if reason is None]
    assert parts.excluded["reason"].to_pylist() == [reason for _, reason in rows if reason] if left else True
    assert parts.mask.sum() == len(kept)


def test_a_batch_without_verdicts_stays_whole() -> None:
    batch = documents({"id": ["a"], "text": ["x"]})
    assert parted(batch, "s", 1).kept.equals(batch)


def test_a_stage_that_loses_rows_is_named() -> None:
    batch = documents({"id": ["a", "b"], "text": ["x", "y"]})
    with pytest.raises(RunError, match="stage sieve: 2 documents went in and 1 came out"):
        parted(batch.slice(1), "sieve", 2)


@given(st.lists(st.none() | st.text(), max_size=20))
def test_bytes_are_those_of_utf8(texts: list[str | None]) -> None:
    batch = documents({"id": list(map(str, range(len(texts)))), "text": texts})
    assert byte_lengths(batch).tolist() == [len((text or "").encode()) for text in texts]


def test_replacing_keeps_the_schema() -> None:
    batch = replaced(documents({"id": ["a"], "text": ["x"]}), "lang_score", pa.array([0.5], pa.float64()))
    assert batch.schema == SCHEMA
