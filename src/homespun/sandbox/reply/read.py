"""From a model's reply to a program: BigCodeArena's rule (arXiv:2510.08697 and its code, §1.4 of our notes), mended.

The program is the longest fenced block whose tag isn't a shell's. Where we differ: blocks of data (JSON,
CSS, output) never win; untagged code is recognised when no tagged block is a program; a shorter program is
reported, not lost; what a model thought aloud is no part of its answer; every rule reads syntax trees
instead of matching words; install lines are read and never run; and every choice has its reason.

Nothing here executes anything, and nothing here raises on any text: the answer is Found or NoProgram.
"""

import re
from dataclasses import dataclass
from pathlib import PurePath

from homespun.errors import ConfigError
from homespun.sandbox.reply.fences import Block, fenced_blocks
from homespun.sandbox.reply.installs import Installs
from homespun.sandbox.reply.names import identity
from homespun.sandbox.reply.packages import python_packages
from homespun.sandbox.reply.program import PROGRAMS, Program, family_by_content, read_program, recognised_family
from homespun.sandbox.reply.tags import FAMILIES, Family, family_of
from homespun.sandbox.reply.types import Asked, Dependency, Dropped, Found, NoProgram, Source, Taken, Variant

MAX_CHARACTERS = 120_000
"""A longer reply is refused: about what the longest published setting lets a model write (32,768 tokens)."""
MAX_DROPPED = 200
_THOUGHT = re.compile(r"\s{0,100}<(think|thinking|reasoning)>")
_QUOTED = re.compile(r"(?<!`)`([^`\n]{4,300})`(?!`)")
_COMMENT = re.compile(
    r"(?:[\w ]{0,40}:\s{0,4})?(?=[$!%]?\s{0,2}(?:pip[\d.]{0,5}|python3?\s+-m\s+pip|uv|npm|yarn|pnpm|bun)\s)"
)
_LOCAL = re.compile(r"\s{0,20}#\s{0,4}(?:file(?:name)?:\s{0,4})?([A-Za-z_]\w{0,60})\.py\s*(?:\n|$)", re.IGNORECASE)
_RANK: dict[Source, int] = {"import": 0, "url": 1, "comment": 2, "install": 3, "edit": 4}


@dataclass(frozen=True, slots=True)
class _Piece:
    """One block with what it was taken for."""

    index: int
    block: Block
    family: Family
    why: str

    @property
    def named(self) -> str:
        lines = self.block.code.count("\n") + 1
        return f"block {self.index} ({self.block.tag[:40] or 'no tag'}, {lines} line{'s' * (lines != 1)})"


