"""Counters in the database that workers look at all the time: a cheap sign that something else is to be read anew."""

from sqlalchemy import Connection, select

from homespun.serve.store.tables import marks
from homespun.serve.store.upsert import insert

KEYS = "keys"
"""Keys, teams or limits were changed."""
WANTED = "wanted"
"""A worker wants of some limit what others hold and may not need."""


def bump(connection: Connection, name: str) -> None:
    """Counts one up."""
    first = insert(connection, marks).values(name=name, version=1)
    connection.execute(
        first.on_conflict_do_update(index_elements=[marks.c.name], set_={"version": marks.c.version + 1})
    )


def read(connection: Connection) -> dict[str, int]:
    """All counters."""
    return {row.name: row.version for row in connection.execute(select(marks))}
