"""The planted web of the recipe `tiny`: pages under reserved names, robots files, notes; none of it was ever online.

Bodies of pages are those of help pages in `tiny_corpus`, in frames of our own; what is planted in them (addresses,
broken bytes, a record that ends early) and all robots files are our own writing. Host names are of RFC 2606.
"""

import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pyarrow import parquet
from tiny_corpus_planted import ARTICLES, NOTES, PLANTED, ROBOTS, ROBOTS_LATER
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

Pages = Callable[[str, int], list[tuple[str, str]]]
"""Name and markup of so many help pages of a language."""
DAY = "2024-11-05T12:00:00Z"
FETCHED, FETCHED_LATER = "2025-01-15", "2026-10-01"
PER_HOST = 9
ENGLISH = "daily evening harbour market forum garden kitchen museum library gazette bulletin workshop"
LANGS = {
    "en-US": tuple(ENGLISH.split()),
    "de": ("zeitung", "werkstatt"),
    "fr": ("journal", "atelier"),
    "es": ("diario",),
    "it": ("giornale",),
    "nl": ("krant",),
    "pl": ("gazeta",),
    "ja": ("shinbun",),
    "ru": ("vestnik",),
    "cs": ("noviny",),
}
"""First labels of the hosts that have help pages, by their language."""
NAV = """<nav><ul><li><a href="/">Home</a></li><li><a href="/news">News</a></li><li><a href="/about">About us</a></li>
<li><a href="/search?q=">Search</a></li><li><a href="/login">Sign in</a></li></ul></nav>"""
BANNER = """<div class="cookie-banner" role="dialog"><p>We use cookies to improve this site. By clicking Accept you
agree to our use of cookies.</p><button>Accept</button><button>Reject</button></div>"""
FOOTER = """<footer><p>Copyright 2024 {host}. All rights reserved.</p><ul><li><a href="/imprint">Imprint</a></li>
<li><a href="/privacy">Privacy</a></li><li><a href="/rss">RSS</a></li></ul></footer>"""
FRAMES = (
    '<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title><style>body{{margin:0}}'
    "</style></head><body><header><h2>{host}</h2>{nav}</header><main><article>{body}</article></main>{footer}"
    "<script>track('{host}');</script></body></html>",
    '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"><title>{title} | {host}</title>'
    '</head><body>{banner}<div id="header">{nav}</div><div id="content">{body}</div><div id="sidebar">'
    '<h3>Most read</h3><ul><li><a href="/1">First</a></li><li><a href="/2">Second</a></li></ul></div>'
    "{footer}</body></html>",
    "<!DOCTYPE html><html><head><title>{title}</title><meta charset=utf-8></head><body><noscript>Please enable "
    "JavaScript.</noscript>{nav}<section>{body}</section><aside><form action=/subscribe><label>Newsletter</label>"
    "<input name=mail></form></aside>{footer}",
)


class Page(NamedTuple):
    """One response."""

    url: str
    body: bytes
    kind: str = "text/html; charset=utf-8"
    status: str = "200 OK"


