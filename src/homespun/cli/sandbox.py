"""`homespun sandbox install|status`: the packages that programs find installed."""

import sys

from cyclopts import App

from homespun.cli.output import Json, say, show_json, show_rows
from homespun.errors import SandboxError

app = App(
    name="sandbox", help="Install the packages that programs find installed, or see them.", help_format="plaintext"
)


@app.command
def install(*, as_json: Json = False) -> None:
    """Install the warm packages, pinned by lock files, once; again, it is done at once.

    Args:
        as_json: Print one JSON object.
    """
    from homespun.sandbox import templates
    from homespun.sandbox.environments.web.build import prepare
    from homespun.sandbox.jail import jail

    folder = templates.install(say)
    try:
        prepare(templates.layers(), jail("bubblewrap"))
    except SandboxError as error:
        say(f"builds of pages start slower the first time: {error}")
    if as_json:
        show_json({"folder": str(folder), "installed": True})


@app.command
def status(*, as_json: Json = False) -> int:
    """Show which sets of warm packages are here. Exit code 1 when the one that is needed is missing.

    Args:
        as_json: Print one JSON object.
    """
    from homespun.sandbox import templates

    rows = templates.state()
    installed = any(row["current"] and row["installed"] for row in rows)
    if as_json:
        show_json({"rows": rows, "installed": installed})
    else:
        show_rows(rows, {"key": "", "installed": "", "current": "", "folder": ""})
        if not installed:
            print("not installed; try: homespun sandbox install", file=sys.stderr)
    return 0 if installed else 1
