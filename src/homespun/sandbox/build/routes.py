"""What a job may ask the proxy for; everything else is refused by its form alone, before anything is fetched."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

LONGEST_PYTHON = 100
LONGEST_NPM = 214
"""npm's own limit."""
_PYTHON = r"(?P<name>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)"
_NPM = r"(?P<name>(?:@[a-z0-9~-][a-z0-9._~-]*(?:/|%2[fF]))?[A-Za-z0-9~][A-Za-z0-9._~-]*)"
_FORMS = (
    ("python", re.compile(rf"/pypi/simple/{_PYTHON}/", re.ASCII)),
    (
        "python",
        re.compile(rf"/pypi/files/{_PYTHON}/(?P<file>(?:[A-Za-z0-9._+!-]|%2[bB]|%21)+\.whl(?:\.metadata)?)", re.ASCII),
    ),
    ("npm", re.compile(rf"/npm/{_NPM}", re.ASCII)),
    ("npm", re.compile(rf"/npm/{_NPM}/-/(?P<file>[A-Za-z0-9._~+-]+\.tgz)", re.ASCII)),
)


@dataclass(frozen=True)
class Asked:
    """A page about one package (no ``file``), or one of its files."""

    kind: Literal["python", "npm"]
    name: str
    file: str | None = None


class Refused(Exception):
    """Not to be had, with the HTTP status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


def read(method: str, target: str, *, has_body: bool = False) -> Asked:
    """Reads a request line.

    Args:
        method: The HTTP method.
        target: The request target exactly as it was sent.
        has_body: Whether a body comes with it.

    Raises:
        Refused: 405 for a method other than GET and HEAD; 400 for a target in another form than ours, a query or a
            body; 404 for a path that means nothing.
    """
    if method not in ("GET", "HEAD"):
        raise Refused(405, "only GET and HEAD")
    if has_body:
        raise Refused(400, "a request with a body")
    if not target.startswith("/") or len(target) > 1_000 or "?" in target or "#" in target:
        raise Refused(400, "an address that is not a plain path")
    for kind, form in _FORMS:
        found = form.fullmatch(target)
        if found is None:
            continue
        name = unquote(found["name"])
        if ".." in name or len(name) > (LONGEST_PYTHON if kind == "python" else LONGEST_NPM):
            raise Refused(400, "a name that no package has")
        file = found.groupdict().get("file")
        return Asked("python" if kind == "python" else "npm", name, unquote(file) if file else None)
    if ".." in target or "%" in target or "\\" in target or "//" in target:
        raise Refused(400, "an address that is not a plain path")
    raise Refused(404, "nothing is here")
