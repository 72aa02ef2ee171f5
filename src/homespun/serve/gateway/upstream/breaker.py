"""A circuit breaker for one target: closed, open after failures in a row, half-open with one probe."""

from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Keeps calls from a target that fails.

    Args:
        failures: In a row, that open it.
        seconds: That it stays open before one call may try.
    """

    __slots__ = ("_failed", "_opened", "_probing", "failures", "seconds")

    def __init__(self, failures: int, seconds: float) -> None:
        self.failures, self.seconds = failures, seconds
        self._failed, self._opened, self._probing = 0, None, False
        self._opened: float | None

    def enter(self, now: float) -> float:
        """Asks for leave to call.

        Returns:
            0 if the call may go ahead (it must then be answered by `passed`, `failed` or `left`), else the seconds
            after which asking again may help.
        """
        if self._opened is None:
            return 0.0
        wait = self._opened + self.seconds - now
        if wait > 0 or self._probing:
            return max(wait, 0.05)
        self._probing = True
        return 0.0

    def passed(self) -> None:
        """The upstream answered: closed."""
        self._failed, self._opened, self._probing = 0, None, False

    def began(self) -> None:
        """The upstream has begun to answer: a probe lets others in again, and one more failure keeps them out."""
        if self._probing:
            self._failed, self._opened, self._probing = self.failures - 1, None, False

    def failed(self, now: float) -> None:
        """The upstream is at fault: a failed probe opens again, enough failures in a row open."""
        self._failed += 1
        if self._opened is not None:
            if self._probing:
                self._opened, self._probing = now, False
        elif self._failed >= self.failures:
            self._opened = now

    def left(self) -> None:
        """The call ended without a word on the upstream (cancelled): a probe's place is free again."""
        self._probing = False

    def state(self, now: float) -> State:
        """What it is now."""
        if self._opened is None:
            return "closed"
        return "half_open" if self._probing or now >= self._opened + self.seconds else "open"
