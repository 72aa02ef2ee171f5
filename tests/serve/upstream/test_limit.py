"""A limit does what `asyncio.timeout_at` does."""

import asyncio
from time import monotonic

import pytest

from homespun.serve.gateway.upstream.limit import Limit

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def limits(seconds):
    loop = asyncio.get_running_loop()
    return Limit(loop, loop.time() + seconds)


async def test_what_takes_too_long_is_a_timeout_and_the_task_is_not_cancelled():
    with pytest.raises(TimeoutError), limits(0.01):
        await asyncio.sleep(5)
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_what_is_in_time_passes_and_the_timer_is_gone():
    with limits(0.01):
        await asyncio.sleep(0)
    await asyncio.sleep(0.03)


async def test_errors_pass_through():
    with pytest.raises(KeyError), limits(5):
        raise KeyError


async def test_a_cancellation_from_outside_stays_one():
    async def work():
        with limits(5):
            await asyncio.sleep(5)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_both_at_once_is_a_cancellation():
    async def work():
        with limits(0.0):
            asyncio.current_task().cancel()
            await asyncio.sleep(5)

    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_the_loops_time_is_the_monotonic_clock():
    assert abs(asyncio.get_running_loop().time() - monotonic()) < 0.1
