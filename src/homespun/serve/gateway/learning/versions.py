"""The versions of the router in the table ``routers``: which is live, which is a canary, what became of the others.

Every change is one transaction that checks what it changes, so that a worker which has lost its election in the midst
of a step changes nothing that another has changed since.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from homespun.serve.store.tables import alarms, routers

USED = ("live", "canary")


class Version(NamedTuple):
    """A row of the table."""

    version: str
    created: float
    path: str
    parent: str | None
    status: str
    share: float
    report: Any


def in_use(rows: Iterable[Version]) -> list[Version]:
    """The live version, then the canary if there is one."""
    found = [row for row in rows if row.status in USED]
    return sorted(found, key=lambda row: (USED.index(row.status), -row.created))


def live_and_canary(connection: Connection) -> tuple[Version | None, Version | None]:
    """Both, where they exist."""
    found = in_use(lineage(connection).values())
    live = next((row for row in found if row.status == "live"), None)
    return live, next((row for row in found if row.status == "canary"), None)


def lineage(connection: Connection) -> dict[str, Version]:
    """All versions by name."""
    return {row[0]: Version(*row) for row in connection.execute(select(routers))}


def install(connection: Connection, version: str, path: Path | str, now: float, *, report: Any = None) -> bool:
    """Makes a router live, unless it already is or was: what a file of settings names, or a router with a new arm.

    Whatever was in use is retired. A version that was once retired, refused or rolled back is made live again.
    """
    live, _ = live_and_canary(connection)
    if live is not None and live.version == version:
        return False
    connection.execute(update(routers).where(routers.c.status.in_(USED)).values(status="retired", share=0.0))
    known = connection.execute(select(routers.c.version).where(routers.c.version == version)).first()
    if known is not None:
        values = {"status": "live", "share": 1.0, "path": str(path)}
        connection.execute(update(routers).where(routers.c.version == version).values(**values))
    else:
        parent = None if live is None else live.version
        _add(connection, Version(version, now, str(path), parent, "live", 1.0, report))
    return True


def propose(
    connection: Connection, version: str, path: Path | str, parent: str, now: float, *, share: float, report: Any
) -> str:
    """Records a candidate; it becomes the canary if it passed the gate and its parent is still live alone.

    Returns:
        Its status.
    """
    live, canary = live_and_canary(connection)
    status = "canary" if report["promote"] else "rejected"
    if status == "canary" and (live is None or live.version != parent or canary is not None):
        status, report = "rejected", {**report, "reasons": ["the live router changed while it was fitted"]}
    _add(connection, Version(version, now, str(path), parent, status, share if status == "canary" else 0.0, report))
    return status


def settle(connection: Connection, canary: Version, *, keep: bool, report: Any, now: float) -> bool:
    """Ends a canary: it becomes live, and what alarms were open are answered; or it is rolled back.

    Returns:
        Whether anything was changed; not if it is no canary any more.
    """
    live, present = live_and_canary(connection)
    if live is None or present is None or present.version != canary.version:
        return False
    told = {**(canary.report or {}), "canary": report}
    status, share = ("live", 1.0) if keep else ("rolled_back", 0.0)
    connection.execute(
        update(routers).where(routers.c.version == canary.version).values(status=status, share=share, report=told)
    )
    if keep:
        connection.execute(update(routers).where(routers.c.version == live.version).values(status="retired", share=0.0))
        connection.execute(update(alarms).where(alarms.c.cleared.is_(None)).values(cleared=now))
    return True


def reachable(version: Version, known: dict[str, Version]) -> Version | None:
    """The version, or the nearest ancestor whose folder is on this machine."""
    row: Version | None = version
    seen: set[str] = set()
    while row is not None and row.version not in seen:
        if (Path(row.path) / "router.json").is_file():
            return row
        seen.add(row.version)
        row = known.get(row.parent or "")
    return None


def _add(connection: Connection, row: Version) -> None:
    connection.execute(insert(routers).values(**row._asdict()))
