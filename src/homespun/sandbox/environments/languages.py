"""The languages that run as a program with text output: how each is compiled and started inside a jail.

Python has a runner of its own (`python_program`), JavaScript and TypeScript run under Node here unless they need a
page (`console_page`); HTML and Markdown are pages by nature (`core_web`, `mermaid`). Compilers are Debian's: gcc and
g++ 12, Go 1.19, rustc 1.63, OpenJDK 17; what counts is what is installed.
"""

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from homespun.errors import SandboxError
from homespun.sandbox.environments.types import NODE_MODULES, OWN_NODE, Ran, Work
from homespun.sandbox.jail.types import Bind, Bounds, Jail, Job, Outcome
from homespun.sandbox.reply.compiled import without_comments

PROGRAM = "/tmp/program"
INSIDE = "/usr/bin:/bin"
"""Where compilers must lie to be seen inside a jail; others of the host's are not."""
_REFUSED = ".refused-by-the-compiler"
_PACKAGE = re.compile(r"^\s*package\s+([\w.]{1,200})\s*;", re.MULTILINE)
_SAFE = re.compile(r"[\w$][\w$.-]{0,200}\Z")


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language. ``compile`` and ``run`` are shell words; ``{file}`` and ``{main}`` stand for safe names."""

    run: str
    compile: str = ""
    needs: str = ""
    """The compiler on the host, and the Debian package that brings it."""
    package: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    failure: Callable[[Outcome], str | None] | None = None


_JAVA = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -XX:-UsePerfData"
_NODE = "/node/bin/node --disable-warning=ExperimentalWarning"
LANGUAGES: dict[str, Language] = {
    "c": Language(
        compile="gcc -std=gnu17 -O1 -w -o /tmp/program {file} -lm -pthread", run=PROGRAM, needs="gcc", package="gcc"
    ),
    "c++": Language(
        compile="g++ -std=gnu++20 -O1 -w -o /tmp/program {file} -pthread", run=PROGRAM, needs="g++", package="g++"
    ),
    "go": Language(
        compile="go build -o /tmp/program {file}",
        run=PROGRAM,
        needs="go",
        package="golang-go",
        variables=(("GOCACHE", "/tmp/go"), ("GO111MODULE", "off"), ("GOPATH", "/tmp/gopath"), ("CGO_ENABLED", "0")),
    ),
    "rust": Language(
        compile="rustc --edition 2021 -C opt-level=1 -A warnings -o /tmp/program {file}",
        run=PROGRAM,
        needs="rustc",
        package="rustc",
    ),
    "java": Language(
        compile=f"javac {' '.join('-J' + flag for flag in _JAVA.split())} -nowarn -d /tmp/classes {{file}}",
        run=f"java {_JAVA} -Xmx{{heap}}m -cp /tmp/classes {{main}}",
        needs="javac",
        package="default-jdk-headless",
    ),
    "javascript": Language(run=f"{_NODE} {{file}}"),
    "typescript": Language(run=f"{_NODE} --experimental-transform-types {{file}}"),
}


def available() -> dict[str, bool]:
    """Whether each compiled language can run here."""
    return {
        name: not item.needs or shutil.which(item.needs, path=INSIDE) is not None for name, item in LANGUAGES.items()
    }


def run(work: Work, jail: Jail) -> Ran:
    """Compiles and runs a program of one file; its text output is the result.

    Raises:
        SandboxError: the compiler is not installed, or the jail cannot be had.
    """
    language = LANGUAGES[work.found.language]
    if language.needs and shutil.which(language.needs, path=INSIDE) is None:
        raise SandboxError(
            f"{language.needs} is not installed, so {work.found.language} cannot run",
            "sandbox",
            f"apt install {language.package}",
        )
    started = time.monotonic()
    outcome = jail.start(job(work)).wait()
    return _told(work, outcome, time.monotonic() - started)


def job(work: Work) -> Job:
    """The job of one program: compile, then run, in one jail."""
    found = work.found
    language = LANGUAGES[found.language]
    name = os.path.basename(found.filename)
    name = name if _SAFE.match(name) else {"java": "Main.java"}.get(found.language, f"main{_ending(found.filename)}")
    words = {"file": name, "main": _main_class(found.code, name), "heap": str(max(64, work.bounds.memory_mb * 5 // 8))}
    line = f"exec {language.run.format(**words)}"
    if language.compile:
        line = f"{language.compile.format(**words)} || {{ code=$?; : > {_REFUSED}; exit $code; }}; {line}"
    binds = [Bind(outside=work.layers.node, inside=NODE_MODULES)] if not language.needs else []
    if not language.needs and work.layers.own_node is not None:
        binds.append(Bind(outside=work.layers.own_node, inside=OWN_NODE))
    return Job(
        argv=("/bin/sh", "-c", line),
        files={name: found.code.encode()},
        binds=tuple(binds),
        variables={"NODE_PATH": f"{OWN_NODE}:{NODE_MODULES}", "NO_COLOR": "1", **dict(language.variables)},
        bounds=_bounds(work.bounds, found.language),
        collect=("*",),
    )


def _bounds(bounds: Bounds, language: str) -> Bounds:
    """Compilers need more than programs: linking Go or starting a JVM takes memory and threads."""
    least = {"java": 1024, "go": 1024, "rust": 1024}.get(language, 256)
    return replace(bounds, memory_mb=max(bounds.memory_mb, least), processes=max(bounds.processes, 128))


def _main_class(code: str, filename: str) -> str:
    package = _PACKAGE.search(without_comments(code))
    name = filename.removesuffix(".java")
    return f"{package[1]}.{name}" if package else name


def _ending(filename: str) -> str:
    ending = os.path.splitext(filename)[1]
    return ending if re.fullmatch(r"\.[a-z+]{1,5}", ending) else ""


def _told(work: Work, outcome: Outcome, seconds: float) -> Ran:
    notes = {"compiler": "refused the program"} if _REFUSED in outcome.files else {}
    status = outcome.status
    if work.found.language == "java" and "java.lang.OutOfMemoryError" in outcome.stderr:
        status = "memory"
    left = tuple(sorted(name for name in outcome.files if name not in (work.found.filename, _REFUSED)))
    return Ran(
        status=status,
        exit_code=outcome.exit_code,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        seconds=seconds,
        files=left,
        notes=notes,
    )
