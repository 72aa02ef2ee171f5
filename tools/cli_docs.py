"""Writes docs/guide/command-line.md from the real help; with --check, says whether the page is current."""

import contextlib
import io
import os
import sys
from pathlib import Path

os.environ["COLUMNS"] = "110"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "guide" / "command-line.md"
HEAD = """# Command line

Made from the real help by `tools/cli_docs.py`. Results go to stdout, progress to stderr. With `--json`, scores are
fractions, costs are mean dollars per question, times are seconds. Exit code 2 means bad input, 1 a failed run; an error
is one line that names what, where and what to try.
"""


def page() -> str:
    """The page's text."""
    from homespun.cli.main import VERBS

    commands = [[verb] for verb in VERBS]
    groups = {
        "corpus": ("robots",),
        "keys": ("create", "limit", "list", "release", "revoke", "workers"),
        "route": ("fit", "eval", "explain"),
        "runs": ("ls", "show", "diff"),
        "sandbox": ("install", "status"),
        "votes": ("export", "import"),
    }
    commands += [[group, verb] for group, verbs in groups.items() for verb in verbs]
    parts = [HEAD]
    for command in sorted(commands):
        parts.append(f"## homespun {' '.join(command)}\n\n```text\n{help_of(command)}\n```\n")
    return "\n".join(parts)


def help_of(command: list[str]) -> str:
    """What `homespun COMMAND --help` prints."""
    from homespun.cli.main import run

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        run([*command, "--help"])
    return "\n".join(line.rstrip() for line in output.getvalue().strip().splitlines())


if __name__ == "__main__":
    text = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text)
    elif PAGE.read_text() != text:
        sys.exit(f"{PAGE.name} is not current; try: make fix")
