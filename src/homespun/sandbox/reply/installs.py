"""Install commands, read and never run: only names and versions leave here.

The published Space joins a reply's shell blocks with ``&&`` and runs them as they are; here a command is
cut into words, and every word must be a package by the index's own rules. Options fall away, and so do
requirement files, paths, addresses, other indexes and global installs, each with its reason.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from homespun.errors import DataError
from homespun.sandbox.reply.names import npm_requirement, python_requirement
from homespun.sandbox.reply.packages import mended_install
from homespun.sandbox.reply.types import Dependency, Dropped, Kind, Source

MAX_COMMANDS = 300
"""Lines with install commands beyond these are not read."""
MAX_LINE = 2_000
"""A line longer than this is no install command that anyone wrote."""
_BREAKS = frozenset("();|&")
_LEAD = re.compile(r"\s*(?:PS[^>\n]{0,80}>\s*|[$>%!#]\s{0,4}){0,3}(?:sudo\s+(?:-\w\s+){0,3})?")
_MAYBE = re.compile(r"\b(?:pip[\d.]*|uv|poetry|npm|yarn|pnpm|bun)\b")
_PIP = re.compile(r"pip(?:\d(?:\.\d+)?)?")
_PYTHON = re.compile(r"(?:python|py)(?:\d(?:\.\d+)?)?")
_ADDS: dict[str, tuple[str, ...]] = {
    "npm": ("install", "i", "add"),
    "yarn": ("add",),
    "pnpm": ("add", "install", "i"),
    "bun": ("add", "install", "i"),
}
_PIP_VALUES_WORDS = (
    "-r --requirement --requirements -c --constraint -e --editable -i --index-url --extra-index-url -f "
    "--find-links -t --target --prefix --root --proxy --timeout --cert --client-cert -p --python --index "
    "--default-index --platform --python-version --implementation --abi --trusted-host --cache-dir --log "
    "--retries --group --extra --src --report --no-binary --only-binary --exists-action -G --upgrade-package"
)
_PIP_VALUES = frozenset(_PIP_VALUES_WORDS.split())
_NPM_VALUES_WORDS = (
    "--registry --prefix --cwd -C --dir --tag --userconfig -w --workspace --filter --cache --modules-folder "
    "--loglevel --omit --include --network-timeout"
)
_NPM_VALUES = frozenset(_NPM_VALUES_WORDS.split())
_REFUSED = {
    "-r": "a requirement file",
    "--requirement": "a requirement file",
    "--requirements": "a requirement file",
    "-c": "a constraint file",
    "--constraint": "a constraint file",
    "-e": "an editable path",
    "--editable": "an editable path",
    "-i": "another package index",
    "--index-url": "another package index",
    "--extra-index-url": "another package index",
    "--index": "another package index",
    "--default-index": "another package index",
    "-f": "another package index",
    "--find-links": "another package index",
    "--registry": "another package index",
}


@dataclass(slots=True)
class Installs:
    """What install lines named: packages, the lines themselves, and what was refused."""

    dependencies: list[Dependency] = field(default_factory=list[Dependency])
    lines: list[str] = field(default_factory=list[str])
    dropped: list[Dropped] = field(default_factory=list[Dropped])

    def read(self, line: str, source: Source) -> bool:
        """Read one line; whether it held an install command."""
        if len(line) > MAX_LINE or len(self.lines) >= MAX_COMMANDS or not _MAYBE.search(line):
            return False
        held = False
        for words in _commands(line):
            kind, rest = _manager(words)
            if kind is not None:
                held = True
                self._words(kind, rest, source)
        if held:
            self.lines.append(_LEAD.sub("", line, count=1).strip())
        return held

    def read_all(self, lines: Iterable[str], source: Source) -> int:
        """Read many lines, joined where one ends in a backslash; how many were install commands."""
        return sum(self.read(line, source) for line in _joined(lines))

    def _words(self, kind: Kind, words: list[str], source: Source) -> None:
        if kind == "npm" and any(word in ("-g", "--global", "--location=global") for word in words):
            self.dropped.append(Dropped(what=" ".join(words)[:200], why="a global install, which no program imports"))
            return
        values = _PIP_VALUES if kind == "python" else _NPM_VALUES
        require: Callable[[str, Source], Dependency] = python_requirement if kind == "python" else npm_requirement
        rest = iter(words)
        for word in rest:
            if word.startswith("-"):
                flag, equals, value = word.partition("=")
                value = next(rest, "") if flag in values and not equals else value
                if flag in _REFUSED:
                    self.dropped.append(
                        Dropped(what=f"{flag} {value}".strip()[:200], why=f"{_REFUSED[flag]} is refused")
                    )
                continue
            try:
                self._keep(require(word, source))
            except DataError as error:
                self.dropped.append(Dropped(what=word[:200], why=error.what))

    def _keep(self, dependency: Dependency) -> None:
        mended = mended_install(dependency)
        if isinstance(mended, str):
            self.dropped.append(Dropped(what=dependency.name, why=mended))
        else:
            if mended.name != dependency.name:
                self.dropped.append(
                    Dropped(what=dependency.name, why=f"an import's name; the package is {mended.name}")
                )
            self.dependencies.append(mended)


def _joined(lines: Iterable[str]) -> Iterator[str]:
    held = ""
    for line in lines:
        if line.endswith("\\") and len(held) < MAX_LINE:
            held += line[:-1] + " "
            continue
        yield held + line
        held = ""
    if held:
        yield held


def _commands(line: str) -> Iterator[list[str]]:
    """The commands of a shell line as words; none where the quoting is broken."""
    lexer = shlex.shlex(_LEAD.sub("", line, count=1), posix=True, punctuation_chars="();|&")
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        for word in lexer:
            if word and set(word) <= _BREAKS:
                yield words
                words = []
            else:
                words.append(word)
    except ValueError:
        return
    yield words


def _manager(words: list[str]) -> tuple[Kind | None, list[str]]:
    """Whose command this is, and the words behind its verb."""
    while words and re.fullmatch(r"[A-Z_]{1,40}=\S*", words[0]):
        words = words[1:]
    if len(words) > 2 and _PYTHON.fullmatch(words[0]) and words[1] == "-m":
        words = words[2:]
    if words[:1] == ["uv"]:
        words = ["pip", "install", *words[2:]] if words[1:2] == ["add"] else words[1:]
    if words[:2] == ["poetry", "add"]:
        words = ["pip", "install", *words[2:]]
    if len(words) < 2:
        return None, []
    if _PIP.fullmatch(words[0]) and words[1] == "install":
        return "python", words[2:]
    if words[1] in _ADDS.get(words[0], ()):
        return "npm", words[2:]
    return None, []
