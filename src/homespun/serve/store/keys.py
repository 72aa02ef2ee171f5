"""Virtual keys and their limits: making, listing and revoking them, and telling a true one from a false one.

A token is ``hs-<id>-<secret>``. The secret is 256 random bits, and only its SHA-256 is kept: a slow hash protects
secrets that can be guessed, which 256 random bits cannot. An unknown id costs the same work as a known one.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, delete, exists, func, literal, select, update

from homespun.errors import ConfigError
from homespun.serve.store import tables
from homespun.serve.store.marks import KEYS, bump, read
from homespun.serve.store.periods import PERIODS, Period, window
from homespun.serve.store.upsert import insert

Unit = Literal["nanodollars", "requests", "tokens"]
UNITS: tuple[Unit, ...] = get_args(Unit)
SubjectKind = Literal["key", "team", "all"]
MOST = 2**62
"""Largest amount of a limit; sums of two still fit 64 bits."""
_LONGEST = 256
_NOBODY = bytes(32)
"""Compared with where an id is unknown; no secret that anybody could find hashes to it."""


@dataclass(slots=True)
class Key:
    """Who asks. The secret is not in it."""

    id: str
    name: str
    team: str | None
    models: frozenset[str] | None
    """Names that may be asked for; ``None``: all."""
    admin: bool
    expires: float | None
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``amount`` of ``unit`` in each window of ``period``, for a key, a team or everybody."""

    id: str
    subject_kind: SubjectKind
    subject: str
    """Id of the key or team; empty for ``all``."""
    unit: Unit
    period: Period
    amount: int


class Registry:
    """The keys and limits as a worker knows them, in memory."""

    def __init__(self, keys: Mapping[str, tuple[Key, bytes]], limits: Sequence[Limit]) -> None:
        self._keys = keys
        self.limits: dict[tuple[str, str], list[Limit]] = {}
        """Limits by kind and id of their subject."""
        for limit in limits:
            self.limits.setdefault((limit.subject_kind, limit.subject), []).append(limit)

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, token: str, now: float) -> Key | None:
        """The key of a token, if it is true, not revoked and not expired; takes the same time for all that are not."""
        id, secret = _split(token)
        found = self._keys.get(id)
        same = hmac.compare_digest(_digest(secret), _NOBODY if found is None else found[1])
        if found is None or not same:
            return None
        key = found[0]
        return None if key.expires is not None and key.expires <= now else key

    def limits_of(self, key: Key | None) -> list[Limit]:
        """What a request of this key counts against: limits of the key, of its team, and of everybody."""
        found = self.limits.get(("all", ""), [])
        if key is not None:
            team = [] if key.team is None else self.limits.get(("team", key.team), [])
            found = [*self.limits.get(("key", key.id), []), *team, *found]
        return found


def load(connection: Connection) -> Registry:
    """Reads the keys that are not revoked, and all limits."""
    table = tables.keys
    keys: dict[str, tuple[Key, bytes]] = {}
    for row in connection.execute(select(table).where(table.c.revoked.is_(None))):
        models = None if row.models is None else frozenset(row.models)
        key = Key(row.id, row.name, row.team, models, row.admin, row.expires)
        keys[row.id] = key, bytes.fromhex(row.hash)
    limits = [Limit(*row) for row in connection.execute(select(tables.limits))]
    return Registry(keys, limits)


def load_version(connection: Connection) -> tuple[int, Registry]:
    """The count of changes, and the keys and limits as they are with it."""
    return read(connection).get(KEYS, 0), load(connection)


def create(
    connection: Connection,
    name: str,
    *,
    team: str | None = None,
    models: Sequence[str] | None = None,
    admin: bool = False,
    expires: float | None = None,
    limits: Sequence[tuple[Unit, Period, int]] = (),
) -> tuple[Key, str]:
    """Makes a key, and its team where that is new.

    Args:
        connection: A transaction.
        name: What people call it.
        team: Id of its team.
        models: Names that may be asked for; none: all.
        admin: Whether it may see everybody's numbers and change routers.
        expires: Seconds since 1970.
        limits: Unit, period and amount of each of its limits.

    Returns:
        The key, and the token, which cannot be had again.

    Raises:
        ConfigError: a name or limit is wrong.
    """
    _check_name("name", name)
    now = time.time()
    if team is not None:
        add_team(connection, team)
    key = Key(secrets.token_hex(5), name, team, None if models is None else frozenset(models), admin, expires)
    secret = secrets.token_urlsafe(32)
    row = {
        "id": key.id, "hash": _digest(secret).hex(), "name": name, "team": team, "admin": admin, "created": now,
        "models": None if models is None else sorted(models), "expires": expires, "revoked": None,
    }  # fmt: skip
    connection.execute(tables.keys.insert(), row)
    for unit, period, amount in limits:
        set_limit(connection, "key", key.id, unit, period, amount)
    bump(connection, KEYS)
    return key, f"hs-{key.id}-{secret}"


def add_team(connection: Connection, team: str) -> None:
    """Makes a team unless there is one of that name.

    Raises:
        ConfigError: the name is wrong.
    """
    _check_name("team", team)
    connection.execute(insert(connection, tables.teams).on_conflict_do_nothing(), {"id": team, "created": time.time()})


def revoke(connection: Connection, which: str) -> str:
    """Revokes a key; every worker refuses it about a second later.

    Args:
        connection: A transaction.
        which: Its id, or its name where only one key bears it.

    Returns:
        Its id.

    Raises:
        ConfigError: no such key, or several.
    """
    id = find(connection, which)
    table = tables.keys
    connection.execute(update(table).where(table.c.id == id).values(revoked=time.time()))
    bump(connection, KEYS)
    return id


