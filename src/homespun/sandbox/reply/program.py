"""What kind of program a piece of code is: its language, where it is shown, and what it needs, with the reasons."""

import re
from dataclasses import dataclass, field

from homespun.sandbox.reply.cdn import is_address
from homespun.sandbox.reply.compiled import compiled_language, is_cpp, is_diagram, java_class
from homespun.sandbox.reply.markup import is_component, is_fragment, is_page, packages_at, read_component, read_page
from homespun.sandbox.reply.packages import npm_package
from homespun.sandbox.reply.python_source import looks_like_python, read_python
from homespun.sandbox.reply.script_source import ScriptSource, read_script
from homespun.sandbox.reply.tags import Family
from homespun.sandbox.reply.types import Asked, Dependency, Dropped, Environment, Kind, Language

_FILES: dict[str, str] = {
    "python": "main.py",
    "javascript": "main.js",
    "typescript": "main.ts",
    "html": "index.html",
    "markdown": "diagram.mmd",
    "c": "main.c",
    "c++": "main.cpp",
    "go": "main.go",
    "rust": "main.rs",
}
_COMPILED: dict[Family, Language] = {"c": "c", "c++": "c++", "java": "java", "go": "go", "rust": "rust"}
_SCRIPT_SIGN = re.compile(r"[=(]|^(?:import|export)\b", re.MULTILINE)
_SCRIPTS: tuple[Family, ...] = ("javascript", "typescript", "vue")
PROGRAMS: dict[Asked, frozenset[Family]] = {
    "react": frozenset({"javascript", "typescript"}),
    "vue": frozenset({"vue", "javascript", "typescript"}),
    "core_web": frozenset({"html"}),
    "gradio": frozenset({"python"}),
    "streamlit": frozenset({"python"}),
    "pygame": frozenset({"python"}),
    "mermaid": frozenset({"mermaid"}),
    "interpreter": frozenset({"python", "javascript", "typescript", "c", "c++", "java", "go", "rust"}),
    "auto": frozenset(
        {"python", "javascript", "typescript", "html", "vue", "mermaid", "c", "c++", "java", "go", "rust"}
    ),
}
"""Which families of code an environment can run."""


@dataclass(slots=True)
class Program:
    """One program as its own text shows it; dependencies by import come as names or as ready packages."""

    code: str
    language: Language
    environment: Environment
    reasons: dict[str, str]
    filename: str = ""
    python_imports: tuple[str, ...] = ()
    packages: list[Dependency] = field(default_factory=list[Dependency])
    comments: tuple[str, ...] = ()
    dropped: list[Dropped] = field(default_factory=list[Dropped])

    @property
    def kind(self) -> Kind | None:
        """Which index this program's packages come from; None for languages that get none."""
        if self.language == "python":
            return "python"
        return "npm" if self.language in ("javascript", "typescript", "html") else None


def family_by_content(family: Family, code: str) -> tuple[Family, str]:
    """The family of a block by its tag, mended where its text plainly says otherwise, and why.

    A page is a page under any tag; a Vue component under any tag of the web; a diagram under a tag for text.
    """
    if is_page(code):
        return "html", "begins as an HTML page"
    if family in ("html", "javascript", "typescript", "vue", "unknown", "markdown", "data") and is_component(code):
        return "vue", "is a Vue single-file component"
    if family in ("javascript", "typescript", "unknown") and is_fragment(code):
        return "html", "begins with an element of HTML"
    if family in ("markdown", "unknown", "data", "mermaid") and is_diagram(code):
        return "mermaid", "begins as a Mermaid diagram"
    if family == "mermaid":
        return "data", "no diagram of Mermaid's"
    return family, "by its tag"


def recognised_family(code: str) -> tuple[Family, str] | None:
    """The family of code that carries no tag, by its text alone."""
    language = compiled_language(code)
    if language is not None:
        return next(family for family, name in _COMPILED.items() if name == language), f"recognised as {language}"
    if looks_like_python(code):
        return "python", "recognised as Python"
    if not _SCRIPT_SIGN.search(code):
        return None
    script = read_script(code)
    if script.acts and not script.broken:
        return ("typescript" if script.language == "typescript" else "javascript"), f"recognised as {script.language}"
    return None


def read_program(family: Family, code: str, why: str) -> Program:
    """Read one program of a family that can be run."""
    if family == "python":
        return _python(code, why)
    if family == "mermaid":
        return _finished(code, "markdown", "mermaid", why, "a Mermaid diagram")
    if family == "html":
        script = None if code.lstrip().startswith("<") else read_script(code)
        if script is None or script.broken or not (script.imports or script.jsx):
            return _page(code, why)
        return _script(code, script, "a script under the tag of HTML")
    if family == "vue" and is_component(code):
        language, source = read_component(code)
        return _script(code, source, why, component=language)
    if family in _SCRIPTS:
        return _script(code, read_script(code, typed=family == "typescript"), why)
    if family == "c" and is_cpp(code):
        return _finished(code, "c++", "interpreter", "C++ under the tag of C", "a compiled program")
    return _finished(code, _COMPILED[family], "interpreter", why, "a compiled program")


def _finished(code: str, language: Language, environment: Environment, why: str, shown: str) -> Program:
    name = f"{java_class(code)}.java" if language == "java" else _FILES[language]
    reasons = {"language": f"{language}: {why}", "environment": f"{environment}: {shown}"}
    return Program(code, language, environment, reasons, name)


def _python(code: str, why: str) -> Program:
    source = read_python(code)
    environment, shown = source.environment
    program = _finished(source.code, "python", environment, f"{why}; {source.note}", shown)
    program.python_imports, program.comments = source.imports, source.comments
    program.dropped = [
        Dropped(what=magic[:200], why="a notebook command, kept as a comment") for magic in source.magics
    ]
    return program


def _script(code: str, source: ScriptSource, why: str, component: Language | None = None) -> Program:
    environment, shown = source.environment
    if component is not None:
        environment, shown = "vue", "a Vue single-file component"
    language = component or source.language
    program = _finished(code, language, environment, f"{why}; {source.note}", shown)
    if environment == "react":
        program.filename = "App.tsx" if language == "typescript" else "App.jsx"
    elif component is not None:
        program.filename = "App.vue"
    program.comments = tuple(source.comments)
    _add_imports(program, source.imports)
    return program


def _page(code: str, why: str) -> Program:
    program = _finished(code, "html", "core_web", why, "a page")
    page = read_page(code)
    program.packages += page.packages
    program.dropped += [Dropped(what=address, why=reason) for address, reason in page.refused]
    _add_imports(program, page.imports)
    return program


def _add_imports(program: Program, imports: list[str] | tuple[str, ...]) -> None:
    packages, refused = packages_at([name for name in imports if is_address(name)])
    program.packages += packages
    program.dropped += [Dropped(what=address, why=reason) for address, reason in refused]
    for name in imports:
        read = None if is_address(name) else npm_package(name, "import")
        if isinstance(read, Dependency):
            program.packages.append(read)
        elif isinstance(read, str):
            program.dropped.append(Dropped(what=f"import {name[:200]}", why=read))
