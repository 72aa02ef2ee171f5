"""WSD: its corners, its shape, and that a batch's size changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.errors import ConfigError
from homespun.pretrain.schedule import Schedule

PUBLISHED = Schedule(peak=1.1e-4, total=15_000, warmup=17, cooldown=1_650)


def test_corners() -> None:
    assert PUBLISHED.at(0) == pytest.approx(1.1e-5)
    assert PUBLISHED.at(17) == 1.1e-4
    assert PUBLISHED.at(13_350) == 1.1e-4
    assert PUBLISHED.at(13_350 + 1_650 // 4) == pytest.approx(1.1e-5 + 0.99e-4 * 0.5, rel=1e-3)
    assert PUBLISHED.at(15_000) == pytest.approx(1.1e-5)
    assert PUBLISHED.at(20_000) == pytest.approx(1.1e-5)


@given(st.integers(0, 15_000), st.integers(0, 15_000))
def test_up_then_level_then_down(first: int, second: int) -> None:
    early, late = sorted((first, second))
    if late <= 17:
        assert PUBLISHED.at(early) <= PUBLISHED.at(late)
    if early >= 17:
        assert PUBLISHED.at(early) >= PUBLISHED.at(late)
    assert 1.1e-5 * 0.999999 <= PUBLISHED.at(late) <= 1.1e-4


def test_parts_must_fit() -> None:
    with pytest.raises(ConfigError, match="don't fit into 100 tokens"):
        Schedule(peak=1, total=100, warmup=60, cooldown=50)
