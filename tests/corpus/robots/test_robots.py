"""Robots decisions: a table of files, protego and robotspy beside us, google/robotstxt's cases, and laws."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego
from robots import RobotsParser  # robotspy

from homespun.corpus.robots.decide import Decider, Fetched, Policy
from homespun.corpus.robots.hosts import host_of
from homespun.corpus.robots.parse import MAX_BYTES, MAX_LINE
from homespun.corpus.robots.robots import AGENTS, MODES, Mode, RobotsFile, blocked, verdict
from homespun.corpus.robots.rules import matches

SITE = "https://site.example"
HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


CASES = rows("robots_cases.jsonl")
GOOGLE = rows("google_cases.jsonl")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_mode_says_what_it_must(case: dict[str, Any]) -> None:
    url = SITE + case["path"]
    said = "".join("+" if verdict(case["file"], url, case["agent"], mode).allowed else "-" for mode in MODES)
    assert said == case["expected"]
    assert Protego.parse(case["file"]).can_fetch(url, case["agent"]) == (said[0] == "+")


def test_table_is_large_enough_and_modes_differ_in_it() -> None:
    assert len({case["file"] for case in CASES}) >= 80
    assert len({case["expected"] for case in CASES}) == 5
    assert all(case["expected"][2] == "-" for case in CASES if "-" in case["expected"]), "lenient protects most"


def test_robotspy_agrees_with_rfc_mode_but_for_what_it_reads_otherwise() -> None:
    differing = set()
    for case in CASES:
        parser = RobotsParser.from_string(case["file"])
        ours = verdict(case["file"], SITE + case["path"], case["agent"], "rfc").allowed
        if parser.can_fetch(case["agent"], SITE + case["path"]) != ours:
            differing.add(case["name"])
    assert len(differing) <= len(CASES) // 4, sorted(differing)


@pytest.mark.parametrize("case", GOOGLE, ids=lambda case: case["name"])
def test_published_cases_of_google_pass_in_rfc_mode(case: dict[str, Any]) -> None:
    for path in case["allowed"]:
        assert verdict(case["file"], f"http://foo.bar{path}", case["agent"], "rfc").allowed, path
    for path in case["refused"]:
        assert not verdict(case["file"], f"http://foo.bar{path}", case["agent"], "rfc").allowed, path


def test_three_of_googles_cases_are_decided_by_the_standard() -> None:
    """Its matcher leaves encoding to the caller, and says of the third that it should not be relied on."""
    for rule in ("/foo/bar/\u30c4", "/foo/bar/%E3%83%84"):
        assert verdict(
            f"User-agent: *\nDisallow: /\nAllow: {rule}", "http://foo.bar/foo/bar/\u30c4", "FooBot", "rfc"
        ).allowed
    file = "User-agent: *\nDisallow: /\nAllow: /foo/bar/%62%61%7A"
    assert verdict(file, "http://foo.bar/foo/bar/baz", "FooBot", "rfc").allowed, "RFC 9309, section 2.2.2"


def test_lines_are_cut_where_google_cuts_them() -> None:
    path = "/x/" + "a" * (MAX_LINE - len("disallow: ") - 2)
    file = f"user-agent: FooBot\ndisallow: {path}/qux\n"
    assert verdict(file, "http://foo.bar/fux", "FooBot", "rfc").allowed
    assert not verdict(file, f"http://foo.bar{path}/fux", "FooBot", "rfc").allowed


NAMES = st.sampled_from(
    ["GPTBot", "gptbot/1.0", "CCBot", "CCBot/2.0", "*", "Google", "GPT", "Bot*", "Foo Bar", "a", ""]
)
PATHS = st.sampled_from(
    ["/", "/a", "/a/*", "/a$", "/*.html$", "/%61", "/a%2fb", "/ü", "/a/index.html", "", "*", "/a$b"]
) | st.sampled_from(["/*a*b", "/a?b=c", "/%zz", "/%C3%BC", "a", "/b//", "/%25", "/=", "/%3D", "/*$", "http://x/y"])
PATHS |= st.text("/a*$%2Fü?=", max_size=8)
FIELDS = st.sampled_from(
    ["User-agent", "useragent", "Disallow", "Allow", "Dissallow", "Sitemap", "Crawl-delay", "Foo", "Host"]
)
LINES = st.tuples(
    FIELDS, st.sampled_from([": ", ":", " ", " : "]), NAMES, PATHS, st.sampled_from(["", " # c", "  "])
).map(lambda parts: parts[0] + parts[1] + (parts[2] if "gent" in parts[0] else parts[3]) + parts[4])
FILES = st.tuples(st.lists(LINES, max_size=9), st.sampled_from(["\n", "\r\n", "\r", "\n\n"])).map(
    lambda f: f[1].join(f[0])
)
URLS = PATHS.map(lambda path: f"http://x{path}")
SOME = st.sampled_from(["GPTBot", "CCBot/2.0", "*", "Googlebot"])


@given(FILES, URLS, SOME)
def test_paper_mode_is_protego(file: str, url: str, agent: str) -> None:
    assert RobotsFile(file, "paper").verdict(url, agent).allowed == Protego.parse(file).can_fetch(url, agent)


@given(FILES, URLS, SOME)
def test_lenient_refuses_whatever_another_mode_refuses(file: str, url: str, agent: str) -> None:
    said = {mode: verdict(file, url, agent, mode) for mode in MODES}
    if not (said["paper"].allowed and said["rfc"].allowed):
        assert not said["lenient"].allowed
    for one in said.values():
        assert one.allowed or one.rule is not None
        assert one.reason


@given(st.text("/ab", max_size=12), st.text("/ab*$", max_size=8))
def test_pattern_matches_as_its_regular_expression(path: str, pattern: str) -> None:
    import re

    body, anchor = (pattern[:-1], r"\Z") if pattern.endswith("$") else (pattern, "")
    expression = ".*".join(re.escape(part) for part in body.split("*")) + anchor
    assert matches(pattern, path) == (re.match(expression, path) is not None)


@given(
    st.lists(st.tuples(FILES, URLS.filter(lambda url: url[8:9] in ("", "/"))), min_size=1, max_size=6),
    st.sampled_from(MODES),
)
def test_batches_decide_as_single_urls(pairs: list[tuple[str, str]], mode: Mode) -> None:
    files = {f"h{at}": Fetched(file) for at, (file, _) in enumerate(pairs)}
    urls = [url.replace("http://x", f"http://h{at}") for at, (_, url) in enumerate(pairs)]
    masks = Decider(files, Policy(mode=mode)).masks(pl.Series(urls, dtype=pl.String)).to_list()
    for at, ((file, _), url) in enumerate(zip(pairs, urls, strict=True)):
        names = [agent for bit, agent in enumerate(AGENTS) if masks[at] >> bit & 1]
        assert names == blocked(file, url, AGENTS, mode), url


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.ORG/a", "example.org"),
        ("http://example.org:80/", "example.org"),
        ("https://example.org:443", "example.org"),
        ("https://example.org:8443/", "example.org:8443"),
        ("http://me:secret@example.org./x", "example.org"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("//example.org?x", "example.org"),
        ("http://[2001:db8::1]:80/a", "[2001:db8::1]"),
        ("no url", ""),
        ("", ""),
    ],
)
def test_hosts_are_told_in_one_form(url: str, host: str) -> None:
    assert host_of(url) == host


def test_a_host_without_a_file_has_its_twins() -> None:
    files = {
        "example.org": Fetched("User-agent: *\nDisallow: /"),
        "www.other.org": Fetched("User-agent: *\nDisallow: /"),
    }
    decider = Decider(files)
    urls = [
        "https://www.example.org/a",
        "https://other.org/",
        "https://third.org/",
        "https://sub.example.org/",
        None,
        "x",
    ]
    assert [mask != 0 for mask in decider.masks(pl.Series(urls))] == [True, True, False, False, False, False]


def test_server_error_is_a_matter_of_policy() -> None:
    files = {"down.example": Fetched(None, 503), "gone.example": Fetched(None, 404)}
    assert Decider(files).blocked("https://down.example/a") == []
    assert Decider(files, Policy(unavailable="refuse")).blocked("https://down.example/a") == list(AGENTS)
    assert Decider(files, Policy(unavailable="refuse")).blocked("https://gone.example/a") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"User-agent: *\n" + b"".join(b"Disallow: /%d\n" % at for at in range(1_000_000)),
        b"User-agent: *\n" + b"Disallow: /" + b"*a" * 200_000,
        b"User-agent: *\nDisallow: /" + b"x" * 5_000_000,
        b"User-agent: " + b"a," * 200_000 + b"\nDisallow: /",
        bytes(range(256)) * 4000,
        b"\r" * 3_000_000,
    ],
    ids=["rules", "stars", "line", "names", "bytes", "ends"],
)
def test_hostile_files_are_read_in_bounds(content: bytes) -> None:
    for mode in ("rfc", "lenient"):
        for path in ("/", "/7", "/" + "ab" * 2000):
            verdict(content, SITE + path, "GPTBot", mode)
    assert verdict(content[: MAX_BYTES // 2], SITE + "/robots.txt", "GPTBot", "rfc").allowed
