"""What an app's library ships for browsers (scripts, styles, fonts), served by us out of the warm packages.

A page of Streamlit asks for a hundred such files. Through the jail each of them costs five processes a turn, on
processors that have the page itself to draw. What is served here is the same to the byte, and is ours: no program can
write into the warm packages. So it changes nothing of what an app may do, and it goes out under the app's policy.

Only the names found in the folder count, compared to the letter: there is no path to leave by. What is no plain file
of the folder, and every page (it must carry the logger), is the app's to answer.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from homespun.sandbox.apps.site import content_type

_WRITTEN = "/!$&'()*+,;=:@"
"""Characters that stand in a path as they are (RFC 3986, 3.3), beside letters, digits and ``-._~``."""
KEPT = "private, max-age=86400, immutable"
"""An origin belongs to one run, and so to one version of its library: what it has served it serves for ever."""


class Shipped:
    """Answers for the files of some folders.

    Args:
        folders: Where each lies, by the start of its addresses (``/static/``).
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._files = {start + name: path for start, folder in folders.items() for name, path in _found(folder)}

    def answer(self, request: web.BaseRequest, headers: Mapping[str, str]) -> web.Response | None:
        """The file that a request names; None if the app is to be asked."""
        path = self._files.get(request.raw_path.partition("?")[0])
        if path is None or request.method != "GET" or "Range" in request.headers:
            return None
        try:
            body = path.read_bytes()
        except OSError:  # the warm packages are being made anew
            return None
        more = {"Content-Type": content_type(path.name), "Cache-Control": KEPT}
        return web.Response(body=body, headers={**headers, **more})


@lru_cache(maxsize=8)
def _found(folder: Path) -> tuple[tuple[str, Path], ...]:
    """Name below the folder, as a browser writes it in an address, and place of each plain file that is no page."""
    found: list[tuple[str, Path]] = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink() and not content_type(name).startswith("text/html"):
                found.append((quote(path.relative_to(folder).as_posix(), safe=_WRITTEN), path))
    return tuple(sorted(found))
