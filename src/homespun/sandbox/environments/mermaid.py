"""Mermaid: a diagram read by Mermaid's own parser, in a page where it can be moved and magnified."""

from homespun.sandbox.environments.types import Ran, Work
from homespun.sandbox.environments.web import shell
from homespun.sandbox.environments.web.build import build
from homespun.sandbox.jail.types import Jail

_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mermaid diagram</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f'<script src="{shell.FAULT}"></script><link rel="stylesheet" href="diagram.css"></head>'
    '<body><main id="stage" tabindex="0" aria-label="Diagram"><div id="drawing"></div></main>'
    '<nav><button id="in" title="Larger (+)">+</button><button id="out" title="Smaller (-)">−</button>'
    '<button id="fit" title="Fit (0)">Fit</button></nav>'
    '<script src="mermaid.js"></script><script src="diagram.js"></script></body></html>'
)


def run(work: Work, jail: Jail) -> Ran:
    """Reads the diagram in the jail; one that Mermaid cannot read has failed with Mermaid's message.

    Raises:
        SandboxError: the jail cannot be had.
    """
    source = work.found.code.encode()
    built = build(work, jail, {"kind": "diagram", "file": "diagram.mmd"}, {"diagram.mmd": source})
    if built.failed is not None:
        return built.failed
    own = {name: shell.shown(name) for name in (shell.FAULT, "diagram.css", "diagram.js")}
    return shell.site({**built.files, **own, "diagram.mmd": source, "index.html": _PAGE.encode()}, built)
