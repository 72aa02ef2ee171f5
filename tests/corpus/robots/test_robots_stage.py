"""The robots stage: reasons and evidence of a ledger, tables as files, signals, and rates beside single decisions."""

import json
import pickle
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus.documents import Batch, documents
from homespun.corpus.filters.robots import Robots, rates
from homespun.corpus.filters.robots_table import RobotsTable
from homespun.corpus.filters.signals import captured, content_signals
from homespun.corpus.robots import AGENTS, MODES, Fetched, Policy, blocked
from homespun.errors import ConfigError, DataError

FILES = {
    "open.example": "User-agent: *\nDisallow: /wp-admin/\n",
    "closed.example": "User-agent: *\nDisallow: /\n",
    "no-ai.example": "User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /\n\nUser-agent: *\nAllow: /\n",
    "typo.example": "User-agent: GPT\nDisallow: /\n",
    "version.example": "User-agent: GPTBot/1.0\nDisallow: /\n",
    "signal.example": "User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n",
}


def table(path: Path, **columns: list[Any]) -> Path:
    rows = {"host": list(FILES), "content": list(FILES.values()), **columns}
    pl.DataFrame(rows).write_parquet(path / "robots.parquet")
    return path / "robots.parquet"


def batch(urls: list[str | None], meta: list[dict[str, Any] | None] | None = None) -> Batch:
    columns = {"id": [str(at) for at in range(len(urls))], "text": ["x"] * len(urls), "url": urls}
    return documents(columns | ({"meta": meta} if meta else {}))


def test_reasons_and_evidence(tmp_path: Path) -> None:
    urls: list[str | None] = [f"https://www.{host}/a" for host in FILES]
    urls += ["https://open.example/wp-admin/x", "https://unknown.example/", None, "no url"]
    done = Robots(table=table(tmp_path)).open()(batch(urls))
    every = list(AGENTS)
    assert done["reason"].to_pylist() == [
        None,
        "everyone",
        "agent",
        "agent",
        "agent",
        None,
        "everyone",
        None,
        None,
        None,
    ]
    evidence = [one and json.loads(one) for one in done["evidence"].to_pylist()]
    assert evidence[1] == {"agents": every, "modes": ["paper", "rfc", "lenient"]}
    assert evidence[2] == {
        "agents": ["CCBot", "CCBot/2.0", "CCBot/1.0", "GPTBot"],
        "modes": ["paper", "rfc", "lenient"],
    }
    assert evidence[3] == {"agents": ["GPTBot"], "modes": ["paper", "lenient"]}
    assert evidence[4] == {"agents": ["GPTBot"], "modes": ["rfc", "lenient"]}
    assert evidence[6]["agents"] == every


@pytest.mark.parametrize("mode", MODES)
def test_one_ledger_tells_what_the_other_modes_remove(tmp_path: Path, mode: Any) -> None:
    urls: list[str | None] = [f"https://{host}/a" for host in FILES]
    lenient = Robots(table=table(tmp_path)).open()(batch(urls))
    there = [row for row, one in enumerate(lenient["evidence"].to_pylist()) if one and mode in json.loads(one)["modes"]]
    own = Robots(table=table(tmp_path), policy=Policy(mode=mode)).open()(batch(urls))
    assert [row for row, one in enumerate(own["reason"].to_pylist()) if one] == there


def test_rates_are_those_of_single_decisions() -> None:
    urls = [f"https://{host}/{path}" for host in FILES for path in ("", "wp-admin/", "b")] + ["https://none.example/"]
    found = rates(pl.Series(urls), {host: Fetched(text) for host, text in FILES.items()})
    assert found.columns == ["mode", "agent", "refused", "documents", "share"]
    for mode, agent, refused, whole, share in found.iter_rows():
        names = list(AGENTS) if agent == "any" else [agent]
        wanted = sum(bool(blocked(FILES.get(url.split("/")[2]), url, names, mode)) for url in urls)
        assert (refused, whole) == (wanted, len(urls)), (mode, agent)
        assert share == pytest.approx(refused / whole)
    assert len(found) == 3 * 16
    assert rates(pl.Series([], dtype=pl.String), {})["share"].to_list() == [0.0] * 48


