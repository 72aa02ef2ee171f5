"""PyGame programs, unmodified: their frames go to a page, keys and mouse come back.

A game that ends before its first frame has no page; its status is that of its exit code.
"""

from homespun.sandbox.environments.types import Ran, Work
from homespun.sandbox.environments.waiting import PYGAME, Warm, run_app
from homespun.sandbox.jail.types import Jail


def run(work: Work, jail: Jail, warm: Warm | None = None) -> Ran:
    """Starts the game; returns when its first frame is there, or when it has ended without one.

    Args:
        work: The program; ``bounds.seconds`` is how long its app may live.
        jail: Where to run it.
        warm: Jobs that wait for a program; without, one is started for this.

    Raises:
        SandboxError: the jail cannot be had.
    """
    return run_app(PYGAME, work, jail, warm)
