"""What a registry says of one package, checked and made smaller: the page that the job gets, and where its files are.

The page names each file at our own proxy; the true addresses stay on this side. A file without a hash is left out, for
nothing could be said of what would come.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import quote, urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser

MOST_FILES = 20_000
WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}\.whl", re.ASCII)
TARBALL = re.compile(r"[A-Za-z0-9~_][A-Za-z0-9._~+-]{0,250}\.tgz", re.ASCII)
_VERSION_FIELDS = {
    "dependencies": dict,
    "optionalDependencies": dict,
    "peerDependencies": dict,
    "peerDependenciesMeta": dict,
    "bin": (dict, str),
    "engines": dict,
    "os": list,
    "cpu": list,
    "libc": list,
    "deprecated": str,
    "bundleDependencies": (list, bool),
}
_LENGTHS = {"sha512": 64, "sha384": 48, "sha256": 32, "sha1": 20}


class Malformed(Exception):
    """What the registry sent is no such page."""


@dataclass(frozen=True)
class Remote:
    """One file: where it truly is, and the hash that it must have."""

    url: str
    algorithm: str
    digest: str

    @property
    def key(self) -> str:
        """Its name in the cache."""
        return f"{self.algorithm}-{self.digest}"


@dataclass(frozen=True)
class Index:
    """One package: the page for the job, and its files by name."""

    page: dict[str, Any]
    files: dict[str, Remote] = field(default_factory=dict[str, Remote])

    def dumps(self) -> bytes:
        """For the cache."""
        files = {name: [file.url, file.algorithm, file.digest] for name, file in self.files.items()}
        return json.dumps({"page": self.page, "files": files}).encode()

    @classmethod
    def loads(cls, text: bytes) -> "Index":
        """From the cache, which only we write."""
        told = json.loads(text)
        return cls(told["page"], {name: Remote(*parts) for name, parts in told["files"].items()})


def read_pypi(name: str, content: bytes, kind: str, address: str) -> Index:
    """Reads a page of the simple index, as JSON (PEP 691) or HTML (PEP 503); wheels alone are kept.

    Args:
        name: The package.
        content: The page.
        kind: Its content type.
        address: Where it came from; links may be relative to it.

    Raises:
        Malformed: it is neither.
    """
    rows = _json_rows(content) if "json" in kind else _html_rows(content)
    shown: list[dict[str, Any]] = []
    files: dict[str, Remote] = {}
    for row in rows[:MOST_FILES]:
        filename, digest = row["filename"], row["sha256"]
        if not WHEEL.fullmatch(filename) or not _is_hex(digest, "sha256"):
            continue
        url = urljoin(address, row["url"])
        files[filename] = Remote(url, "sha256", digest)
        entry: dict[str, Any] = {"filename": filename, "url": f"/pypi/files/{name}/{quote(filename)}"}
        entry["hashes"] = {"sha256": digest}
        for key in ("requires-python", "yanked"):
            if row.get(key):
                entry[key] = row[key]
        if _is_hex(row.get("metadata"), "sha256"):
            files[f"{filename}.metadata"] = Remote(f"{url.split('#')[0]}.metadata", "sha256", row["metadata"])
            entry["core-metadata"] = entry["data-dist-info-metadata"] = {"sha256": row["metadata"]}
        shown.append(entry)
    return Index({"meta": {"api-version": "1.0"}, "name": name, "files": shown}, files)


def _json_rows(content: bytes) -> list[dict[str, Any]]:
    try:
        told = json.loads(content)
        listed = told["files"]
        rows = [row for row in listed if isinstance(row, dict)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Malformed("not a page of a Python index") from error
    found: list[dict[str, Any]] = []
    for row in rows:
        hashes, metadata = row.get("hashes"), row.get("core-metadata", row.get("data-dist-info-metadata"))
        python = row.get("requires-python")
        yanked = row.get("yanked")
        found.append(
            {
                "filename": str(row.get("filename")),
                "url": str(row.get("url")),
                "sha256": hashes.get("sha256") if isinstance(hashes, dict) else None,
                "metadata": metadata.get("sha256") if isinstance(metadata, dict) else None,
                "requires-python": python[:200] if isinstance(python, str) else None,
                "yanked": yanked[:200] if isinstance(yanked, str) else bool(yanked),
            }
        )
    return found


def _html_rows(content: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for link in LexborHTMLParser(content).css("a[href]"):
        address = link.attributes.get("href") or ""
        parts = urlsplit(address)
        given = link.attributes.get("data-core-metadata") or link.attributes.get("data-dist-info-metadata") or ""
        found.append(
            {
                "filename": link.text(strip=True),
                "url": address.split("#")[0],
                "sha256": parts.fragment.removeprefix("sha256="),
                "metadata": given.removeprefix("sha256="),
                "requires-python": link.attributes.get("data-requires-python"),
                "yanked": "data-yanked" in link.attributes,
            }
        )
    return found


def read_npm(name: str, content: bytes, base: str) -> Index:
    """Reads what an npm registry says of a package; only what an install needs is kept.

    Args:
        name: The package.
        content: The answer.
        base: Address of our own proxy, as the job sees it.

    Raises:
        Malformed: it is no such answer.
    """
    try:
        told = json.loads(content)
        versions, tags = dict(told["versions"]), dict(told.get("dist-tags") or {})
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise Malformed("not a page of an npm registry") from error
    shown: dict[str, Any] = {}
    files: dict[str, Remote] = {}
    for version, row in list(versions.items())[:MOST_FILES]:
        dist = row.get("dist") if isinstance(row, dict) else None
        remote = _remote(dist) if isinstance(dist, dict) else None
        if remote is None:
            continue
        filename = urlsplit(remote.url).path.rsplit("/", 1)[-1]
        if not TARBALL.fullmatch(filename):
            continue
        files[filename] = remote
        kept = {key: row[key] for key, kinds in _VERSION_FIELDS.items() if isinstance(row.get(key), kinds)}
        integrity = f"{remote.algorithm}-{base64.b64encode(bytes.fromhex(remote.digest)).decode()}"
        kept["dist"] = {"tarball": f"{base}/{name}/-/{filename}", "integrity": integrity}
        shown[version] = {"name": name, "version": version, **kept}
    tags = {tag: version for tag, version in tags.items() if version in shown}
    return Index({"name": name, "dist-tags": tags, "versions": shown}, files)


def _remote(dist: dict[str, Any]) -> Remote | None:
    """The strongest hash that the registry gives: one of ``integrity`` (W3C SRI), else the old ``shasum``."""
    url, integrity, digest = dist.get("tarball"), dist.get("integrity"), dist.get("shasum")
    if not isinstance(url, str):
        return None
    for part in sorted(integrity.split() if isinstance(integrity, str) else [], reverse=True):
        algorithm, _, encoded = part.partition("-")
        try:
            found = base64.b64decode(encoded, validate=True).hex()
        except binascii.Error:
            continue
        if algorithm in ("sha512", "sha384", "sha256") and _is_hex(found, algorithm):
            return Remote(url, algorithm, found)
    return Remote(url, "sha1", digest) if _is_hex(digest, "sha1") else None


def _is_hex(text: Any, algorithm: str) -> TypeGuard[str]:
    return isinstance(text, str) and re.fullmatch(f"[0-9a-f]{{{2 * _LENGTHS[algorithm]}}}", text) is not None
