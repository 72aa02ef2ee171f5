"""When a training run must stop: it has gone wrong, its time is up, or somebody asked it to."""

import math
import signal
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from homespun.errors import RunError


class Guard:
    """Stops a run that has gone wrong.

    Args:
        spike: Nats above the running mean.
        patience: Steps in a row.
    """

    def __init__(self, spike: float, patience: int) -> None:
        self.spike, self.patience, self.mean, self.high = spike, patience, math.nan, 0

    def check(self, row: Mapping[str, float], step: int) -> None:
        """Looks at a step.

        Raises:
            RunError: the loss or the gradient is no number, or the loss stayed high.
        """
        loss, norm = row["loss"], row["norm"]
        if not (math.isfinite(loss) and math.isfinite(norm)):
            text = f"loss {loss:g}, gradient norm {norm:g}"
            raise RunError(text, f"step {step}", "a lower learning rate; the last checkpoint is from before")
        self.high = self.high + 1 if loss > self.mean + self.spike else 0
        if self.high >= self.patience:
            text = f"the loss has been {loss:.2f} and more for {self.high} steps, after {self.mean:.2f}"
            raise RunError(text, f"step {step}", "a lower learning rate, or other data")
        if not self.high:
            self.mean = loss if math.isnan(self.mean) else 0.98 * self.mean + 0.02 * loss


@contextmanager
def until(minutes: float | None) -> Generator[tuple[Callable[[], bool], Callable[[float], None]]]:
    """Whether to stop now: on SIGUSR2, or since the time left is only enough to save.

    Args:
        minutes: The time; None: as long as it takes.

    Yields:
        What to ask, and what to tell how long saving took.
    """
    began, asked, saving = time.monotonic(), [False], [5.0]

    def ask(*_: object) -> None:
        asked[0] = True

    def stopping() -> bool:
        return asked[0] or (minutes is not None and time.monotonic() - began + 2 * saving[0] > 60 * minutes)

    def took(seconds: float) -> None:
        saving[0] = seconds

    try:
        before = signal.signal(signal.SIGUSR2, ask)
    except ValueError:  # not the main thread: nobody sends signals there
        yield stopping, took
        return
    try:
        yield stopping, took
    finally:
        signal.signal(signal.SIGUSR2, before)
