"""A document is found by what people know of it, and its fate is told with filter, reason and evidence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus.ledger import corpus_folder, why
from homespun.corpus.ledger_rules import RULES, robots_evidence, rule
from homespun.errors import DataError, RunError
from homespun.runs.run import open_run


@pytest.mark.parametrize(
    "asked",
    ["web/0.jsonl#3", "https://a.example/3", "0.jsonl#3", "a.example/3", "//a.example/3"],
)
def test_who_stayed_is_found_with_its_tokens(corpus: Path, asked: str) -> None:
    answer = why(asked)
    assert (answer.id, answer.kept, answer.lang, answer.shard, answer.row) == ("web/0.jsonl#3", True, "fr", 0, 1)
    assert answer.tokens is not None
    ids = np.fromfile(corpus / answer.tokens.file, dtype="<u2")[answer.tokens.start : answer.tokens.stop]
    assert bytes(int(token) - 10 for token in ids[1:-1]).decode() == "Gardé en français."
    assert (ids[0], ids[-1]) == (1, 2)
    assert f"stayed in corpus/{corpus.name}" in answer.words


def test_who_left_is_told_why(corpus: Path) -> None:
    answer = why("https://c.example/2", run=corpus.name)
    assert (answer.kept, answer.filter, answer.reason, answer.shard, answer.row) == (False, "robots", "agent", 0, 2)
    assert answer.words == "web/0.jsonl#2 left at robots: its site's robots file refuses GPTBot, CCBot"
    assert json.loads(answer.evidence or "") == {"agents": ["GPTBot", "CCBot"], "modes": ["paper", "rfc", "lenient"]}
    assert answer.settings is not None
    assert answer.settings["policy"]["mode"] == "rfc"
    assert answer.bytes == len("Refused too, by more.")
    assert why("web/1.jsonl#1").settings == {"column": "quality", "keep": "highest", "fraction": 0.33}
    assert why("web/0.jsonl#4").settings == {"document_bytes": 8388608}


def test_a_copy_names_who_stands_for_it_and_whether_that_one_stayed(corpus: Path) -> None:
    copy = why("web/1.jsonl#0")
    assert (copy.keeper, copy.keeper_words) == ("web/0.jsonl#0", None)
    assert copy.words == "web/1.jsonl#0 left at dedup: web/0.jsonl#0 has the same text"
    orphan = why("web/1.jsonl#2")
    assert orphan.keeper == "web/1.jsonl#1"
    assert orphan.keeper_words == "web/1.jsonl#1 left at quality: its quality is below the threshold of its language"


def test_every_document_is_found_again(corpus: Path) -> None:
    for kind, kept in (("documents", True), ("excluded", False)):
        for path in sorted((corpus / kind).glob("*.parquet")):
            for row in pq.read_table(path).to_pylist():
                answer = why(row["id"])
                found = (answer.id, answer.kept, answer.url, answer.reason)
                assert found == (row["id"], kept, row["url"], row.get("reason"))
                if kept:
                    assert answer.tokens is not None
                    ids = np.fromfile(corpus / answer.tokens.file, dtype="<u2")
                    ids = ids[answer.tokens.start : answer.tokens.stop]
                    assert bytes(int(token) - 10 for token in ids[1:-1]).decode() == row["text"]


def test_ambiguous_and_unknown_names_are_one_line(corpus: Path) -> None:
    with pytest.raises(DataError, match=r"could be 6 documents: web/0.jsonl#0, web/0.jsonl#1") as many:
        why("web/0")
    with pytest.raises(DataError, match=r"no document is called.*web/1\.jsonl#4") as none:
        why("https://d.example/4?page=8")
    with pytest.raises(DataError, match="no document is called ''"):
        why("")
    assert all(len(str(error.value).splitlines()) == 1 for error in (many, none))


@pytest.mark.parametrize("asked", ["' or 1=1 --", "%", "_eb/0.jsonl#0", "\x00", "*", "$asked", "{asked}", "💥" * 3000])
def test_what_looks_like_a_query_is_a_name(corpus: Path, asked: str) -> None:
    with pytest.raises(DataError, match="no document is called"):
        why(asked)


def test_runs_are_asked_newest_first(corpus: Path, make: Any, doc: Any) -> None:
    newer = make([[doc("web/0.jsonl#0", "Other.", "https://a.example/0"), doc("new", "New.")]], "other")
    assert why("web/0.jsonl#0").run == f"corpus/{newer.name}"
    assert why("web/0.jsonl#0", run=corpus.name).run == f"corpus/{corpus.name}"
    assert why("web/0.jsonl#3").run == f"corpus/{corpus.name}"
    # An exact id in an older run wins over part of one in a newer.
    make([[doc("prefix/web/1.jsonl#4", "Yet another.")]], "third")
    assert why("web/1.jsonl#4").run == f"corpus/{corpus.name}"


def test_what_is_no_finished_corpus_is_refused(corpus: Path) -> None:
    with open_run("grade", "x", config={}) as other:
        other.finish()
    with pytest.raises(RunError, match="no corpus"):
        corpus_folder(other.path.name)
    (corpus / "excluded" / "00001.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(RunError, match="cannot be read"):
        why("web/0.jsonl#3")
    with pytest.raises(DataError, match="no run called"):
        why("web/0.jsonl#3", run="nothing")


def test_no_corpus_yet() -> None:
    with pytest.raises(RunError, match="no corpus was built yet"):
        why("x")


def test_a_corpus_that_was_not_packed_has_no_tokens(make: Any, doc: Any) -> None:
    make([[doc("a", "Text.")]], packed=False)
    answer = why("a")
    assert answer.tokens is None
    assert answer.words.endswith(answer.run)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(evidence=st.none() | st.text(max_size=60) | st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["agents", "modes", "x"]), inner),
    max_leaves=8,
).map(json.dumps))  # fmt: skip
def test_no_evidence_breaks_the_words(evidence: str | None) -> None:
    agents, modes = robots_evidence(evidence)
    assert all(isinstance(word, str) for word in (*agents, *modes))
    for filter_, reason in [*RULES, ("new", "reason")]:
        words = rule(filter_, reason, evidence)
        assert words
        assert "{agents}" not in words.replace(evidence or "\x00", "")
