"""The texts of `tiny`: as the notice says, repeating as they should, and a planted web that is planted."""

import json
import re
import zlib
from pathlib import Path

import polars as pl
import pytest
from protego import Protego
from warcio.archiveiterator import ArchiveIterator

from homespun import data
from homespun.corpus.robots import AGENTS, Decider, Fetched, Policy
from homespun.runs.tables import sha256

FOLDER = data.path("corpus")
TABLES = ("help", "declarations", "drama", "desktop")
ROW = re.compile(r"^\| ([\w.-]+) \|.*\| ([0-9a-f]{64}) \|$", re.MULTILINE)
ENDS = ("com", "net", "org")
RESERVED = re.compile(r"(?:[\w-]+\.)*example(?:\.(?:com|net|org))?")


def table(name: str) -> pl.DataFrame:
    return pl.read_parquet(FOLDER / f"{name}.parquet")


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


def robots(name: str) -> dict[str, Fetched]:
    rows = pl.read_parquet(FOLDER / name).iter_rows(named=True)
    return {row["host"]: Fetched(row["content"], row["status"]) for row in rows}


@pytest.fixture(scope="module")
def pages() -> dict[str, tuple[str, bytes]]:
    """What an independent reader gets out of the archive, until it breaks off: type and body by address."""
    found: dict[str, tuple[str, bytes]] = {}
    with (FOLDER / "web.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "response":
                kind = record.http_headers.get_header("Content-Type")
                found[record.rec_headers.get_header("WARC-Target-URI")] = (kind, record.content_stream().read())
    return found


def test_files_are_those_of_the_notice() -> None:
    notice = (FOLDER / "SOURCE.md").read_text(encoding="utf-8")
    wanted = {name: digest for name, digest in ROW.findall(notice) if (FOLDER / name).exists()}
    data_files = {p.name for p in FOLDER.iterdir() if p.suffix in (".parquet", ".jsonl", ".gz")}
    assert wanted.keys() >= data_files
    assert {name: sha256(FOLDER / name) for name in wanted} == wanted
    for licence in re.findall(r"`(LICENSE[\w.-]+)`", notice):
        assert (FOLDER / licence).stat().st_size > 1000


def test_it_is_as_large_and_as_varied_as_it_says_and_small_in_the_package() -> None:
    texts = pl.concat([table(name).select("text", "declared") for name in TABLES])
    size = int(texts["text"].str.len_bytes().sum())
    assert size >= 20_000_000
    assert f"{size:,} bytes" in (FOLDER / "SOURCE.md").read_text(encoding="utf-8")
    assert texts["text"].null_count() == 0
    assert (texts["text"].str.len_chars() > 0).all()
    by = table("help").group_by("declared").agg(pl.col("text").str.len_bytes().sum()).sort("text", descending=True)
    assert by.height >= 30
    assert by["declared"][0] == "en-US"
    assert table("declarations")["declared"].n_unique() >= 70
    assert sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file()) <= 6_500_000


@pytest.mark.parametrize("name", TABLES)
def test_identifiers_are_unique(name: str) -> None:
    assert table(name)["id"].is_unique().all()


def test_pages_of_all_languages_are_the_same_pages() -> None:
    rows = table("help").with_columns(page=pl.col("id").str.split_exact("/", 1).struct[1])
    names = {lang: set(part["id"].str.replace(r"^[^/]+/", "")) for (lang,), part in rows.group_by("declared")}
    assert all(len(found & names["en-US"]) >= 0.8 * len(found) for found in names.values())
    assert len(set.intersection(*names.values())) >= 60


def test_repeats_are_real() -> None:
    drama = table("drama")
    book = {name: drama.filter(pl.col("id").str.starts_with(f"{name}/"))["text"].to_list() for name in
            ("paradiselost", "paradise-lost-no-introduction-gut")}  # fmt: skip
    first, second = book.values()
    assert len(first) > 50
    assert first == second
    rows = table("help").with_columns(page=pl.col("id").str.replace(r"^[^/]+/", ""))
    british = rows.filter(pl.col("declared") == "en-GB").join(rows.filter(pl.col("declared") == "en-US"), on="page")
    pairs = [(shingles(a), shingles(b)) for a, b in british.select("text", "text_right").iter_rows()]
    likeness = [len(a & b) / max(1, len(a | b)) for a, b in pairs]
    assert sum(0.7 < value < 1 for value in likeness) >= 20
    assert sum(value == 1 for value in likeness) >= 5
    assert min(likeness) < 0.7


