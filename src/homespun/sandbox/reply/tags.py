"""The word behind a fence: what it is called, what family of code it stands for, which file it names."""

import re
from typing import Literal

Family = Literal[
    "python",
    "javascript",
    "typescript",
    "html",
    "vue",
    "mermaid",
    "markdown",
    "c",
    "c++",
    "java",
    "go",
    "rust",
    "shell",
    "data",
    "other",
    "unknown",
]

_ALIASES: dict[Family, str] = {
    "python": "python py python3 py3 python2 ipython ipynb jupyter pyodide streamlit gradio pygame",
    "javascript": "javascript js jsx mjs cjs node nodejs ecmascript es6 babel p5 p5js threejs",
    "typescript": "typescript ts tsx mts cts deno",
    "html": "html html5 htm xhtml svg",
    "vue": "vue vue3 sfc",
    "mermaid": "mermaid mmd",
    "markdown": "markdown md mdx",
    "c": "c h ansi-c c99 c11",
    "c++": "c++ cpp cxx cc hpp cplusplus c++11 c++14 c++17 c++20 c++23 cpp17 cpp20",
    "java": "java",
    "go": "go golang",
    "rust": "rust rs",
    "shell": "bash sh shell zsh powershell pwsh ps1 console terminal cmd bat batch fish shell-session shellsession "
    "sh-session bash-session command commandline cli dos",
    "data": "json json5 jsonc css scss sass less yaml yml toml ini text txt plain plaintext plain-text diff patch csv "
    "tsv log output xml sql graphql proto dockerfile makefile cmake http env properties tree pycon pytb "
    "requirements stdout result latex tex bibtex",
    "other": "ruby rb php csharp c# cs kotlin kt swift scala perl pl lua r julia haskell hs dart elixir ex erlang "
    "clojure fsharp f# ocaml matlab objective-c objc vb vbnet pascal fortran cobol zig nim solidity svelte "
    "astro asm assembly nasm wasm wat glsl wgsl",
}
FAMILIES: dict[str, Family] = {alias: family for family, names in _ALIASES.items() for alias in names.split()}
_PREFIXES: tuple[tuple[str, Family], ...] = (
    ("py", "python"),
    ("vue", "vue"),
    ("react", "javascript"),
    ("next", "javascript"),
)
_NAMED = re.compile(r"\b(?:title|file|filename|name|path)\s*=\s*[\"']?([\w./@-]{1,120})", re.IGNORECASE)
_WORD = re.compile(r"[^\s,;{}:=]+")


def tag_of(info: str) -> str:
    """The tag in an info string, in lower case; attributes in any notation are cut off.

    ``python title="app.py"``, ``{.python .numberLines}``, ``python:app.py`` and ``language-python`` are
    all ``python``; a file name such as ``app.py`` stands for its ending.
    """
    match = _WORD.search(info[:400])
    if match is None or info[match.end() :].startswith("="):
        return ""
    word = match[0].lower().lstrip(".").removeprefix("language-").removeprefix("lang-")
    ending = word.rsplit(".", 1)[-1]
    return ending if "." in word and ending in FAMILIES else word


def family_of(tag: str) -> Family:
    """The family of a tag; ``unknown`` for no tag or one that says nothing."""
    if tag in FAMILIES:
        return FAMILIES[tag]
    for prefix, family in _PREFIXES:
        if tag.startswith(prefix):
            return family
    return "unknown"


def file_of(info: str) -> str | None:
    """The file name that an info string gives, if it gives one."""
    head = info[:400]
    match = _NAMED.search(head)
    if match:
        return match[1]
    words = head.split()
    if not words:
        return None
    name = words[0].split(":", 1)[-1]
    return name if re.fullmatch(r"[\w./@-]{1,120}\.\w{1,8}", name) else None
