"""Bytes of pages into text, by what is declared: byte order mark, HTTP, ``<meta>``, in this order; else UTF-8.

Only the names of the Encoding Standard that pages use are known: Python's codecs include some that are no charsets, and
its ISO 8859-1 is not what browsers take it for. Nothing is guessed and nothing replaced, since a wrong guess makes a
text that looks like a language and is none.
"""

import codecs
import re
from collections.abc import Mapping

from homespun.corpus.read.streams import BrokenError

HEAD = 4096
"""Bytes of a page in which a declaration is looked for; the standard says 1024, and pages put it later."""
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.\-]{1,40})", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,1000}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.\-]{1,40})|<\?xml[^>]{0,200}?"
                   rb"encoding\s*=\s*[\"']([A-Za-z0-9_:.\-]{1,40})", re.IGNORECASE)  # fmt: skip


def _labels() -> dict[str, str]:
    """Labels by what they mean, as Python calls it."""
    table: Mapping[str, str] = {
        "utf-8": "utf-8 utf8 unicode-1-1-utf-8",
        "cp1252": "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso_8859-1 iso88591 latin1 l1 us-ascii ascii "
        "ansi_x3.4-1968",
        "gb18030": "gb18030 gbk gb2312 gb_2312-80 x-gbk chinese csgb2312 iso-ir-58",
        "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5 csbig5",
        "cp932": "shift_jis shift-jis sjis x-sjis windows-31j ms_kanji csshiftjis ms932",
        "euc_jp": "euc-jp x-euc-jp cseucpkdfmtjapanese",
        "iso2022_jp": "iso-2022-jp csiso2022jp",
        "cp949": "euc-kr ks_c_5601-1987 korean windows-949 ksc5601 ks_c_5601 csksc56011987 cseuckr",
        "cp874": "windows-874 tis-620 iso-8859-11 dos-874",
        "koi8_r": "koi8-r koi8 koi koi8_r cskoi8r",
        "koi8_u": "koi8-u koi8-ru",
        "cp866": "ibm866 cp866 866 csibm866",
        "mac_roman": "macintosh mac x-mac-roman",
        "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
        "cp1254": "windows-1254 cp1254 x-cp1254 iso-8859-9 latin5 l5",
        "iso8859_8": "iso-8859-8 iso-8859-8-i hebrew logical visual",
        **{f"cp{n}": f"windows-{n} cp{n} x-cp{n}" for n in (1250, 1251, 1253, 1255, 1256, 1257, 1258)},
        **{f"iso8859_{n}": f"iso-8859-{n} iso8859-{n} iso_8859-{n}" for n in (2, 3, 4, 5, 6, 7, 10, 13, 14, 15, 16)},
    }
    aliases = {"latin2": "iso8859_2", "greek": "iso8859_7", "cyrillic": "iso8859_5", "arabic": "iso8859_6"}
    found = {label: codec for codec, labels in table.items() for label in labels.split()}
    # A page that declares UTF-16 in ASCII letters is not UTF-16.
    return found | aliases | dict.fromkeys(("utf-16", "utf-16le", "utf-16be", "unicode"), "utf-8")


LABELS = _labels()
_C1 = {byte: bytes((byte,)).decode("cp1252") for byte in range(128, 160) if byte not in (129, 141, 143, 144, 157)}
"""What windows-1252 has where ISO 8859-1 has control characters; five bytes are those in both."""


def decoded(content: bytes, parameters: str, html: bool) -> str:
    """The text of a page.

    Args:
        content: Its bytes.
        parameters: Of its Content-Type, behind the first semicolon.
        html: Whether it may declare its charset itself.

    Raises:
        BrokenError: it is not in the charset that it declares, or that is unknown.
    """
    for mark, codec in BOMS:
        if content.startswith(mark):
            return _strict(content[len(mark) :], codec, len(mark))
    said = _DECLARED.search(parameters[:400])
    label = said[1] if said else _declared(content) if html else None
    if label is None:
        return _strict(content, "utf-8", 0)
    codec = LABELS.get(label.lower())
    if codec is None:
        raise BrokenError("bad_charset", f"unknown charset {label}")
    return _strict(content, codec, 0)


def _declared(content: bytes) -> str | None:
    found = _META.search(content[:HEAD])
    return (found[1] or found[2]).decode("ascii") if found else None


def _strict(content: bytes, codec: str, before: int) -> str:
    if codec == "cp1252":
        return content.decode("latin-1").translate(_C1)
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        place = before + error.start
        reason = "not_utf8" if codec == "utf-8" else "bad_charset"
        raise BrokenError(reason, f"byte {place}" if codec == "utf-8" else f"byte {place} is not {codec}") from error
