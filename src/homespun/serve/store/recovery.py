"""What a dead worker left: its journal is booked to the last whole entry, and what it held is given back.

A request that was begun and not settled is booked as ``interrupted`` at all that was set aside for it, since nobody
knows how far its calls got: the books may say too much then, never too little. Every step is a transaction that finds
out by itself what is on the books, so that a recovery may be killed and begun again.
"""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection

from homespun.serve.store import journal, leases, ledger
from homespun.serve.store.database import Database, DatabaseError

log = logging.getLogger("homespun.books")


@dataclass(slots=True)
class Recovered:
    """What was found."""

    workers: int = 0
    requests: int = 0
    """Settled requests that were not on the books yet."""
    interrupted: int = 0
    damaged: int = 0
    """Lines that do not carry their sum; one at the end of a file was being written."""

    def add(self, more: "Recovered") -> None:
        """Counts what else was found."""
        for name in ("workers", "requests", "interrupted", "damaged"):
            setattr(self, name, getattr(self, name) + getattr(more, name))


async def recover(database: Database, root: Path) -> Recovered:
    """Recovers every dead worker that kept its journal under ``root``.

    Raises:
        DatabaseError: the database failed; what is left is recovered another time.
    """
    found = Recovered()
    for folder, lock in journal.abandoned(root):
        try:
            await recover_folder(database, folder, found)
        except Exception as error:
            os.close(lock)
            if isinstance(error, DatabaseError) and not error.refused:
                raise
            # Nobody is kept from starting by a journal that nobody understands; it stays where it is.
            log.exception("the journal %s cannot be booked, and is kept", folder)
        except BaseException:
            os.close(lock)
            raise
        else:
            journal.discard(folder, lock)
    return found


async def recover_folder(database: Database, folder: Path, found: Recovered) -> None:
    """Books what one journal says, and gives back what its worker held. The folder is locked by us.

    Raises:
        DatabaseError: the database failed.
    """
    worker, begun = folder.name, dict[str, Mapping[str, Any]]()
    for path in sorted(folder.glob("*.log")):
        fd = os.open(path, os.O_RDONLY)
        try:
            at, size = 0, journal.written(fd)
            while at < size:
                at += await database.run(
                    lambda c, fd=fd, at=at, size=size: _book(c, worker, fd, at, size, begun, found)
                )
        finally:
            os.close(fd)
    await database.run(lambda connection: _end(connection, worker, begun, found))
    found.workers += 1


def _book(
    connection: Connection, worker: str, fd: int, at: int, size: int, begun: dict[str, Mapping[str, Any]],
    found: Recovered,
) -> int:  # fmt: skip
    data = journal.read(fd, at, size)
    for entry in journal.entries(data):
        if entry is not None and entry[0] == journal.BEGIN:
            beginning = orjson.loads(entry[1])
            begun[beginning["row"]["id"]] = beginning
    tally = ledger.read(data)
    for id in tally.settled:
        begun.pop(id, None)
    found.damaged += tally.damaged
    found.requests += _post(connection, worker, tally)
    return len(data)


def _end(connection: Connection, worker: str, begun: Mapping[str, Mapping[str, Any]], found: Recovered) -> None:
    tally = ledger.Tally(settled={id: _interrupted(worker, beginning) for id, beginning in begun.items()})
    counted = {(limit, start) for entry in tally.settled.values() for limit, start, *_ in entry["charges"]}
    leases.lock(connection, counted | set(leases.held(connection, worker)))
    found.interrupted += _post(connection, worker, tally)
    leases.release(connection, worker, time.time())


def _post(connection: Connection, worker: str, tally: ledger.Tally) -> int:
    new = ledger.post(connection, tally, careful=True)
    leases.lock(connection, tally.spent)
    own = leases.held(connection, worker)
    targets = {place: max(0, own[place] - used) for place, used in tally.fresh.items() if place in own}
    leases.move(connection, worker, targets, tally.spent)
    return new


def _interrupted(worker: str, beginning: Mapping[str, Any]) -> dict[str, Any]:
    tokens = beginning["tokens"]
    row = {
        "route": "none", "status": 0, "error": "the gateway died during this request",
        **beginning["row"], "worker": worker, "outcome": "interrupted", "estimated": True,
        "input_tokens": 0, "output_tokens": tokens, "nanodollars": beginning["nanodollars"],
    }  # fmt: skip
    return {"row": row, "charges": [(limit, window, need, need) for limit, window, need in beginning["needs"]]}
