"""`asyncio.timeout_at` for a hot path: the same rules, with one timer and no question to the kernel.

Until Python 3.12, finding the running loop costs a system call each time, and the library's timeout does it twice.
"""

import asyncio
from types import TracebackType


class Limit:
    """Cancels what runs within it at a moment, and turns that cancellation into a `TimeoutError`.

    Args:
        loop: The running loop.
        when: Its time at which to cancel.
    """

    __slots__ = ("_before", "_fired", "_handle", "_loop", "_task", "_when")

    def __init__(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        self._loop, self._when, self._fired = loop, when, False

    def __enter__(self) -> None:
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a limit holds for a task")
        self._task, self._before = task, task.cancelling()
        self._handle = self._loop.call_at(self._when, self._fire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        if self._fired and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error  # somebody else's cancellation would have been counted too

    def _fire(self) -> None:
        self._fired = True
        self._task.cancel()
