"""C, C++, Java, Go and Rust, and Mermaid's diagrams: told by their first words; Java's class by its name."""

import re

from homespun.sandbox.reply.types import Language

_QUIET = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?", re.DOTALL)
_CPP = re.compile(
    r"^[ \t]*#[ \t]*include[ \t]*<[a-z_]+>|\bstd::|^[ \t]*using[ \t]+namespace\b|^[ \t]*template[ \t]*<|\bcout[ \t]*<<"
    r"|^[ \t]*(?:public|private|protected)[ \t]*:",
    re.MULTILINE,
)
_TYPE = r"(?:class|record|enum|interface)"
_PUBLIC = re.compile(
    rf"\bpublic\s+(?:(?:final|abstract|sealed|strictfp|non-sealed|static)\s+){{0,4}}{_TYPE}\s+([A-Za-z_$][\w$]{{0,200}})"
)
_CLASS = re.compile(rf"\b{_TYPE}\s+([A-Za-z_$][\w$]{{0,200}})")
_MAIN = re.compile(r"\bstatic\s+(?:public\s+)?void\s+main\s*\(")
_SIGNS: tuple[tuple[Language, re.Pattern[str]], ...] = (
    ("go", re.compile(r"\A\s*package[ \t]+\w+[ \t]*$", re.MULTILINE)),
    ("java", re.compile(r"\bpublic\s+static\s+void\s+main\s*\(|^public\s+(?:final\s+)?class\s+\w", re.MULTILINE)),
    ("rust", re.compile(r"^(?:pub\s+)?fn\s+main\s*\(\s*\)", re.MULTILINE)),
    ("c", re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]", re.MULTILINE)),
)
_DIAGRAMS_WORDS = (
    "graph flowchart flowchart-elk sequenceDiagram classDiagram classDiagram-v2 stateDiagram stateDiagram-v2 "
    "erDiagram journey gantt pie quadrantChart requirementDiagram gitGraph mindmap timeline zenuml sankey "
    "sankey-beta xychart xychart-beta block block-beta packet packet-beta kanban architecture "
    "architecture-beta radar radar-beta treemap treemap-beta C4Context C4Container C4Component C4Dynamic "
    "C4Deployment venn venn-beta"
)
_DIAGRAMS = frozenset(_DIAGRAMS_WORDS.split())


def without_comments(code: str) -> str:
    """The code of a C-like language with its comments and strings emptied."""
    return _QUIET.sub(lambda match: '""' if match[0][0] in "\"'" else " ", code)


def is_cpp(code: str) -> bool:
    """Whether what is called C is C++: a header without ``.h``, ``std::``, ``using namespace``, templates, classes."""
    return bool(_CPP.search(without_comments(code)))


def java_class(code: str) -> str:
    """The class that names the file: the public one, else the one around ``main``, else ``Main``.

    Comments and strings don't count; the published rule takes the first match anywhere.
    """
    bare = without_comments(code)
    public = _PUBLIC.search(bare)
    if public:
        return public[1]
    main = _MAIN.search(bare)
    before = [match[1] for match in _CLASS.finditer(bare, 0, main.start())] if main else []
    return before[-1] if before else "Main"


def compiled_language(code: str) -> Language | None:
    """The compiled language that untagged text is written in, if it is."""
    bare = without_comments(code)
    for language, sign in _SIGNS:
        if sign.search(bare):
            return "c++" if language == "c" and is_cpp(code) else language
    return None


def is_diagram(code: str) -> bool:
    """Whether a text begins as a Mermaid diagram does, behind front matter, directives and comments."""
    lines = code.strip().split("\n")
    if lines[0].strip() == "---":
        rest = [at for at, line in enumerate(lines[1:200], 1) if line.strip() == "---"]
        lines = lines[rest[0] + 1 :] if rest else lines
    inside = False
    for line in lines:
        bare = line.strip()
        if inside or bare.startswith("%%{"):
            inside = not bare.endswith("}%%")
        elif bare and not bare.startswith("%%"):
            word = re.match(r"[\w-]+", bare)
            return word is not None and word[0] in _DIAGRAMS and _shaped(word[0], bare, lines)
    return False


def _shaped(word: str, first: str, lines: list[str]) -> bool:
    """A diagram has a second line or statement; ``graph`` and ``flowchart`` name a direction or nothing."""
    if word in ("graph", "flowchart"):
        return bool(re.match(r"(?:graph|flowchart)\s*(?:$|;|(?:TB|TD|BT|RL|LR)\b)", first))
    if word == "pie":
        return bool(re.match(r"pie\s*(?:$|showData\b|title\b)", first))
    plain = word.islower() and "-" not in word
    return len(lines) > 1 and len(first.split()) <= (1 if plain else 2)
