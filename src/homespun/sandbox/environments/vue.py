"""Vue 3: single-file components, options objects and scripts that mount themselves; Router, Pinia, Tailwind."""

import re

from homespun.sandbox.environments.types import Ran, Work
from homespun.sandbox.environments.web import shell
from homespun.sandbox.environments.web.build import build
from homespun.sandbox.environments.web.script_shape import Shape, read_shape
from homespun.sandbox.jail.types import Jail
from homespun.sandbox.reply.markup import is_component

_FILE = re.compile(r"[A-Za-z]\w{0,60}\.(?:vue|jsx?|tsx?)")


def run(work: Work, jail: Jail) -> Ran:
    """Compiles and bundles the program in the jail; the app is files alone.

    Raises:
        SandboxError: the jail cannot be had.
    """
    code = work.found.code
    whole = is_component(code)
    shape = Shape() if whole else read_shape(code)
    notes: dict[str, str] = {}
    if whole:
        name = "App.vue"
    elif _FILE.fullmatch(work.found.filename) and not work.found.filename.endswith(".vue"):
        name = work.found.filename
    else:
        name = "main.ts"
    if not whole and not shape.exported and not shape.mounts and shape.component is not None:
        code += f"\nexport default {shape.component};\n"
        notes["export"] = f"the program exports nothing: {shape.component} is shown"
    mounts = shape.mounts and not shape.default
    loader = {".ts": "tsx" if shape.jsx else "ts"}
    built = build(work, jail, {"kind": "vue", "file": name, "mounts": mounts, "loader": loader}, {name: code.encode()})
    containers = shape.containers if mounts and shape.containers else ["app"]
    return shell.noted(shell.app(built, containers, "Vue app"), notes)