def read_reply(text: str, *, environment: Asked = "auto", variant: Variant = "imports") -> Found | NoProgram:
    """Read the program out of a model's reply.

    Args:
        text: The reply, any text at all.
        environment: ``auto``, or the environment that was asked for: then only code it can run counts.
        variant: ``imports`` (V1, default) takes dependencies from imports and install lines together;
            ``install`` (V2) trusts the install lines alone where there are any.

    Raises:
        ConfigError: The environment or the variant is none of these.
    """
    _check(environment, variant)
    if len(text) > MAX_CHARACTERS:
        return NoProgram(reason=f"the reply has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    text, dropped = _answer(_plain(text))
    blocks, prose = fenced_blocks(text)
    pieces = [_piece(at, block) for at, block in enumerate(blocks, 1)]
    taken = _choose(pieces, environment, dropped)
    if taken is None and not blocks:
        taken = _bare(text, environment)
    if taken is None:
        return NoProgram(reason=_why_none(pieces, environment), dropped=tuple(dropped[:MAX_DROPPED]))
    installs = Installs()
    for piece in pieces:
        if piece.family == "shell":
            installs.read_all(piece.block.code.split("\n"), "install")
            dropped.append(Dropped(what=piece.named, why="a shell block: its install lines are read, nothing is run"))
    installs.read_all((match[1] for line in prose for match in _QUOTED.finditer(line)), "install")
    local = frozenset(name for piece in pieces if (name := _module(piece)) and piece.index != taken.index)
    return _found(taken, environment, variant, installs, dropped, local)


def read_source(name: str | PurePath, text: str, *, environment: Asked = "auto") -> Found | NoProgram:
    """Read a source file: its ending says the language; text and Markdown files are read as replies.

    Raises:
        ConfigError: The environment is none of those that exist.
    """
    _check(environment, "imports")
    ending = PurePath(str(name).replace("\0", "")).suffix.lower().removeprefix(".")
    family = FAMILIES.get(ending, "unknown")
    if len(text) > MAX_CHARACTERS:
        return NoProgram(reason=f"the file has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    code = _plain(text)
    if family in ("unknown", "markdown", "data", "shell", "other"):
        mended, why = family_by_content(family, code)
        if mended not in PROGRAMS["auto"]:
            return read_reply(text, environment=environment)
        family = mended
    else:
        family, why = family_by_content(family, code)
    piece = _Piece(0, Block(1, ending, code), family, f"{why} (the file's ending)" if why == "by its tag" else why)
    if not code.strip() or family not in PROGRAMS[environment]:
        return NoProgram(reason=_why_none([piece], environment) if code.strip() else "the file is empty")
    return _found(piece, environment, "imports", Installs(), [], frozenset())


def _check(environment: str, variant: str) -> None:
    if environment not in PROGRAMS:
        raise ConfigError(f"no environment {environment[:40]!r}", "environment", ", ".join(PROGRAMS))
    if variant not in ("imports", "install"):
        raise ConfigError(f"no variant {variant[:40]!r}", "variant", "imports or install")


def _plain(text: str) -> str:
    """Line ends as newlines; what no encoding can carry, and NUL, as the replacement character."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").replace("\0", "\ufffd")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _answer(text: str) -> tuple[str, list[Dropped]]:
    """The text behind what the model thought aloud; lines keep their numbers."""
    match = _THOUGHT.match(text)
    end = text.find(f"</{match[1]}>") if match else -1
    if match is None or end < 0:
        return text, []
    end += len(match[1]) + 3
    return "\n" * text.count("\n", 0, end) + text[end:], [Dropped(what=f"<{match[1]}>", why="thought aloud, no answer")]


def _piece(index: int, block: Block) -> _Piece:
    family, why = family_by_content(family_of(block.tag), block.code)
    lines = [line for line in block.code.split("\n") if line.strip()]
    if not lines:
        return _Piece(index, block, "data", "empty")
    if family in ("python", "javascript", "unknown", "data") and Installs().read(lines[0], "install"):
        probe = Installs()
        if probe.read_all(lines, "install") == len(lines):
            return _Piece(index, block, "shell", "nothing but install lines")
    return _Piece(index, block, family, why)


def _choose(pieces: list[_Piece], environment: Asked, dropped: list[Dropped]) -> _Piece | None:
    """The longest tagged program; where there is none, the longest untagged text that is one."""
    able = PROGRAMS[environment]
    programs = [piece for piece in pieces if piece.family in able]
    if not programs:
        programs = _recognised(pieces, able)
    taken = max(programs, key=lambda piece: len(piece.block.code.strip()), default=None)
    for piece in pieces:
        if taken is not None and piece.index == taken.index:
            continue
        if piece.family in PROGRAMS["auto"] or any(piece.index == each.index for each in programs[:MAX_DROPPED]):
            why = "a shorter program block" if piece.family in able else f"nothing that {environment} runs"
            dropped.append(Dropped(what=piece.named, why=why if taken else f"nothing that {environment} runs"))
        elif piece.family != "shell":
            why = {"other": "a language that can't be run here", "unknown": "untagged, and not taken for a program"}
            dropped.append(Dropped(what=piece.named, why=why.get(piece.family, "data or text, no program")))
    return taken


def _recognised(pieces: list[_Piece], able: frozenset[Family]) -> list[_Piece]:
    found: list[_Piece] = []
    for piece in pieces:
        read = recognised_family(piece.block.code) if piece.family == "unknown" else None
        if read is not None and read[0] in able:
            found.append(_Piece(piece.index, piece.block, *read))
    return found


def _bare(text: str, environment: Asked) -> _Piece | None:
    """A reply without a fence that is code from end to end."""
    if not text.strip():
        return None
    family, why = family_by_content("unknown", text)
    read = (family, why) if family in PROGRAMS["auto"] else recognised_family(text)
    if read is None or read[0] not in PROGRAMS[environment]:
        return None
    return _Piece(0, Block(1, "", text), read[0], f"{read[1]}; the whole reply is code")


def _module(piece: _Piece) -> str | None:
    """The module that a further Python block would be, by the file name that it carries."""
    if piece.family != "python":
        return None
    file = piece.block.file
    if file and file.endswith(".py"):
        return file.rsplit("/", 1)[-1].removesuffix(".py")
    match = _LOCAL.match(piece.block.code)
    return match[1] if match else None


def _why_none(pieces: list[_Piece], environment: Asked) -> str:
    if not pieces:
        return "no fenced block, and the text as a whole is no program"
    if environment != "auto" and any(piece.family in PROGRAMS["auto"] for piece in pieces):
        return f"no block that {environment} can run"
    tags = sorted({piece.block.tag[:20] or "no tag" for piece in pieces})[:8]
    return f"{len(pieces)} block{'s' * (len(pieces) != 1)}, none of them a program: {', '.join(tags)}"


def _found(
    taken: _Piece, asked: Asked, variant: Variant, installs: Installs, dropped: list[Dropped], local: frozenset[str]
) -> Found:
    program = read_program(taken.family, taken.block.code.strip("\n") + "\n", taken.why)
    if asked != "auto":
        program.environment, program.reasons["environment"] = asked, f"{asked}: asked for"
    for comment in program.comments:
        match = _COMMENT.match(comment)
        if match:
            installs.read(comment[match.end() :], "comment")
    dependencies = _dependencies(program, variant, installs, local)
    reasons = program.reasons | {"block": _why_taken(taken), "dependencies": _why_needed(variant, installs)}
    return Found(
        code=program.code,
        filename=program.filename,
        language=program.language,
        environment=program.environment,
        dependencies=dependencies,
        installs=tuple(installs.lines),
        reasons=reasons,
        taken=Taken(index=taken.index, line=taken.block.line, tag=taken.block.info[:100], closed=taken.block.closed),
        dropped=tuple((dropped + program.dropped + installs.dropped)[:MAX_DROPPED]),
    )


def _why_taken(taken: _Piece) -> str:
    if taken.index == 0:
        return "the text as a whole"
    return "the longest program block" + ("" if taken.block.closed else "; its fence was never closed")


def _why_needed(variant: Variant, installs: Installs) -> str:
    if variant == "install" and installs.dependencies:
        return "what the install lines name"
    return "what is imported and what install lines name"


def _dependencies(
    program: Program, variant: Variant, installs: Installs, local: frozenset[str]
) -> tuple[Dependency, ...]:
    fitting = [each for each in installs.dependencies if each.kind == program.kind]
    for other in installs.dependencies:
        if other.kind != program.kind:
            program.dropped.append(
                Dropped(what=other.name, why=f"a {other.kind} package for a {program.language} program")
            )
    packages, refused = python_packages(program.python_imports, fitting, local)
    program.dropped += refused
    if variant == "install" and fitting:
        return _merged(fitting)
    return _merged([*fitting, *program.packages, *packages])


def _merged(dependencies: list[Dependency]) -> tuple[Dependency, ...]:
    """Each package once, by name; the order in which they were named doesn't matter.

    A version beats ``latest``, install lines beat imports, and of two versions that differ the greater text wins.
    """
    best: dict[tuple[str, str], Dependency] = {}
    for each in dependencies:
        other = best.setdefault(identity(each), each)
        best[identity(each)] = max(other, each, key=_weight)
        extras = tuple(sorted({*other.extras, *each.extras}))
        source = max(other.source, each.source, key=_RANK.__getitem__)
        best[identity(each)] = best[identity(each)].model_copy(update={"extras": extras, "source": source})
    return tuple(best[key] for key in sorted(best))


def _weight(dependency: Dependency) -> tuple[bool, str, str]:
    return dependency.version != "latest", dependency.version, dependency.name
