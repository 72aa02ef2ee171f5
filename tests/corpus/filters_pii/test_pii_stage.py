"""The stage that takes personal data out of a batch: equal to one text at a time, and doing nothing the second time."""

import json
import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.corpus.documents import SCHEMA, Batch, documents, parted
from homespun.corpus.filters.pii import Pii
from homespun.errors import ConfigError
from homespun.personal import KINDS, redact

CASES = [
    json.loads(line)["text"]
    for line in (Path(__file__).parents[2] / "personal" / "cases.jsonl").read_text().splitlines()
]


def batch(texts: list[str | None], sources: list[str | None] | None = None) -> Batch:
    columns = {"id": [str(at) for at in range(len(texts))], "text": texts, "source": sources or ["web"] * len(texts)}
    return documents(columns)


def test_a_batch_is_redacted_as_its_texts_are() -> None:
    stage = Pii(kinds=("email", "ip", "iban", "id"))
    done = stage.open()(batch(CASES))
    wanted = [redact(text, stage.kinds) for text in CASES]
    assert done["text"].to_pylist() == [one.text for one in wanted]
    for kind, column in zip(stage.kinds, ("pii_email", "pii_ip", "pii_iban", "pii_other"), strict=True):
        assert done[column].to_pylist() == [one.counts[kind] for one in wanted], kind
    assert sum(done["pii_other"].to_pylist()) >= 10
    assert done.schema.equals(SCHEMA)


def test_nobody_leaves() -> None:
    done = Pii().open()(batch(CASES))
    assert len(parted(done, "pii", len(CASES)).kept) == len(CASES)


def test_sources_that_are_skipped_stay_and_are_not_counted() -> None:
    texts = ["a@b.com 8.8.8.8", "a@b.com", None, "nothing"]
    done = Pii(skip_sources=frozenset({"code"})).open()(batch(texts, ["code", None, "web", "web"]))
    assert done["text"].to_pylist() == ["a@b.com 8.8.8.8", "<email-pii>", None, "nothing"]
    assert done["pii_email"].to_pylist() == [None, 1, None, 0]
    assert done["pii_other"].to_pylist() == [None] * 4


@given(st.lists(st.sampled_from(CASES) | st.text(max_size=20), max_size=6), st.integers(1, 3))
def test_twice_is_once_and_batches_do_not_matter(texts: list[str], cut: int) -> None:
    judge = Pii().open()
    whole = batch(list(texts))
    once = judge(whole)
    assert judge(once).equals(once)
    parts = [judge(whole.slice(at, cut)) for at in range(0, len(whole), cut)]
    if parts:
        assert pa.concat_tables(parts).to_pylist() == once.to_pylist()


def test_chunks_of_a_table_do_not_matter() -> None:
    two = pa.concat_tables([batch(["x", "a@b.com"]), batch(["8.8.8.8"])])
    assert Pii().open()(two)["text"].to_pylist() == ["x", "<email-pii>", "<ip-pii>"]
    assert Pii().open()(two.slice(0, 0))["text"].to_pylist() == []


def test_a_stage_is_a_value() -> None:
    assert pickle.loads(pickle.dumps(Pii())) == Pii()
    assert len({Pii(), Pii(), Pii(kinds=("ip",))}) == 2
    assert Pii().files == {}
    assert set(Pii().kinds) < set(KINDS)


def test_an_unknown_kind_is_said() -> None:
    with pytest.raises(ConfigError, match=r"phone.*email, ip"):
        Pii(kinds=("phone",))  # pyright: ignore