def test_tables_as_files(tmp_path: Path) -> None:
    rows = [
        {"host": "Example.ORG:80", "content": "old", "status": 200, "fetched": "2024-01-01"},
        {"host": "https://example.org/", "content": "new", "status": 503, "fetched": "2025-01-01"},
        {"host": "b\u00fccher.example", "content": None, "status": None, "fetched": None},
    ]
    path = tmp_path / "robots.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    read = RobotsTable.read(path)
    assert dict(read) == {"example.org": Fetched("new", 503), "xn--bcher-kva.example": Fetched(None, None)}
    pl.DataFrame({"host": ["a.example"], "content": [b"\xff User-agent"]}).write_parquet(tmp_path / "r.parquet")
    assert RobotsTable.read(tmp_path / "r.parquet")["a.example"] == Fetched(b"\xff User-agent", None)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.parquet", None, "no robots table"),
        ("x.csv", "host,content", "no robots table"),
        ("x.parquet", "no parquet", "cannot be read"),
        ("x.jsonl", "{broken", "cannot be read"),
        ("x.jsonl", '{"name": "a"}', "no column 'host'"),
        ("x.jsonl", '{"host": "a", "content": 3}', "column 'content' is of type Int64"),
        ("x.jsonl", '{"host": "a", "content": "", "status": "ok"}', "column 'status' is of type String"),
    ],
)
def test_bad_tables_are_said_in_a_line(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        Robots(table=tmp_path / name).open()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_signals_are_off_and_can_be_asked_for(tmp_path: Path) -> None:
    path = table(tmp_path, ai_txt=["User-agent: *\nDisallow: /a\n", *[None] * 5])
    urls: list[str | None] = [
        "https://open.example/a",
        "https://open.example/b",
        "https://signal.example/",
        "https://x.example/1",
        "https://x.example/2",
        "https://x.example/3",
        "https://closed.example/",
        None,
    ]
    meta: list[dict[str, Any] | None] = [
        None,
        None,
        None,
        {"headers": {"TDM-Reservation": "1"}},
        {"x-robots-tag": "noindex, noai"},
        {"tdm-reservation": "0", "note": "noai"},
        {"tdm_reservation": 1},
        {"tdm_reservation": 1},
    ]
    assert Robots(table=path).open()(batch(urls, meta))["reason"].to_pylist() == [None] * 6 + ["everyone", None]
    stage = Robots(table=path, signals=frozenset({"ai_txt", "content_signal", "tdm", "x_robots"}))
    done = stage.open()(batch(urls, meta))
    assert done["reason"].to_pylist() == ["signal", None, "signal", "signal", "signal", None, "everyone", "signal"]
    said = [one and json.loads(one) for one in done["evidence"].to_pylist()]
    assert said[0] == {"signal": "ai_txt", "rule": "line 2: Disallow: /a"}
    assert said[2] == {"signal": "content_signal", "rule": "line 2: Content-Signal: search=yes, ai-train=no"}
    assert [said[at]["signal"] for at in (3, 4, 7)] == ["tdm", "x_robots", "tdm"]


@pytest.mark.parametrize(
    ("file", "paths"),
    [
        ("User-agent: *\nContent-Signal: ai-train=no", ["/"]),
        ("Content-signal: AI-Train=No", ["/"]),
        ("User-agent: *\nContent-Signal: ai-train=yes, search=no", []),
        ("User-agent: GPTBot\nContent-Signal: /a ai-train=no", ["/a"]),
        ("User-agent: Other\nContent-Signal: ai-train=no", []),
        ("User-agent: Other\nUser-agent: *\nContent-Signal: ai-train=no", ["/"]),
        ("User-agent: *\nDisallow:\nUser-agent: Other\nContent-Signal: ai-train=no", []),
        ("# Content-Signal: ai-train=no", []),
    ],
)
def test_content_signals(file: str, paths: list[str]) -> None:
    assert [path for path, _ in content_signals(file, AGENTS)] == paths


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["noai", "1", "gptbot: noai"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["tdm-reservation", "headers", "x-robots-tag", "robots", "noai"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(JSON | st.just("[" * 100_000 + "noai"))
def test_whatever_was_captured_is_read_or_left(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    found = captured(pl.Series([text]), {"tdm", "x_robots"}, AGENTS)
    if found and found[0].signal == "x_robots":
        assert "noai" in found[0].rule


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    urls=st.lists(
        st.sampled_from([f"https://{host}/{path}" for host in FILES for path in ("", "wp-admin/")]) | st.none()
    )
)
def test_a_document_is_judged_alone(judge: Any, urls: list[str | None]) -> None:
    whole = judge(batch(urls)).select(["reason", "evidence"]).to_pylist()
    assert whole == [judge(batch([url])).select(["reason", "evidence"]).to_pylist()[0] for url in urls]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Robots(table=table(tmp_path_factory.mktemp("robots"))).open()


def test_a_stage_is_a_value(tmp_path: Path) -> None:
    stage = Robots(table=Path("robots.parquet"), signals=frozenset({"tdm"}))
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert hash(stage) == hash(pickle.loads(pickle.dumps(stage)))
    assert stage.files == {"table": Path("robots.parquet")}
    with pytest.raises(ConfigError, match="no signal"):
        Robots(table=tmp_path, signals=frozenset({"robots"}))  # pyright: ignore
