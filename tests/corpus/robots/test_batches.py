"""Batches beside single decisions where they could part: odd URLs, the first look, shared plans, hostile files."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.corpus.robots import decide
from homespun.corpus.robots.decide import Decider, Fetched, Policy
from homespun.corpus.robots.gates import gate
from homespun.corpus.robots.hosts import host_of
from homespun.corpus.robots.parse import MAX_BYTES, both, bounded, decode, groups
from homespun.corpus.robots.robots import AGENTS, MODES, Mode, RobotsFile, blocked
from homespun.corpus.robots.rules import Rule, Rules

PIECES = [
    "/",
    "a",
    "b/",
    "?",
    "?s=",
    "q",
    "*",
    "$",
    "%2C",
    "%3F",
    ",",
    "=",
    "3F",
    "C",
    "&",
    ".html",
    "%41",
    "%2f",
    "-",
    "feed/",
]
PATTERNS = st.lists(st.sampled_from(PIECES), max_size=5).map(lambda parts: "/" + "".join(parts)) | st.sampled_from(
    ["", "*", "/", "/*", "/$", "*/feed/", "a", "/*,b", "/*%2C", "/*3F"]
)
NAMES = st.sampled_from(["*", "GPTBot", "gpt", "CCBot/2.0", "CCBot, GPTBot", "Other", "Google", "a", "", "Foo Bar"])
LINES = st.one_of(
    NAMES.map(lambda name: f"User-agent: {name}"),
    PATTERNS.map(lambda pattern: f"Disallow: {pattern}"),
    PATTERNS.map(lambda pattern: f"Allow: {pattern}"),
    st.sampled_from(["", "Sitemap: https://x/y.xml", "sitemap: a # b", "Crawl-delay: 3", "# c", "disallow /a"]),
)
FILES = st.tuples(st.lists(LINES, max_size=10), st.sampled_from(["\n", "\r\n", "\r"])).map(
    lambda parts: "User-agent: *" + parts[1] + parts[1].join(parts[0])
)
PATHS = st.lists(st.sampled_from([*PIECES, "é", "#x", "\t", "//", "robots.txt"]), max_size=6).map("".join)
STARTS = st.sampled_from(
    ["https://h/", "http://H:80/", "https://h", "//h/", "https://u@h/", "HTTPS://www.h/", "ftp://h/"]
)
ODD = st.sampled_from(
    ["h/a", "/a", "", "https:/h/a", "https:///a", "1x://h/a", "mailto:a@h", "https://h?/a", "https://h#/a"]
)
URLS = st.tuples(STARTS, PATHS).map("".join) | ODD | st.none()


@given(FILES, st.lists(URLS, max_size=6), st.sampled_from(MODES))
def test_odd_urls_are_decided_as_alone(file: str, urls: list[str | None], mode: Mode) -> None:
    masks = Decider({"h": Fetched(file)}, Policy(mode=mode)).masks(pl.Series(urls, dtype=pl.String)).to_list()
    for url, mask in zip(urls, masks, strict=True):
        wanted = blocked(file, url, AGENTS, mode) if url and host_of(url) in ("h", "www.h") else []
        assert [agent for bit, agent in enumerate(AGENTS) if mask >> bit & 1] == wanted, url


@given(st.lists(st.tuples(st.booleans(), PATTERNS), max_size=30), st.lists(PATHS, max_size=8), st.booleans())
def test_whatever_is_refused_is_looked_at(rules: list[tuple[bool, str]], paths: list[str], paper: bool) -> None:
    spell = (lambda path: path.translate(decide._TRANSLATED)) if paper else (lambda path: path)
    said = Rules(Rule(allow, spell(pattern), 0, "") for allow, pattern in rules)
    plain = [f"/{path}" for path in paths if not set(path) & set("%*$#é\t") and not path.startswith("/")]
    stopped = gate((rule, paper) for rule in said).stopped(plain)
    assert stopped == sorted(set(stopped))
    for at, path in enumerate(plain):
        rule = said.first(spell(path))
        assert rule is None or rule.allow or at in stopped, path


def test_a_gate_lets_most_pass() -> None:
    said = [Rule(False, pattern, 0, "") for pattern in ("/wp-admin/", "/*?s=", "/a$", "/b%2C", "/long-beginning/x")]
    said += [Rule(True, "/wp-admin/ajax", 0, "")]
    many = [Rule(False, f"/folder-{at}/", 0, "") for at in range(40)]
    paths = ["/", "/2024/title", "/wp-admin/x", "/x?s=1", "/a", "/ab", "/b,", "/folder-9/x"]
    assert gate((rule, False) for rule in said).stopped(paths) == [2, 3, 4]
    assert gate((rule, True) for rule in said).stopped(paths) == [2, 3, 4, 6]
    assert gate((rule, False) for rule in [*said, *many]).stopped(paths) == [2, 3, 4, 7]
    assert gate([(Rule(False, "/", 0, ""), False)]).stopped(paths) == list(range(8))


@given(FILES)
def test_agents_obey_the_same_groups_all_at_once(file: str) -> None:
    for dialect in ("rfc", "lenient", "paper"):
        read = RobotsFile(file, dialect)
        obeyed = {
            (agent, id(rules))
            for rules, mask in read.obeyed(AGENTS)
            for at, agent in enumerate(AGENTS)
            if mask >> at & 1
        }
        assert obeyed == {(agent, id(rules)) for agent in AGENTS for _, rules in read.groups_for(agent)}
    strict, lenient = both(file)
    assert (strict, lenient) == (groups(file, "rfc"), groups(file, "lenient"))


def test_files_that_say_the_same_share_a_plan() -> None:
    base = "User-agent: *\r\nDisallow: /wp-admin/\r\n"
    files = {f"h{at}": Fetched(f"{base}Sitemap: https://h{at}/sitemap.xml\r\n# {at}") for at in range(50)}
    files["bytes"] = Fetched(base.encode())
    decider = Decider(files)
    urls = pl.Series([f"https://{host}/wp-admin/a" for host in files])
    assert (decider.masks(urls) != 0).all()
    assert len(decider._plans) == 3
    hidden = Decider({"h": Fetched("User-agent: *\nSitemap: x\rDisallow: /\n")})
    assert hidden.blocked("https://h/") == list(AGENTS)


def test_what_is_forgotten_is_decided_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "KEPT_HOSTS", 2)
    files = {f"h{at}": Fetched(f"User-agent: *\nDisallow: /{at}") for at in range(6)}
    decider = Decider(files)
    urls = pl.Series([f"https://h{at}/{path}" for at in range(6) for path in (at, "x")])
    whole = decider.masks(urls).to_list()
    assert [mask != 0 for mask in whole] == [True, False] * 6
    assert [decider.masks(urls.slice(at, 2)).to_list() for at in range(0, 12, 2)] == [
        whole[at : at + 2] for at in range(0, 12, 2)
    ]
    assert len(decider._sites) <= 3


def test_a_file_is_cut_between_lines() -> None:
    """Half of "Disallow: /private" would be "Disallow: /"."""
    line, start = "Disallow: /private\n", "User-agent: *\n"
    file = start + line * ((MAX_BYTES - len(start)) // len(line) + 2)
    for extra in range(len(line)):
        for content in ("#" * extra + "\n" + file, b"#" * extra + b"\n" + file.encode()):
            assert decode(content, "rfc").splitlines()[-1] == "Disallow: /private"
            assert len(bounded(content)) <= MAX_BYTES
    assert not Decider({"h": Fetched(file)}, Policy(mode="rfc")).blocked("https://h/public")
    assert bounded("x" * 10, 4) == "xxxx"
    assert bounded(b"ab\rcd", 4) == b"ab\r"


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_million_rules_are_read_in_bounds(mode: Mode) -> None:
    """Of the file as much is read as the mode allows; and paths are not tried against every rule."""
    content = b"User-agent: *\n" + b"".join(b"Disallow: /%d\n" % at for at in range(1_000_000))
    decider = Decider({"h": Fetched(content)}, Policy(mode=mode))
    urls = pl.Series([f"https://h/{path}" for path in ("7/x", "x", "a/b?c") for _ in range(500)])
    masks = decider.masks(urls)
    assert (masks[:500] != 0).all()
    assert not (masks[500:] != 0).any()
    assert len(decider._rules) < 300_000
