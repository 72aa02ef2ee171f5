"""Python programs whose text and figures are the result.

Matplotlib, Pillow and saved image files come back as pictures. A Plotly figure is a page: it stays one, so that it
can be played with, and the picture of it is the page's screenshot.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path

from homespun.sandbox.environments import waiting
from homespun.sandbox.environments.types import Layers, Picture, Ran, Site, Work
from homespun.sandbox.jail import system
from homespun.sandbox.jail.types import Jail, Job

MOST_PICTURES = 20
MOST_BYTES = 5 << 20
LARGEST_SIDE = 16_384
PLOTLY_SCRIPT = "plotly/package_data/plotly.min.js"
OURS = (".pictures/", ".plotly/")
PNG = b"\x89PNG\r\n\x1a\n"
_PAGE = Path(__file__).with_name("python") / "page"


def run(work: Work, jail: Jail) -> Ran:
    """Runs a program to its end.

    Raises:
        SandboxError: the jail cannot be had.
    """
    name = _name(work.found.filename)
    job = Job(
        argv=(system.PYTHON, "-P", "-m", "inside.console", name),
        files={name: work.found.code.encode(errors="surrogatepass")},
        binds=waiting.binds(work.layers),
        variables=waiting.variables(),
        bounds=work.bounds,
        collect=("*",),
    )
    outcome = waiting.status_of(jail.start(job).wait())
    left = tuple(path for path in outcome.files if path != name and not path.startswith((*OURS, "__pycache__/")))
    return Ran(
        status=outcome.status,
        exit_code=outcome.exit_code,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        seconds=outcome.seconds,
        pictures=pictures(outcome.files),
        files=left,
        app=_plotly(outcome.files, work.layers),
    )


def pictures(files: Mapping[str, bytes]) -> tuple[Picture, ...]:
    """The PNG files among what a program left: shown ones first, in their order; each content once.

    The files are the program's and hostile: what has not a PNG's head, or claims a side beyond `LARGEST_SIDE`
    pixels, is left out, and nothing is decoded here.
    """
    found: dict[str, Picture] = {}
    for path, content in sorted(files.items(), key=lambda item: (not item[0].startswith(OURS), item[0])):
        if len(found) < MOST_PICTURES and path.lower().endswith(".png") and _is_png(content):
            name = path.removeprefix(".pictures/")
            name = name[21:] if name != path and name[:20].isdigit() else name
            found.setdefault(hashlib.sha256(content).hexdigest(), Picture(name=name, png=content))
    return tuple(found.values())


def _is_png(content: bytes) -> bool:
    if not 33 <= len(content) <= MOST_BYTES or content[:8] != PNG or content[12:16] != b"IHDR":
        return False
    width, height = struct.unpack(">II", content[16:24])
    return 0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE


def _plotly(files: Mapping[str, bytes], layers: Layers) -> Site | None:
    """A page with all figures, drawn by the script that comes with the package."""
    figures = [content for path, content in sorted(files.items()) if path.startswith(".plotly/")][:MOST_PICTURES]
    own = layers.own_python / PLOTLY_SCRIPT if layers.own_python is not None else None
    script = own if own is not None and own.is_file() else layers.python / PLOTLY_SCRIPT
    if not figures or not script.is_file():
        return None
    names = [f"figure-{number}.json" for number in range(1, len(figures) + 1)]
    page = {name: (_PAGE / name).read_bytes() for name in ("plotly.html", "plotly.js")}
    return Site(
        files={
            "index.html": page["plotly.html"],
            "figures.js": page["plotly.js"],
            "figures.json": json.dumps(names).encode(),
            "plotly.min.js": script.read_bytes(),
            **dict(zip(names, figures, strict=True)),
        }
    )


def _name(filename: str) -> str:
    name = Path(filename).name
    return name if name.endswith(".py") and not name.startswith(".") else "main.py"
