"""Jails: one hostile command, kept away from everything that matters."""

from homespun.errors import SandboxError
from homespun.sandbox.jail.types import Jail

NAMES = ("bubblewrap", "gvisor")


def jail(name: str) -> Jail:
    """The jail of this name.

    Raises:
        SandboxError: there is none of this name, or it cannot be had here; says what to install. Another one never
            stands in for it.
    """
    if name == "bubblewrap":
        from homespun.sandbox.jail.bubblewrap import Bubblewrap

        return Bubblewrap()
    if name == "gvisor":
        from homespun.sandbox.jail.gvisor import GVisor

        return GVisor()
    raise SandboxError(f"no jail is called {name!r}", "sandbox", " or ".join(NAMES))
