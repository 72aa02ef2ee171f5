"""Python: what it imports, where it is shown, and what is left of a reply that doesn't parse.

The published rule takes any name ``gr`` for Gradio and any ``st`` for Streamlit; here only an import counts.
``ast`` reads what parses. What doesn't is read by tree-sitter, which keeps the imports of a reply that was
cut off, mixes in notebook commands or was written for Python 2.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from homespun.sandbox.reply.trees import literal, nodes, parsed, words
from homespun.sandbox.reply.types import Environment

_MAGIC = re.compile(r"^(\s*)((?:[!%](?=[A-Za-z])|%%)[^\n]*)$")
_STARTS = re.compile(r"(?:from\s+[\w.]+\s+import\s|import\s+\w[\w., ]*$|(?:async\s+)?def\s+\w+\(.*|class\s+\w+.*:$)")
_IMPORTERS = frozenset({"__import__", "import_module", "importlib.import_module"})
_SHOWS: tuple[Environment, ...] = ("gradio", "streamlit", "pygame")


@dataclass(frozen=True, slots=True)
class PythonSource:
    """A Python program: its code as it can run, and what it says about itself.

    ``imports`` are dotted, ``from a.b import c`` is ``a.b.c``; ``note`` says how the text was read.
    """

    code: str
    imports: tuple[str, ...]
    comments: tuple[str, ...]
    magics: tuple[str, ...]
    note: str

    @property
    def environment(self) -> tuple[Environment, str]:
        """Where the program is shown, and why."""
        tops = {name.split(".")[0] for name in self.imports}
        for shown in _SHOWS:
            if shown in tops:
                return shown, f"imports {shown}"
        return "interpreter", "Python that imports none of gradio, streamlit and pygame"


def read_python(code: str) -> PythonSource:
    """Read a Python program."""
    tree = parse_python(code)
    note, magics = "parsed by ast", ()
    if tree is None:
        cleaned, magics = _without_magics(code)
        tree = parse_python(cleaned) if magics else None
        if magics:
            code, note = cleaned, "parsed by ast once the notebook commands were comments"
    if tree is not None:
        imports = tuple(_imports(tree))
    else:
        imports, note = tuple(_tolerant_imports(code)), "doesn't parse as Python; imports read by tree-sitter"
    return PythonSource(code, imports, tuple(_comments(code)), magics, note)


def parse_python(code: str) -> ast.Module | None:
    """The tree, or None where CPython's own parser refuses the text, for whatever reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def looks_like_python(code: str) -> bool:
    """Whether untagged text is Python: it parses and does something, or its lines start as only Python's do."""
    tree = parse_python(code)
    if tree is None:
        return any(_STARTS.match(line) and "{" not in line for line in code.split("\n"))
    return any(map(_acts, tree.body))


def _acts(node: ast.stmt) -> bool:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While)
    if isinstance(node, (*kinds, ast.With, ast.Try, ast.If)):
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _is_print(node.value)


def _is_print(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "print"


def _without_magics(code: str) -> tuple[str, tuple[str, ...]]:
    """Notebook commands (``!pip install x``, ``%matplotlib inline``) as comments, line for line."""
    lines, magics = code.split("\n"), list[str]()
    for at, line in enumerate(lines):
        match = _MAGIC.match(line)
        if match:
            magics.append(match[2])
            lines[at] = f"{match[1]}pass  # {match[2]}" if match[1] else f"# {match[2]}"
    return "\n".join(lines), tuple(magics)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and _called(node.func) in _IMPORTERS:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("."):
                yield first.value


def _called(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _tolerant_imports(code: str) -> Iterator[str]:
    for node in nodes(parsed("python", code)):
        if node.type == "import_statement":
            yield from (_dotted(words(child)) for child in node.named_children if not child.is_error)
        elif node.type == "import_from_statement":
            module = words(node.child_by_field_name("module_name"))
            names = [_dotted(words(child)) for child in node.children_by_field_name("name")]
            if module and not module.startswith("."):
                yield from ((f"{module}.{name}" for name in names) if names else (module,))
        elif node.type == "call" and words(node.child_by_field_name("function")) in _IMPORTERS:
            arguments = node.child_by_field_name("arguments")
            name = literal(arguments.named_children[0]) if arguments and arguments.named_children else None
            if name and not name.startswith("."):
                yield name


def _dotted(text: str) -> str:
    """``a.b as c`` is ``a.b``."""
    return text.split(" as ")[0].strip()


def _comments(code: str) -> Iterator[str]:
    """The comments of a program; only install lines are looked for in them."""
    if "#" not in code or ("install" not in code and " add " not in code):
        return
    for node in nodes(parsed("python", code)):
        if node.type == "comment":
            yield words(node).lstrip("#").strip()
