from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from homespun.sandbox.browser.shots import commonest_share, is_blank


def png(pixels: np.ndarray) -> bytes:
    into = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(into, "PNG")
    return into.getvalue()


@given(st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_the_commonest_colour_is_counted(colours: list[int]) -> None:
    palette = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 1]])
    share = commonest_share(png(palette[np.array(colours)].reshape(3, 4, 3)))
    assert share == pytest.approx(max(colours.count(colour) for colour in colours) / 12)


@pytest.mark.parametrize(("dots", "blank"), [(0, True), (49, True), (51, False)])
def test_less_than_half_a_percent_is_nothing(dots: int, blank: bool) -> None:
    pixels = np.full((100, 100, 3), 255)
    pixels.reshape(-1, 3)[:dots] = 0
    assert is_blank(png(pixels), text=False) is blank
    assert not is_blank(png(pixels), text=True)


def test_what_is_no_picture_is_refused() -> None:
    for content in (b"", b"GIF89a", png(np.zeros((4, 4, 3)))[:40]):
        with pytest.raises(ValueError, match="not a picture"):
            commonest_share(content)
