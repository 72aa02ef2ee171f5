"""Placeholder images: every ``/api/placeholder/W/H`` becomes a picture of its own, without a server.

The system prompt of BigCodeArena asks for such addresses in place of web images. The picture is a grey box
with its size written on it, as an SVG in a base64 data address: free of quotes, brackets and spaces, so
that it stands unharmed in JavaScript, JSX, HTML and CSS alike.
"""

import base64
import re

LARGEST, CAPPED = 10_000, 1_000
"""A side over ``LARGEST`` is drawn at ``CAPPED``, as the published code does."""
_ADDRESS = re.compile(r"(?<![\w./:@%-])/api/placeholder/(-?\d+)/(-?\d+)(?:\?[\w&=%+.,:;-]*)?(?![\w/-]|\.\w)", re.ASCII)


def fill_placeholders(code: str) -> str:
    """Replace each placeholder address by its picture; everything else stays as it is.

    Addresses on another host, and sizes that are only known at run time (``${width}``), are left alone.
    """
    return _ADDRESS.sub(lambda match: placeholder(_side(match[1]), _side(match[2])), code)


def placeholder(width: int, height: int) -> str:
    """A grey box with "W x H" on it, as a data address."""
    size = max(8, min(width, height) // 8)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<rect width="100%" height="100%" fill="#cccccc"/><text x="50%" y="50%" dominant-baseline="middle" '
        f'text-anchor="middle" font-family="sans-serif" font-size="{size}" fill="#555555">'
        f"{width} x {height}</text></svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _side(digits: str) -> int:
    """One side in pixels, at least 1; digits beyond any number are never converted."""
    bare = digits.lstrip("0")
    if len(bare) > len(str(LARGEST)):
        return 1 if bare.startswith("-") else CAPPED
    value = int(bare or "0")
    return CAPPED if value > LARGEST else max(1, value)
