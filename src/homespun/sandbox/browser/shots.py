"""What a look at an app is made of, and whether there was anything to see."""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image

BLANK_SHARE = 0.995
"""A picture is blank when one colour covers more than this share of it, and the page has no text."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture of an app."""

    at: float
    """Seconds after the page had loaded."""
    png: bytes | None
    """None: there is no picture, and ``note`` says why. Never a placeholder."""
    blank: bool = False
    """Whether there is nothing on it: all but one colour, and no text in the page."""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something that a visitor would do before the next picture."""

    kind: Literal["click", "key", "text"]
    """``click``: at ``x``, ``y``, or in the middle of the first canvas, or of the page; ``key``: presses ``key``;
    ``text``: types ``key``."""
    key: str = ""
    """A key by its name in Playwright (``Space``, ``ArrowLeft``), or the text."""
    at: float = 0.5
    """Seconds after the page had loaded."""
    x: float | None = None
    y: float | None = None


def commonest_share(png: bytes) -> float:
    """Share of the pixels that have the commonest colour, 0 to 1.

    Raises:
        ValueError: not a picture.
    """
    try:
        with Image.open(BytesIO(png), formats=["PNG"]) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.uint32)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a picture: {error}") from None
    colours = (pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]).ravel()
    return float(np.unique(colours, return_counts=True)[1].max() / colours.size)


def is_blank(png: bytes, *, text: bool) -> bool:
    """Whether a picture shows nothing, given whether its page has text."""
    return not text and commonest_share(png) > BLANK_SHARE