def test_what_is_share_alike_names_its_authors() -> None:
    desktop = table("desktop")
    assert (desktop["credits"].list.len() >= 1).all()
    assert "Attribution-ShareAlike 3.0 Unported" in (FOLDER / "LICENSE-CC-BY-SA-3.0").read_text(encoding="utf-8")


def test_the_planted_web_is_under_reserved_names(pages: dict[str, tuple[str, bytes]]) -> None:
    assert len(pages) > 150
    hosts = {url.split("/")[2] for url in pages}
    assert all(RESERVED.fullmatch(host) for host in hosts)
    assert {host.removeprefix("www.") for host in hosts} - robots("robots.parquet").keys() == {"noviny.example"}
    addresses = {found for _, body in pages.values() for found in re.findall(rb"[\w.]+@([\w.-]+)", body)}
    assert addresses
    assert {host.decode().rstrip(".") for host in addresses} <= {"example.org", *(f"no--such.{end}" for end in ENDS)}


def test_the_archive_ends_in_the_middle_of_a_record(pages: dict[str, tuple[str, bytes]]) -> None:
    raw = (FOLDER / "web.warc.gz").read_bytes()
    texts: list[bytes] = []
    whole = True
    while raw:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        texts.append(member.decompress(raw))
        raw, whole = member.unused_data, member.eof
    assert not whole
    assert len(texts) == len(pages) + 2  # the record about the archive, and the one that a reader does not get
    assert b"unfinished.html" in texts[-1]
    assert b"</html>" not in texts[-1]
    assert "https://mirror.example/unfinished.html" not in pages
    with pytest.raises(UnicodeDecodeError):
        pages["http://mirror.example/broken.html"][1].decode()


@pytest.mark.parametrize("name", ["robots.parquet", "robots-later.parquet"])
def test_robots_files_say_in_paper_mode_what_the_library_says(name: str, pages: dict[str, tuple[str, bytes]]) -> None:
    files = robots(name)
    decider = Decider(files, Policy(mode="paper"))
    refused = 0
    for url in list(pages)[::5]:
        host = url.split("/")[2].removeprefix("www.")
        content = files[host].content if host in files else None
        parsed = Protego.parse(str(content)) if content is not None else None
        wanted = [agent for agent in AGENTS if parsed is not None and not parsed.can_fetch(url, agent)]
        assert decider.blocked(url) == wanted, url
        refused += bool(wanted)
    assert refused > 5


def test_the_three_ways_of_reading_differ_where_they_are_meant_to() -> None:
    files = robots("robots.parquet")

    def agents(mode: str, host: str) -> set[str]:
        policy = Policy(mode=mode)  # type: ignore[arg-type]
        return set(Decider(files, policy).blocked(f"https://{host}/news/a.html"))

    assert "GPTBot" not in agents("paper", "library.example")
    assert "GPTBot" in agents("rfc", "library.example")
    assert "Google-Extended" in agents("paper", "gazette.example")
    assert "Google-Extended" not in agents("rfc", "gazette.example")
    assert "ClaudeBot" not in agents("paper", "bulletin.example")
    assert "ClaudeBot" in agents("rfc", "bulletin.example")
    for host in files:
        assert agents("paper", host) | agents("rfc", host) <= agents("lenient", host)


def test_later_robots_files_only_take_more(pages: dict[str, tuple[str, bytes]]) -> None:
    urls = pl.Series(sorted(pages))
    now, later = (Decider(robots(name)).masks(urls) for name in ("robots.parquet", "robots-later.parquet"))
    assert ((now | later) == later).all()
    assert 20 <= int((later != now).sum()) < len(urls) // 2


def test_notes_say_all_sorts_of_licences_and_two_lines_are_broken() -> None:
    rows, broken = [], 0
    for line in (FOLDER / "notes.jsonl").read_bytes().splitlines():
        try:
            rows.append(json.loads(line))
        except (json.JSONDecodeError, UnicodeDecodeError):
            broken += 1
    assert broken == 2
    assert {row["licence"] for row in rows} >= {None, "Apache-2.0", "CC BY-NC 4.0", "GPL-2.0-only OR MIT"}
    assert any(row["upstream"] for row in rows)


def test_the_tool_that_made_them_is_there_and_pins_its_packages() -> None:
    root = Path(__file__).resolve().parents[2]
    notice = (FOLDER / "SOURCE.md").read_text(encoding="utf-8")
    pins = re.findall(
        r'^    "([a-z0-9-]+)": "([0-9a-f]{64})",$', (root / "tools/tiny_corpus_notice.py").read_text(), re.M
    )
    assert len(pins) > 30
    assert all(f"| {name} |" in notice and digest in notice for name, digest in pins)
