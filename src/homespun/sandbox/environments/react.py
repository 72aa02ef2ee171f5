"""React: one file with a component, bundled with React 18 and Tailwind 3.4 as the published template has them.

The program may export its component by default, by name or not at all, or mount itself.
"""

import re

from homespun.sandbox.environments.types import Ran, Work
from homespun.sandbox.environments.web import shell
from homespun.sandbox.environments.web.build import build
from homespun.sandbox.environments.web.script_shape import read_shape
from homespun.sandbox.jail.types import Jail

PROVIDED = frozenset({"next"})
"""Packages that need no installing: what single files import of them is part of our own build."""
_FILE = re.compile(r"[A-Za-z]\w{0,60}\.(?:jsx?|tsx?)")


def run(work: Work, jail: Jail) -> Ran:
    """Bundles the program in the jail; the app is files alone.

    Raises:
        SandboxError: the jail cannot be had.
    """
    code = work.found.code
    shape = read_shape(code)
    notes: dict[str, str] = {}
    name = work.found.filename if _FILE.fullmatch(work.found.filename) else "App.tsx"
    if not shape.exported and not shape.mounts and shape.component is not None:
        code += f"\nexport default {shape.component};\n"
        notes["export"] = f"the program exports nothing: {shape.component} is shown"
    # Generic arrow functions of plain TypeScript are no TSX, so a .ts file is read as such unless it has JSX.
    loader = {".ts": "tsx" if shape.jsx else "ts", ".jsx": "tsx"}
    order = {"kind": "react", "file": name, "mounts": shape.mounts and not shape.default, "loader": loader}
    built = build(work, jail, order, {name: code.encode()})
    containers = shape.containers if order["mounts"] and shape.containers else ["root"]
    return shell.noted(shell.app(built, containers, "React app"), notes)
