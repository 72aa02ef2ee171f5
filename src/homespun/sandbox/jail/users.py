"""A user of its own for every job that runs at the same time: so that a limit on processes counts one job alone."""

import os
import secrets
import socket
from collections.abc import Generator
from contextlib import contextmanager

from homespun.errors import SandboxError

USERS = range(62_000, 62_256)
"""Ids outside of what distributions give to people, services and containers; ``etc_passwd`` names each inside."""


@contextmanager
def taken() -> Generator[int]:
    """The id of a user that no other job has, in whichever process of this host; given back at the end.

    Started by an ordinary user we have one user only: then every job has the same, in a user namespace of its own,
    where its processes are counted apart.

    Raises:
        SandboxError: as many jobs run as there are users.
    """
    if os.geteuid() != 0:
        yield USERS[0]
        return
    first = secrets.randbelow(len(USERS))
    for user in (*USERS[first:], *USERS[:first]):
        # a name in the abstract space of unix sockets is a lock that goes with its owner, however it ends
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0homespun-jail-{user}")
        except OSError:
            mark.close()
            continue
        with mark:
            yield user
        return
    raise SandboxError(f"{len(USERS)} jobs run at once, and each needs a user", "sandbox", "again when some have ended")