def write(target: Path, pages: Pages) -> None:
    """Writes web.warc.gz, robots.parquet, robots-later.parquet and notes.jsonl."""
    (target / "web.warc.gz").write_bytes(archive([*helped(pages), *planted()]))
    robots(ROBOTS, FETCHED, target / "robots.parquet")
    robots(ROBOTS | ROBOTS_LATER, FETCHED_LATER, target / "robots-later.parquet")
    lines = [json.dumps(note, ensure_ascii=False).encode() for note in NOTES]
    lines[7:7] = [b'{"id": "cut", "text": "This line ends before its ob', b'{"id": "latin", "text": "caf\xe9"}']
    (target / "notes.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def helped(pages: Pages) -> Iterator[Page]:
    """Pages with bodies from the help, a frame for each host, with something planted in every third."""
    things = 0
    for lang, names in LANGS.items():
        found = pages(lang, PER_HOST * len(names))
        for at, (name, markup) in enumerate(found):
            label = names[at // PER_HOST]
            host = f"{label}.example" if at // PER_HOST % 3 else f"www.{label}.example"
            title, body = inside(markup)
            if at % 3 == 0:
                body, things = f"{body}\n<p>{PLANTED[things % len(PLANTED)]}</p>", things + 1
            values = {"host": host, "nav": NAV, "banner": BANNER, "footer": FOOTER.format(host=host)}
            frame = FRAMES[len(label) % len(FRAMES)]
            text = frame.format(lang=lang[:2], title=title, body=body, **values)
            folder = ("news", "archive", "archive/2019", "search")[at % 4]
            yield Page(f"https://{host}/{folder}/{name.rsplit('/', 1)[-1]}.html", text.encode())


def inside(markup: str) -> tuple[str, str]:
    """Title and body of a help page, without the attributes that nobody sees."""
    title = re.search(r"<title>(.*?)</title>", markup, re.DOTALL)
    body = re.search(r'<div id="DisplayArea"[^>]*>(.*?)<(?:footer|aside|div id="DonationFrame")', markup, re.DOTALL)
    assert title
    assert body
    bare = re.sub(r"""\s(?:id|dir|class|name|border|cellpadding|cellspacing|rowspan|colspan)="[^"]*\"""", "", body[1])
    bare = re.sub(r"<meta[^>]*>|<a>\s*</a>|<br>|<img[^>]*>|<script.*?</script>", "", bare, flags=re.DOTALL)
    return title[1], re.sub(r"\s*\n\s*", "\n", bare).strip()


def planted() -> Iterator[Page]:
    """Articles of our own, and answers that no pipeline should trip over."""
    for name, (title, paragraphs) in ARTICLES.items():
        body = f"<h1>{title}</h1>" + "".join(f"<p>{text}</p>" for text in paragraphs)
        yield Page(f"https://letters.example/{name}.html", f"<html><body>{NAV}{body}</body></html>".encode())
    first = ARTICLES["lighthouse"][1]
    copy = f"<html><body><h1>Lighthouse</h1><p>{first[0].replace('stairs', 'steps')}</p><p>{first[1]}</p></body></html>"
    yield Page("https://mirror.example/lighthouse", copy.encode())
    yield Page(
        "http://mirror.example/caf%C3%A9.html",
        "<html><body><p>Le café du port ouvre à six heures, et l'on y lit le journal de la veille en attendant "
        "le premier bateau de l'île.</p></body></html>".encode("iso-8859-1"),
        "text/html; charset=iso-8859-1",
    )
    yield Page(
        "http://mirror.example/broken.html",
        b"<html><meta charset=utf-8><body><p>Bytes \xff\xfe\xe9 of no encoding.</p>",
    )
    yield Page("https://mirror.example/empty.html", b"")
    yield Page("https://mirror.example/nothing.html", b"<html><body><script>run()</script></body></html>")
    yield Page("https://mirror.example/picture.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png")
    yield Page("https://mirror.example/gone.html", b"<h1>Not found</h1>", status="404 Not Found")
    yield Page(
        "https://mirror.example/plain.txt",
        b"A page that is text already: the ferry leaves at seven, at noon and at four, except when the wind is from "
        b"the west, in which case it leaves when the captain says so.\n",
        "text/plain",
    )
    yield Page(
        "https://mirror.example/unfinished.html", b"<html><body><p>Whoever reads this has read too much.</p>" * 40
    )


def archive(pages: list[Page]) -> bytes:
    """A WARC file, one gzip member a record; the last one ends in the middle, as a full disk would leave it."""
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    info = {"software": "homespun tools/tiny_corpus.py", "description": "planted pages under reserved names"}
    starts = [0]
    dated = {"WARC-Date": DAY, "WARC-Record-ID": identifier(0)}
    record = writer.create_warcinfo_record("web.warc.gz", info)
    for name, value in dated.items():
        record.rec_headers.replace_header(name, value)
    writer.write_record(record)
    for number, page in enumerate(pages, 1):
        starts.append(out.tell())
        headers = StatusAndHeaders(page.status, [("Content-Type", page.kind)], protocol="HTTP/1.1")
        record = writer.create_warc_record(
            page.url,
            "response",
            payload=io.BytesIO(page.body),
            http_headers=headers,
            warc_headers_dict={"WARC-Date": DAY, "WARC-Record-ID": identifier(number)},
        )
        writer.write_record(record)
    whole = out.getvalue()
    last = gzip.decompress(whole[starts[-1] :])
    member = gzip.compress(last, mtime=0)
    return whole[: starts[-1]] + member[: len(member) // 2]


def identifier(number: int) -> str:
    """A record's name, the same in every run."""
    return f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>"


def robots(files: dict[str, tuple[str | None, int]], fetched: str, path: Path) -> None:
    """A table of robots files: host, content, status, fetched."""
    rows = [
        {
            "host": host,
            "content": text,
            "status": status,
            "fetched": fetched,
        }
        for host, (text, status) in sorted(files.items())
    ]
    schema = {"host": pl.String, "content": pl.String, "status": pl.Int64, "fetched": pl.String}
    parquet.write_table(pl.DataFrame(rows, schema=schema).to_arrow(), path, compression="zstd", store_schema=False)
