"""Names of licences as people write them, into SPDX identifiers.

`packaging` knows the SPDX list; here is what the list does not say: how its licences are called in cards of data sets,
and which identifiers it has given up for better ones. A name that fits several licences is none: ``BSD``, ``CC BY``.
"""

import re
from functools import lru_cache

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

UNSPECIFIED = frozenset(
    [
        "unknown",
        "unspecified",
        "not specified",
        "none",
        "no license",
        "no licence",
        "noassertion",
        "n/a",
        "na",
        "null",
        "nan",
        "-",
        "?",
        "other",
        "various",
        "mixed",
        "custom",
        "see readme",
        "see license",
        "license",
        "licence",
        "tbd",
        "todo",
        "undefined",
        "multiple",
        "unlicensed",
    ]
)
"""What says nothing."""
_GIVEN_UP = {
    "BSD-2-Clause-FreeBSD": "BSD-2-Clause",
    "BSD-2-Clause-NetBSD": "BSD-2-Clause",
    "StandardML-NJ": "SMLNJ",
    "bzip2-1.0.5": "bzip2-1.0.6",
}
_GNU_BARE = re.compile(r"((?:A|L)?GPL|GFDL)-(\d\.\d)(\+?)\Z")
_NAMES = {
    "Apache-2.0": r"asl 2(?:\.0)?|apache(?: software)?(?: licen[sc]e)?,? ?(?:version |v\.? ?)?2(?:\.0)?",
    "MIT": r"expat|(?:the )?(?:mit|expat)(?: licen[sc]e)?(?: \(mit\))?|mit/x11",
    "BSD-3-Clause": r"(?:new|modified|revised) bsd(?: licen[sc]e)?|bsd 3(?: clause)?(?: licen[sc]e)?|"
    r"3 clause bsd(?: licen[sc]e)?",
    "BSD-2-Clause": r"(?:simplified|free) ?bsd(?: licen[sc]e)?|bsd 2(?: clause)?(?: licen[sc]e)?|"
    r"2 clause bsd(?: licen[sc]e)?",
    "BSD-4-Clause": r"original bsd|bsd 4(?: clause)?",
    "0BSD": r"zero clause bsd|bsd zero clause|bsd 0 clause",
    "ISC": r"isc licen[sc]e",
    "MPL-2.0": r"(?:mpl|mozilla public licen[sc]e),? ?(?:version |v\.? ?)?2(?:\.0)?",
    "Unlicense": r"(?:the )?unlicense",
    "CC0-1.0": r"(?:cc0|cc zero|creative commons zero)(?: 1(?:\.0)?)?(?: universal)?",
    "LicenseRef-PublicDomain": r"(?:in the )?public domain|pd|publicdomain|public domain mark(?: 1\.0)?|"
    r"licenseref public ?domain",
    "PDDL-1.0": r"pddl|(?:odc )?public domain dedication and licen[sc]e(?: 1\.0)?",
    "ODC-By-1.0": r"odc by|odc attribution(?: licen[sc]e)?|open data commons attribution(?: licen[sc]e)?(?: v?1\.0)?",
    "ODbL-1.0": r"odbl|open (?:data commons open )?database licen[sc]e(?: v?1\.0)?",
    "BSL-1.0": r"boost(?: software licen[sc]e)?(?: 1\.0)?",
    "Zlib": r"zlib licen[sc]e",
    "WTFPL": r"do what the fuck you want to public licen[sc]e",
    "LicenseRef-Proprietary": r"proprietary|all rights reserved|copyright(?:ed)?|non[ -]?commercial(?: use)?(?: only)?|"
    r"research only|research use only|non commercial",
}
_PATTERNS = tuple((re.compile(pattern), spdx) for spdx, pattern in _NAMES.items())
_CC_URL = re.compile(r"https?://(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/(\d\.\d)(?:/.*)?\Z")
_URLS = {
    "www.apache.org/licenses/license-2.0": "Apache-2.0",
    "opensource.org/licenses/mit": "MIT",
    "opensource.org/license/mit": "MIT",
    "unlicense.org": "Unlicense",
    "www.mozilla.org/mpl/2.0": "MPL-2.0",
    "opendatacommons.org/licenses/by/1-0": "ODC-By-1.0",
    "opendatacommons.org/licenses/odbl/1-0": "ODbL-1.0",
    "opendatacommons.org/licenses/pddl/1-0": "PDDL-1.0",
}
_CC_PARTS = (
    (re.compile(r"creative commons"), "cc"),
    (re.compile(r"\battribution\b"), "by"),
    (re.compile(r"\bnon ?commercial\b"), "nc"),
    (re.compile(r"\bshare ?alike\b"), "sa"),
    (re.compile(r"\bno ?(?:derivs?|derivatives?)(?: works)?\b"), "nd"),
    (re.compile(r"\b(?:international|unported|generic|public|licen[sc]e|deed|version)\b|\bv(?=\d)"), ""),
)
_CC = re.compile(r"cc by(?: (nc))?(?: (nd|sa))?(?: (nc))? ([1-4]\.[05]|[1-4])\Z")
_GNU_NAME = re.compile(
    r"(?:the )?(?:gnu )?(?:(a|affero |l|lesser |library )?(?:gpl|general public licen[sc]e)"
    r"|(gfdl|fdl|free documentation licen[sc]e)),? ?(?:version |v\.? ?)?(\d(?:\.\d)?) ?(\+|only)?\Z"
)


