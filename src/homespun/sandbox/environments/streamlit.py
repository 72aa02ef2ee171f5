"""Streamlit programs, served as they are.

An exception in the script doesn't fail the run: the app answers and shows it in its red box, as it would anywhere, and
the traceback is in standard error. What isn't Python at all has failed.
"""

from homespun.sandbox.environments.types import Ran, Work
from homespun.sandbox.environments.waiting import STREAMLIT, Warm, run_app
from homespun.sandbox.jail.types import Jail


def run(work: Work, jail: Jail, warm: Warm | None = None) -> Ran:
    """Starts the app; returns when it answers and its script has run once, or has taken over a second for it.

    Args:
        work: The program; ``bounds.seconds`` is how long its app may live.
        jail: Where to run it.
        warm: Jobs that wait for a program; without, one is started for this.

    Raises:
        SandboxError: the jail cannot be had.
    """
    return run_app(STREAMLIT, work, jail, warm)
