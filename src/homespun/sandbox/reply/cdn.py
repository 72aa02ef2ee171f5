"""Addresses of content delivery networks, read as npm packages with their versions."""

import re
from urllib.parse import unquote, urlsplit

from homespun.errors import DataError
from homespun.sandbox.reply.names import npm_requirement
from homespun.sandbox.reply.packages import known_packages
from homespun.sandbox.reply.types import Dependency

_LONGEST_URL = 2_000
_NPM_HOSTS_WORDS = "unpkg.com www.unpkg.com esm.sh cdn.esm.sh esm.run cdn.skypack.dev ga.jspm.io jspm.dev esm.unpkg.com"
_NPM_HOSTS = frozenset(_NPM_HOSTS_WORDS.split())
_LIBRARY_HOSTS = {
    "cdnjs.cloudflare.com": "/ajax/libs/",
    "ajax.googleapis.com": "/ajax/libs/",
    "stackpath.bootstrapcdn.com": "/",
    "maxcdn.bootstrapcdn.com": "/",
}
_FILES = (
    (re.compile(r"code\.jquery\.com/jquery-(\d[\d.]*\d)(?:\.slim)?(?:\.min)?\.js"), "jquery"),
    (re.compile(r"cdn\.plot\.ly/plotly(?:-[a-z]+)*-(\d[\d.]*\d|latest)(?:\.min)?\.js"), "plotly.js-dist-min"),
    (re.compile(r"d3js\.org/d3\.v(\d+)(?:\.min)?\.js"), "d3"),
    (re.compile(r"cdn\.tailwindcss\.com(?:/(\d[\d.]*))?/?"), "tailwindcss"),
    (re.compile(r"threejs\.org/build/three\.(?:module\.)?(?:min\.)?js()"), "three"),
)


def is_address(text: str) -> bool:
    """Whether this is a web address, with or without its scheme."""
    return text.lstrip().lower().startswith(("http://", "https://", "//"))


def cdn_package(address: str) -> Dependency | str:
    """The npm package that an address delivers, or the reason why it is none."""
    if len(address) > _LONGEST_URL:
        return "an address too long to be one"
    try:
        parts = urlsplit(address.strip())
        host = (parts.hostname or "").lower()
    except ValueError:
        return "not a valid address"
    path = unquote(parts.path)
    for pattern, name in _FILES:
        match = pattern.fullmatch(host + path)
        if match:
            return _dependency(name, match[1] or "")
    if host == "cdn.jsdelivr.net":
        return _jsdelivr(path)
    if host in _NPM_HOSTS:
        return _npm_path(path)
    if host in _LIBRARY_HOSTS:
        return _library(path.removeprefix(_LIBRARY_HOSTS[host]))
    return "not on a known content delivery network"


def _jsdelivr(path: str) -> Dependency | str:
    if path.startswith("/npm/"):
        return _npm_path(path.removeprefix("/npm"))
    return "a repository's file, not a package" if path.startswith("/gh/") else "not a package of jsdelivr"


def _npm_path(path: str) -> Dependency | str:
    """``/name@version/file`` and ``/@scope/name@version/file``, behind esm.sh's and jspm's prefixes."""
    words = [word for word in path.removeprefix("/npm:").split("/") if word]
    while words and re.fullmatch(r"v\d+|stable|pin|-|new", words[0]):
        words = words[1:]
    scoped = bool(words) and words[0].startswith("@")
    if len(words) < (2 if scoped else 1):
        return "no package in the address"
    word = "/".join(words[:2]) if scoped else words[0]
    name, _, version = word[1:].lstrip("*").partition("@")
    first = "" if word.startswith("*") else word[0]
    return _dependency(first + name, version.split(",")[0])


def _library(path: str) -> Dependency | str:
    name, _, rest = path.partition("/")
    version = rest.split("/")[0]
    if not re.fullmatch(r"[vr]?\d[\w.-]*", version):
        return "no package in the address"
    return _dependency(known_packages().cdnjs.get(name, name), version)


def _dependency(name: str, version: str) -> Dependency | str:
    # Three.js is the one library whose releases cdnjs calls r128 and npm 0.128.0.
    revision = re.fullmatch(r"r(\d+)", version) if name == "three" else None
    version = f"0.{revision[1]}.0" if revision else version
    try:
        return npm_requirement(f"{name}@{version}" if version else name, "url")
    except DataError as error:
        return error.what
