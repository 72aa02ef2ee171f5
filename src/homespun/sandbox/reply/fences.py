"""Fenced blocks as models write them: CommonMark first, then what they get wrong.

Beyond CommonMark: fences of any indent and behind list markers or quotation marks, a missing end, an end
glued to the last line of code, a fence opened before the last one was closed, blocks inside a markdown
block of equal fence length, and fences inside a Python string. Every line is looked at a bounded number of
times.
"""

import re
from dataclasses import dataclass, field, replace

from homespun.sandbox.reply.tags import family_of, file_of, tag_of

MAX_NESTING = 3
_OPENING = re.compile(r"((?:[ \t]{0,8}>){0,8})([ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(`{3,}|~{3,})")
_QUOTES = re.compile(r'"""|' + "'''")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``line`` counts from 1 and is the first line of the code."""

    line: int
    info: str
    code: str
    closed: bool = True

    @property
    def tag(self) -> str:
        """The tag in lower case, without attributes."""
        return tag_of(self.info)

    @property
    def file(self) -> str | None:
        """The file name in the info string."""
        return file_of(self.info)


@dataclass(frozen=True, slots=True)
class _Fence:
    quotes: int
    indent: int
    run: str
    info: str

    def may_end(self, other: "_Fence") -> bool:
        same = self.run[0] == other.run[0] and len(other.run) >= len(self.run)
        return same and self.quotes == other.quotes and other.indent <= self.indent + 3


def _fence(line: str) -> _Fence | None:
    if "```" not in line and "~~~" not in line:
        return None
    match = _OPENING.match(line)
    if match is None:
        return None
    quotes, indent, run = match.groups()
    info = line[match.end() :].strip()
    if run[0] == "`" and "`" in info:
        return None
    return _Fence(quotes.count(">"), len(indent.expandtabs(4)), run, info)


@dataclass(slots=True)
class _Scanner:
    """Walks the lines once; ``strings`` turns off after a guess about a string that came to nothing."""

    lines: list[str]
    strings: bool = True
    prose: list[str] = field(default_factory=list[str])

    def blocks(self) -> list[Block]:
        found: list[Block] = []
        at = 0
        while at < len(self.lines):
            fence = _fence(self.lines[at])
            if fence is None:
                self.prose.append(self.lines[at])
                at += 1
                continue
            end, closed = self._end(at + 1, fence)
            code = [_inside(line, fence) for line in self.lines[at + 1 : end]]
            if not closed:
                code, closed = _glued(code, fence)
            found.append(Block(at + 2, fence.info, "\n".join(code), closed))
            at = end + 1 if closed and end < len(self.lines) and self._is_end(end, fence) else end
        return found

    def _is_end(self, at: int, fence: _Fence) -> bool:
        other = _fence(self.lines[at])
        return other is not None and not other.info and fence.may_end(other)

    def _end(self, start: int, fence: _Fence) -> tuple[int, bool]:
        family = family_of(tag_of(fence.info))
        depth, inside, guess = 0, "", -1
        for at in range(start, len(self.lines)):
            line = self.lines[at]
            if fence.quotes and not line.lstrip().startswith(">"):
                return at, False
            other = _fence(line)
            if other is not None and fence.may_end(other):
                if family == "markdown":
                    depth += 1 if other.info else -1
                    if depth < 0:
                        return at, True
                elif inside and self.strings:
                    guess = at if guess < 0 else guess
                else:
                    return at, not other.info
            elif family == "python":
                inside = _string_after(line, inside)
        if guess >= 0:
            self.strings = False
            return guess, not (_fence(self.lines[guess]) or fence).info
        return len(self.lines), False


def _string_after(line: str, inside: str) -> str:
    """Which triple quote is open behind this line of Python; comments are not looked at."""
    for match in _QUOTES.finditer(line):
        if not inside:
            inside = match[0]
        elif match[0] == inside:
            inside = ""
    return inside


def _inside(line: str, fence: _Fence) -> str:
    for _ in range(fence.quotes):
        line = line.lstrip(" \t").removeprefix(">").removeprefix(" ")
    lead = len(line) - len(line.lstrip(" \t"))
    return line[min(lead, fence.indent) :]


def _glued(code: list[str], fence: _Fence) -> tuple[list[str], bool]:
    """An end glued to the last line of code: ``print(1)````` ends the block there."""
    for at, line in enumerate(code):
        bare = line.rstrip()
        if bare.endswith(fence.run) and bare != fence.run:
            return [*code[:at], bare.rstrip(fence.run[0])], True
    return code, False


def fenced_blocks(text: str) -> tuple[list[Block], list[str]]:
    """All fenced blocks of a text in order, and the lines outside of them.

    A block tagged markdown, or without a tag, that holds fences itself is replaced by those, up to
    ``MAX_NESTING`` deep.
    """
    scanner = _Scanner(text.split("\n"))
    blocks = scanner.blocks()
    for _ in range(MAX_NESTING):
        if not any(map(_nests, blocks)):
            break
        blocks = [inner for block in blocks for inner in (_unfold(block) if _nests(block) else [block])]
    return blocks, scanner.prose


def _nests(block: Block) -> bool:
    if family_of(block.tag) not in ("markdown", "unknown"):
        return False
    return any(_fence(line) for line in block.code.split("\n"))


def _unfold(block: Block) -> list[Block]:
    inner = _Scanner(block.code.split("\n")).blocks()
    return [replace(each, line=each.line + block.line - 1) for each in inner]
