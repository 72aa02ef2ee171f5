"""Which of all workers, on all machines, runs the loop: a lease in the database that ends by itself.

The row ``learner`` of the table ``marks`` holds, in microseconds since 1970, when the lease ends. Whoever finds it
ended sets it to a later time; whoever holds it does so again before it ends. Each sets it only where it still is what
he knows it to be, so that one of two wins, and a holder that was killed is followed by another after ``SECONDS``. The
clocks of the machines must agree to within a few seconds, as those of a database's clients should.
"""

import random
import time

from sqlalchemy import Connection, select, update

from homespun.serve.store.tables import marks
from homespun.serve.store.upsert import insert

NAME = "learner"
SECONDS = 30.0
"""A lease."""


class Election:
    """One worker's part in it."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._held: int | None = None

    def win(self, connection: Connection, now: float | None = None) -> bool:
        """Takes or renews the lease; whether it is held now."""
        now = time.time() if now is None else now
        first = insert(connection, marks).values(name=NAME, version=0)
        connection.execute(first.on_conflict_do_nothing(index_elements=[marks.c.name]))
        ends = connection.execute(select(marks.c.version).where(marks.c.name == NAME)).scalar_one()
        if ends != self._held and ends > now * 1e6:
            self._held = None
            return False
        wanted = int((now + self.seconds) * 1e6) + random.randrange(1000)  # no two workers hold the same number
        done = connection.execute(
            update(marks).where(marks.c.name == NAME, marks.c.version == ends).values(version=wanted)
        )
        self._held = wanted if done.rowcount == 1 else None
        return self._held is not None

    def resign(self, connection: Connection) -> None:
        """Ends the lease at once, if it is held."""
        if self._held is not None:
            connection.execute(
                update(marks).where(marks.c.name == NAME, marks.c.version == self._held).values(version=0)
            )
            self._held = None
