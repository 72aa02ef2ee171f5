"""The workers that keep books, as the database knows them."""

import os
import socket
import time
from typing import Any

from sqlalchemy import Connection, func, select

from homespun.errors import ConfigError
from homespun.serve.store import leases
from homespun.serve.store.tables import leases as lease_table
from homespun.serve.store.tables import workers
from homespun.serve.store.upsert import insert

BEAT_SECONDS = 5.0
"""How often a worker tells that it lives."""
SILENT_SECONDS = 60.0
"""A worker that said nothing for so long may be released by hand."""


def register(connection: Connection, worker: str, journal: str) -> None:
    """Puts a worker on the list, before it holds anything."""
    now = time.time()
    row = {"host": socket.gethostname(), "pid": os.getpid(), "journal": journal, "started": now, "heartbeat": now}
    statement = insert(connection, workers).values(id=worker, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=[workers.c.id], set_=row | {"ended": None}))


def listing(connection: Connection) -> list[dict[str, Any]]:
    """The workers that have not ended, with how long ago they were heard and how many leases they hold."""
    count = select(func.count()).where(lease_table.c.worker == workers.c.id).scalar_subquery()
    query = select(workers, count.label("leases")).where(workers.c.ended.is_(None)).order_by(workers.c.started)
    now = time.time()
    return [{**row, "silent_seconds": max(0.0, now - row["heartbeat"])} for row in connection.execute(query).mappings()]


def release(connection: Connection, worker: str, *, force: bool = False) -> int:
    """Gives back what a worker holds whose machine is gone for good, so that its journal will never be recovered.

    Args:
        connection: A transaction.
        worker: Its id.
        force: Even if it was heard of a moment ago.

    Returns:
        How many leases it held.

    Raises:
        ConfigError: there is no such worker, or it seems to live.
    """
    found = connection.execute(select(workers.c.heartbeat).where(workers.c.id == worker)).scalar()
    if found is None:
        raise ConfigError(f"no worker {worker[:80]!r}", "workers", "homespun keys workers")
    silent = time.time() - found
    if silent < SILENT_SECONDS and not force:
        raise ConfigError(f"was heard {silent:.0f} s ago", f"worker {worker[:80]!r}", "wait, or --force if it is dead")
    return leases.release(connection, worker, time.time())