def find(connection: Connection, which: str) -> str:
    """The id of a key that is not revoked, by id or by name.

    Raises:
        ConfigError: no such key, or several.
    """
    table = tables.keys
    query = select(table.c.id).where((table.c.id == which) | (table.c.name == which), table.c.revoked.is_(None))
    found = list(connection.execute(query).scalars())
    shown = which if not which.startswith("hs-") else "hs-…"
    if not found:
        raise ConfigError(f"no key {shown[:80]!r}", "keys", "homespun keys list")
    if len(found) > 1:
        raise ConfigError(f"{len(found)} keys are called {shown[:80]!r}", "keys", f"an id: {', '.join(found[:5])}")
    return found[0]


def any_key(connection: Connection) -> bool:
    """Whether there is a key that is not revoked."""
    return bool(connection.execute(select(exists().where(tables.keys.c.revoked.is_(None)))).scalar())


def set_limit(
    connection: Connection, kind: SubjectKind, subject: str, unit: Unit, period: Period, amount: int | None
) -> None:
    """Sets, changes or (``amount=None``) takes away a limit; what was spent in the window still counts.

    Raises:
        ConfigError: unit, period or amount is wrong.
    """
    if unit not in UNITS or period not in PERIODS:
        raise ConfigError(f"no limit on {unit!r} per {period!r}", "limits", f"{', '.join(UNITS)}; {', '.join(PERIODS)}")
    if amount is not None and not 0 <= amount <= MOST:
        raise ConfigError(f"{amount} is no amount", f"limit on {unit}", "a number from 0 up")
    table = tables.limits
    same = (table.c.subject_kind == kind, table.c.subject == subject, table.c.unit == unit, table.c.period == period)
    if amount is None:
        connection.execute(delete(table).where(*same))
    elif connection.execute(update(table).where(*same).values(amount=amount)).rowcount == 0:
        row = Limit(f"lim-{secrets.token_hex(8)}", kind, subject, unit, period, amount)
        connection.execute(table.insert(), {name: getattr(row, name) for name in Limit.__slots__})
    bump(connection, KEYS)


def usage(connection: Connection, limits: Sequence[Limit], now: float) -> list[dict[str, Any]]:
    """How much of each limit is used in the window of now; amounts in the limit's unit.

    Returns:
        For each limit: subject_kind, subject, unit, period, amount, spent, reserved, left, window (its start).
    """
    places = {limit.id: window(limit.period, now)[0] for limit in limits}
    used: dict[str, tuple[int, int]] = {}
    ids, table = list(places), tables.meters
    for start in range(0, len(ids), 500):
        chosen = table.c.limit_id.in_(ids[start : start + 500])
        for row in connection.execute(select(table).where(chosen)):
            if places[row.limit_id] == row.window:
                used[row.limit_id] = row.spent, row.reserved
    return [_usage(limit, places[limit.id], *used.get(limit.id, (0, 0))) for limit in limits]


def overview(connection: Connection, *, revoked: bool = False) -> list[dict[str, Any]]:
    """Every key with what it used of its limits, and what was ever booked on it, newest first."""
    table, requests = tables.keys, tables.requests
    query = select(table).order_by(table.c.created.desc())
    rows = connection.execute(query if revoked else query.where(table.c.revoked.is_(None))).mappings().all()
    sums = select(requests.c.key_id, func.count(), func.sum(requests.c.nanodollars)).group_by(requests.c.key_id)
    booked = {key: (count, int(total)) for key, count, total in connection.execute(sums)}
    used: dict[str, list[dict[str, Any]]] = {}
    own = [Limit(*row) for row in connection.execute(select(tables.limits).where(literal("key") == _KIND))]
    for entry in usage(connection, own, time.time()):
        used.setdefault(entry["subject"], []).append(entry)
    shown = ("id", "name", "team", "models", "admin", "created", "expires", "revoked")
    return [
        {name: row[name] for name in shown}
        | dict(zip(("requests", "nanodollars"), booked.get(row["id"], (0, 0)), strict=True))
        | {"limits": used.get(row["id"], [])}
        for row in rows
    ]


_KIND = tables.limits.c.subject_kind


def shared(connection: Connection) -> list[dict[str, Any]]:
    """What is used of the limits of teams and of everybody."""
    rows = connection.execute(select(tables.limits).where(_KIND != "key").order_by(_KIND, tables.limits.c.subject))
    return usage(connection, [Limit(*row) for row in rows], time.time())


def _usage(limit: Limit, start: int, spent: int, reserved: int) -> dict[str, Any]:
    return {
        "subject_kind": limit.subject_kind, "subject": limit.subject, "unit": limit.unit, "period": limit.period,
        "amount": limit.amount, "spent": spent, "reserved": reserved,
        "left": max(0, limit.amount - spent - reserved), "window": start,
    }  # fmt: skip


def _split(token: str) -> tuple[str, str]:
    parts = token.split("-", 2) if len(token) <= _LONGEST else []
    return (parts[1], parts[2]) if len(parts) == 3 and parts[0] == "hs" else ("", "")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _check_name(what: str, name: str) -> None:
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise ConfigError(f"{name[:100]!r} is no name", what, "1 to 100 letters, digits, spaces and signs")
    if name.startswith("hs-"):
        raise ConfigError("looks like a secret", what, "a name that people know it by")
