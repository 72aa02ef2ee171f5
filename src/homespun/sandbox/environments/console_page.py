"""JavaScript and TypeScript for the browser: a page with a console, as the published system runs all of it.

``runs_in_page`` tells such a script from one for Node.
"""

import re

from homespun.sandbox.environments.types import Ran, Work
from homespun.sandbox.environments.web import shell
from homespun.sandbox.environments.web.build import build
from homespun.sandbox.environments.web.script_shape import read_shape
from homespun.sandbox.jail.types import Jail
from homespun.sandbox.reply import Found
from homespun.sandbox.reply.packages import known_packages
from homespun.sandbox.reply.script_source import read_script
from homespun.sandbox.reply.trees import nodes, parsed, words

_PAGE_WORDS = (
    "document window navigator localStorage sessionStorage requestAnimationFrame cancelAnimationFrame alert prompt "
    "confirm customElements HTMLElement HTMLCanvasElement Image Audio AudioContext webkitAudioContext "
    "addEventListener innerWidth innerHeight DOMParser MutationObserver IntersectionObserver ResizeObserver "
    "XMLHttpRequest getComputedStyle matchMedia indexedDB FileReader location history screen"
)
_PAGE = frozenset(_PAGE_WORDS.split())
_NODE = frozenset({"process", "__dirname", "__filename", "Buffer", "require", "module", "exports", "setImmediate"})
_DOM_PACKAGES = frozenset({"three", "p5", "d3", "chart.js", "phaser", "pixi.js", "jquery", "lit", "gsap", "konva"})
_FILE = re.compile(r"[A-Za-z]\w{0,60}\.(?:m?js|jsx|tsx?)")
_HTML = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Console</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<script src="console_values.js"></script><script src="console.js"></script></head>'
    '<body><div id="root"></div><div id="app"></div>{containers}'
    '<script type="module" src="app.js"></script></body></html>'
)


def runs_in_page(found: Found) -> bool:
    """Whether a script needs a page: it uses what only a browser has, and nothing that only Node has."""
    script = read_script(found.code, typed=found.language == "typescript")
    packages = {name.removeprefix("node:").split("/")[0] for name in script.imports}
    if packages & known_packages().builtins or any(name.startswith("node:") for name in script.imports):
        return False
    used = _free_names(found.code)
    if used & _NODE:
        return False
    return bool(used & _PAGE) or bool(packages & _DOM_PACKAGES)


def _free_names(code: str) -> set[str]:
    """Names of the browser and of Node that a script uses without declaring them."""
    known = _PAGE | _NODE
    used: set[str] = set()
    declared: set[str] = set()
    for node in nodes(parsed("tsx", code)):
        if node.type != "identifier" or node.end_byte - node.start_byte > 40 or words(node) not in known:
            continue
        above = node.parent
        kind = above.type if above is not None else ""
        named = above.child_by_field_name("name") if above is not None else None
        declares = kind in ("variable_declarator", "function_declaration", "class_declaration") and named == node
        if declares or kind in ("required_parameter", "formal_parameters", "import_specifier", "import_clause"):
            declared.add(words(node))
        elif not (kind == "unary_expression" and above is not None and words(above).startswith("typeof")):
            used.add(words(node))
    return used - declared


def run(work: Work, jail: Jail) -> Ran:
    """Bundles the script in the jail; its page shows what it logs and what it draws.

    Raises:
        SandboxError: the jail cannot be had.
    """
    code = work.found.code
    shape = read_shape(code)
    ending = "ts" if work.found.language == "typescript" else "js"
    name = work.found.filename if _FILE.fullmatch(work.found.filename) else f"main.{ending}"
    order = {"kind": "console", "file": name, "loader": {".ts": "tsx" if shape.jsx else "ts", ".js": "jsx"}}
    built = build(work, jail, order, {name: code.encode()})
    if built.failed is not None:
        return built.failed
    own = {name: shell.shown(name) for name in ("console_values.js", "console.js")}
    missing = [name for name in shape.containers if name not in ("root", "app")]
    page = _HTML.replace("{containers}", shell.holders(missing))
    return shell.site({**built.files, **own, "index.html": page.encode()}, built)
