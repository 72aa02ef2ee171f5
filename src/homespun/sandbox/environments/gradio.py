"""Gradio programs: whatever address they launch to, or if they launch at all, their first app is served."""

from homespun.sandbox.environments.types import Ran, Work
from homespun.sandbox.environments.waiting import GRADIO, Warm, run_app
from homespun.sandbox.jail.types import Jail


def run(work: Work, jail: Jail, warm: Warm | None = None) -> Ran:
    """Starts the app; returns when it answers or has failed.

    Args:
        work: The program; ``bounds.seconds`` is how long its app may live.
        jail: Where to run it.
        warm: Jobs that wait for a program; without, one is started for this.

    Raises:
        SandboxError: the jail cannot be had.
    """
    return run_app(GRADIO, work, jail, warm)