@lru_cache(1 << 12)
def spdx_id(name: str) -> str | None:
    """The SPDX identifier of one licence, perhaps with ``+``; None: unknown, or several are called so.

    Args:
        name: An identifier in any case, or a name.
    """
    known = _listed(name)
    if known is not None:
        return known
    lower = " ".join(name.lower().split()).strip(" .,;")
    if lower.startswith(("http://", "https://")):
        return _of_url(lower)
    bare = " ".join(re.sub(r"[\s_-]+", " ", lower).split())
    for pattern, spdx in _PATTERNS:
        if pattern.fullmatch(bare):
            return spdx
    return _creative_commons(bare) or _gnu(bare)


def exception_id(licence: str, exception: str) -> str | None:
    """An exception's identifier, where it is one."""
    try:
        return canonicalize_license_expression(f"{licence} WITH {exception}").partition(" WITH ")[2]
    except InvalidLicenseExpression:
        return None


def _listed(name: str) -> str | None:
    if not re.fullmatch(r"[A-Za-z0-9.+-]{1,100}", name):
        return None
    if name.lower() in ("licenseref-public-domain", "licenseref-publicdomain"):
        return "LicenseRef-PublicDomain"
    try:
        found = str(canonicalize_license_expression(name))
    except InvalidLicenseExpression:
        return None
    bare = _GNU_BARE.match(found)
    if bare:
        return f"{bare[1]}-{bare[2]}-{'or-later' if bare[3] else 'only'}"
    return _GIVEN_UP.get(found, found)


def _of_url(url: str) -> str | None:
    cc = _CC_URL.match(url)
    if cc:
        kind = {"zero": "CC0", "mark": "LicenseRef-PublicDomain"}.get(cc[2])
        if cc[1] == "publicdomain":
            return f"CC0-{cc[3]}" if kind == "CC0" else kind
        return _listed(f"CC-{cc[2]}-{cc[3]}")
    place = re.sub(r"\.(?:txt|html?|php)\Z", "", url.split("://", 1)[1].rstrip("/"))
    return _URLS.get(place)


def _creative_commons(name: str) -> str | None:
    for pattern, part in _CC_PARTS:
        name = pattern.sub(part, name)
    found = _CC.match(" ".join(name.split()))
    if not found:
        return None
    version = found[4] if "." in found[4] else f"{found[4]}.0"
    parts = ["CC", "BY", *(["NC"] if found[1] or found[3] else []), *([found[2].upper()] if found[2] else []), version]
    return _listed("-".join(parts))


def _gnu(name: str) -> str | None:
    found = _GNU_NAME.match(name)
    if not found:
        return None
    family = "GFDL" if found[2] else {"a": "AGPL", "l": "LGPL"}.get((found[1] or "")[:1], "GPL")
    version = found[3] if "." in found[3] else f"{found[3]}.0"
    return _listed(f"{family}-{version}{'-or-later' if found[4] == '+' else '-only'}")
