"""The recipes of corpora: what they promise, what they cost, and `tiny` from end to end."""

import pickle
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protego import Protego

from homespun import data
from homespun.corpus.plan import Corpus
from homespun.corpus.read.source import Source
from homespun.corpus.robots import AGENTS
from homespun.errors import ConfigError, DataError
from homespun.recipes.corpora import RECIPES, Made, fineweb, forecast, make, tiny
from homespun.recipes.corpus_cost import RATES
from homespun.recipes.corpus_page import add_corpus, by_mode, reasons
from homespun.runs.report import Page

FOLDER = data.path("corpus")


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tiny(), progress=quiet, root=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A folder as `fineweb` wants it, with the columns of the published data sets."""
    texts = pl.read_parquet(FOLDER / "help.parquet").filter(pl.col("declared") == "en-US")["text"][:200]
    for name, language in (("fineweb", "en"), ("fineweb-2", "deu")):
        table = pl.DataFrame(
            {
                "text": texts,
                "id": [f"<urn:{at}>" for at in range(len(texts))],
                "dump": "CC-MAIN-2024-10",
                "url": [f"https://daily.example/{at}" for at in range(len(texts))],
                "date": "2024-02-20T00:00:00Z",
                "language": language,
            }
        )
        (tmp_path / name).mkdir()
        table.write_parquet(tmp_path / name / "000_00000.parquet")
    return tmp_path


def test_recipes_are_small_equal_to_themselves_and_travel() -> None:
    assert set(RECIPES) == {"tiny", "fineweb"}
    assert pickle.loads(pickle.dumps(tiny())) == tiny()
    assert pickle.loads(pickle.dumps(tiny())).described() == tiny().described()
    assert all(source.licence for source in tiny().sources if source.name != "notes")
    assert tiny().stages == ("read", "extract", "robots", "licence", "language", "dedup", "pii")
    assert all(path.exists() for path in tiny().files().values())


def test_fineweb_is_as_published(web: Path) -> None:
    corpus = fineweb(web, FOLDER / "robots.parquet", web / "quality", web / "toxicity", keep="0.1")
    names = [name for name in corpus.stages if name in ("robots", "quality", "toxicity", "pii")]
    assert names == ["robots", "quality", "toxicity", "pii"]
    said = corpus.described()
    robots = next(stage for stage in said["gather"] if stage["stage"] == "robots")
    assert robots["policy"]["mode"] == "paper"
    assert tuple(robots["policy"]["agents"]) == AGENTS
    assert len(AGENTS) == 15
    assert [(cut["column"], cut["keep"], cut["fraction"]) for cut in said["cuts"]] == [
        ("quality", "highest", 0.1),
        ("toxicity", "lowest", 0.95),
    ]
    dedup = said["dedup"]
    assert (dedup["ngram"], dedup["bands"], dedup["rows"], dedup["per_language"]) == (5, 14, 8, True)
    assert forecast(corpus)["documents"] == 400


def test_fineweb_without_its_data_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fineweb"):
        fineweb(tmp_path, tmp_path / "robots.parquet", tmp_path / "q", tmp_path / "t")


def test_a_forecast_needs_its_sources() -> None:
    lost = replace(tiny(), sources=(Source(name="gone", paths=(Path("nowhere.parquet"),)),))
    with pytest.raises(DataError):
        forecast(lost)


def test_every_stage_of_tiny_has_a_measured_rate() -> None:
    wanted = {*tiny().stages, "pack", "write"}
    assert wanted <= RATES.keys()
    assert all(rate.documents > 0 and rate.bytes > 0 for rate in RATES.values())


@settings(max_examples=8, deadline=None)
@given(st.sets(st.sampled_from(["help", "declarations", "drama", "desktop", "notes", "web"]), min_size=1))
def test_forecasts_add(names: set[str]) -> None:
    corpus = tiny()

    def some(chosen: set[str]) -> Corpus:
        return replace(corpus, sources=tuple(source for source in corpus.sources if source.name in chosen))

    parts = [forecast(some({name})) for name in sorted(names)]
    whole = forecast(some(names))
    for key in ("documents", "bytes", "disk_bytes"):
        assert whole[key] == pytest.approx(sum(part[key] for part in parts), abs=2 * len(parts))
    assert whole["core_hours"] <= sum(part["core_hours"] for part in parts) + 0.001


@pytest.mark.slow
def test_tiny_reads_what_its_forecast_says(built: Made) -> None:
    said, totals = forecast(tiny()), built.report.totals
    assert said["documents"] == pytest.approx(totals["read"]["documents"], rel=0.05)
    assert said["bytes"] == pytest.approx(totals["read"]["bytes"], rel=0.1)
    assert said["tokens"] == pytest.approx(totals["kept"]["tokens"], rel=0.5)


@pytest.mark.slow
def test_tiny_loses_nothing_and_every_filter_finds_something(built: Made) -> None:
    kept = pl.read_parquet(built.folder / "documents" / "*.parquet")
    left = pl.read_parquet(built.folder / "excluded" / "*.parquet")
    shards = pl.read_parquet(built.folder / "shards.parquet")
    assert kept.height + left.height == shards["read"].sum()
    assert set(kept["id"]).isdisjoint(left["id"])
    assert pl.concat([kept["id"], left["id"]]).is_unique().all()
    assert set(left["filter"]) == {"read", "extract", "robots", "licence", "language", "dedup"}
    assert kept["lang"].n_unique() >= 50
    assert kept["text"].str.len_bytes().sum() > 15_000_000


@pytest.mark.slow
def test_what_leaves_tiny_is_what_should(built: Made) -> None:
    kept = pl.read_parquet(built.folder / "documents" / "*.parquet")
    left = pl.read_parquet(built.folder / "excluded" / "*.parquet")
    assert "desktop" not in set(kept["source"])
    stayed = {row["id"].split("/")[1].rsplit("-", 1)[0] for row in kept.filter(pl.col("source") == "notes").to_dicts()}
    assert stayed <= {"own", "either", "compound"}
    assert "own" in stayed
    poem = left.filter(pl.col("id").str.starts_with("drama/paradise") & (pl.col("filter") == "dedup"))
    assert poem.height >= 50
    by = Counter(left["reason"])
    assert by["truncated"] == 1
    assert {"exact", "near", "everyone", "agent", "bad_json"} <= set(by)


@pytest.mark.slow
def test_robots_files_take_from_tiny_at_least_what_the_library_refuses(built: Made) -> None:
    files = {row["host"]: row["content"] for row in pl.read_parquet(FOLDER / "robots.parquet").iter_rows(named=True)}
    kept = pl.read_parquet(built.folder / "documents" / "*.parquet").drop_nulls("url")
    assert kept.height > 50
    for url in kept["url"]:
        content = files.get(url.split("/")[2].removeprefix("www."))
        parsed = Protego.parse(content) if content else None
        assert parsed is None or all(parsed.can_fetch(url, agent) for agent in AGENTS), url
    rows = {row["mode"]: row for row in by_mode(built.refused)}
    assert rows["lenient"]["documents"] >= max(rows["paper"]["documents"], rows["rfc"]["documents"]) > 0


@pytest.mark.slow
def test_no_planted_address_is_left_in_tiny(built: Made) -> None:
    kept = pl.read_parquet(built.folder / "documents" / "*.parquet").filter(pl.col("source") == "web")
    text = "\n".join(kept["text"])
    assert "<email-pii>" in text
    assert "<ip-pii>" in text
    assert "<iban-pii>" in text
    assert not re.search(r"@no--such|no--such \(dot\)", text)
    assert "treasurer@example.org" in text  # reserved, so nobody's
    assert "9.9.9.9" not in text
    assert "192.168.1.20" in text  # nobody's
    assert kept["pii_email"].sum() > 0


@pytest.mark.slow
def test_the_page_says_what_the_ledger_says(built: Made, tmp_path: Path) -> None:
    page = Page(title="t")
    add_corpus(page, built, tmp_path)
    text = page.write(tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "corpus.png").stat().st_size > 10_000
    assert (tmp_path / "robots.png").stat().st_size > 10_000
    assert f"{built.report.totals['kept']['documents']:,} stayed" in text
    for row in reasons(built):
        assert row["example"], row["reason"]
        assert row["reason"] in text
    assert sum(row["documents"] for row in reasons(built)) == built.report.totals["excluded"]["documents"]


@pytest.mark.slow
def test_a_finished_corpus_is_not_built_again(built: Made) -> None:
    before = (built.folder / "run.json").stat().st_mtime_ns
    again = make(tiny(), progress=quiet, root=built.folder.parents[1])
    assert again.folder == built.folder
    assert (built.folder / "run.json").stat().st_mtime_ns == before
