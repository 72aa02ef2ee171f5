"""`homespun keys …`: virtual keys of the gateway, what they may spend, and what they have spent."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import App, Parameter

from homespun.cli.output import Json, say, show_json, show_rows
from homespun.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = App(name="keys", help="Make, list, limit and revoke keys of the gateway.", help_format="plaintext")

T = TypeVar("T")
Period = Literal["minute", "hour", "day", "week", "month", "ever"]
Flag = Parameter(negative=())
COLUMNS = {"id": "", "name": "", "team": "", "models": "", "requests": ",d", "spent": "", "until": ""}
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@app.command
def create(
    name: str,
    *,
    team: str | None = None,
    models: str | None = None,
    budget: str | None = None,
    period: Period = "month",
    rpm: int | None = None,
    tpm: int | None = None,
    expires: str | None = None,
    admin: Annotated[bool, Flag] = False,
    config: Path | None = None,
    as_json: Json = False,
) -> None:
    """Make a key. Its secret is printed once and kept nowhere.

    Args:
        name: What people call it.
        team: Its team, made if it is new.
        models: Names that it may ask for, with commas; default all.
        budget: Dollars that it may spend in each period.
        period: The budget's period, in UTC: minute, hour, day, week, month or ever.
        rpm: Requests per minute.
        tpm: Tokens per minute, input and output.
        expires: How long it is good for: 90m, 12h, 30d, 8w.
        admin: It may see everybody's numbers.
        config: The gateway's settings; default homespun.toml here.
        as_json: Print one JSON object.
    """
    from homespun.serve.store import keys

    limits: list[tuple[Any, Any, int]] = []
    if budget is not None:
        limits.append(("nanodollars", period, _nanodollars(budget)))
    limits += [(unit, "minute", most) for unit, most in (("requests", rpm), ("tokens", tpm)) if most is not None]
    names = None if models is None else [word for word in (part.strip() for part in models.split(",")) if word]
    if names == []:
        raise ConfigError("names no model", "--models", "homespun/auto, or leave it out for all")
    until = None if expires is None else time.time() + _duration(expires)

    def make(connection: "Connection") -> tuple[Any, str]:
        return keys.create(connection, name, team=team, models=names, admin=admin, expires=until, limits=limits)

    key, token = _with_database(config, make)
    if as_json:
        show_json({"id": key.id, "name": name, "team": team, "models": names, "admin": admin, "expires": until,
                   "key": token})  # fmt: skip
        return
    print(token)
    say(f"key {key.id} ({name}); the line above is its secret, and is not kept anywhere: note it now")


@app.default
@app.command(name="list")
def list_(*, config: Path | None = None, revoked: Annotated[bool, Flag] = False, as_json: Json = False) -> None:
    """List the keys with what they spent, newest first.

    Args:
        config: The gateway's settings; default homespun.toml here.
        revoked: Also those that are revoked.
        as_json: Print one JSON object; amounts are in nanodollars, requests or tokens.
    """
    from homespun.serve.store import keys

    rows, shared = _with_database(config, lambda c: (keys.overview(c, revoked=revoked), keys.shared(c)))
    if as_json:
        show_json({"rows": rows, "shared": shared})
        return
    if not rows:
        print("no keys yet; try: homespun keys create NAME")
    else:
        show_rows([_shown(row) for row in rows], COLUMNS)
        print()
    for row in rows:
        if row["limits"]:
            print(f"{row['name']}: {', '.join(map(_used, row['limits']))}")
    for limit in shared:
        whose = "everybody" if limit["subject_kind"] == "all" else f"team {limit['subject']}"
        print(f"{whose}: {_used(limit)}")


@app.command
def revoke(key: str, *, config: Path | None = None, as_json: Json = False) -> None:
    """Revoke a key; every worker refuses it about a second later.

    Args:
        key: Its id, or its name where only one key bears it.
        config: The gateway's settings; default homespun.toml here.
        as_json: Print one JSON object.
    """
    from homespun.serve.store import keys

    id = _with_database(config, lambda connection: keys.revoke(connection, key))
    if as_json:
        show_json({"revoked": id})
    else:
        print(f"revoked {id}")


@app.command
def limit(
    unit: Literal["dollars", "requests", "tokens"],
    period: Period,
    amount: str,
    *,
    key: str | None = None,
    team: str | None = None,
    config: Path | None = None,
    as_json: Json = False,
) -> None:
    """Set, change or take away a limit of a key, of a team, or (with neither) of everybody together.

    Args:
        unit: dollars, requests or tokens.
        period: minute, hour, day, week, month or ever, in UTC.
        amount: The most in one period; none takes the limit away.
        key: The key's id or name.
        team: The team, made if it is new.
        config: The gateway's settings; default homespun.toml here.
        as_json: Print one JSON object.
    """
    from homespun.serve.store import keys

    if key is not None and team is not None:
        raise ConfigError("a limit is of a key or of a team", "keys limit", "one of --key and --team, or neither")
    real: Any = "nanodollars" if unit == "dollars" else unit
    most = None if amount == "none" else _nanodollars(amount) if unit == "dollars" else _count(amount)

    def change(connection: "Connection") -> tuple[str, str]:
        kind, subject = ("all", "") if team is None else ("team", team)
        if key is not None:
            kind, subject = "key", keys.find(connection, key)
        elif team is not None:
            keys.add_team(connection, team)
        keys.set_limit(connection, kind, subject, real, period, most)  # type: ignore[arg-type]
        return kind, subject

    kind, subject = _with_database(config, change)
    if as_json:
        show_json({"subject_kind": kind, "subject": subject, "unit": real, "period": period, "amount": most})
    else:
        print(f"{kind} {subject}".strip() + f": {'no limit on' if most is None else amount} {unit} {_per(period)}")


@app.command
def workers(*, config: Path | None = None, as_json: Json = False) -> None:
    """List the workers that keep books, with what they hold and when they were last heard.

    Args:
        config: The gateway's settings; default homespun.toml here.
        as_json: Print one JSON object.
    """
    from homespun.serve.store import workers as staff

    rows = _with_database(config, staff.listing)
    if as_json:
        show_json({"rows": rows})
    elif rows:
        show_rows(rows, {"id": "", "host": "", "pid": "d", "leases": "d", "silent_seconds": ".0f"})
    else:
        print("no workers; try: homespun serve")


@app.command
def release(
    worker: str, *, force: Annotated[bool, Flag] = False, config: Path | None = None, as_json: Json = False
) -> None:
    """Give back what a worker had set aside whose machine is gone for good.

    Args:
        worker: Its id, from `homespun keys workers`.
        force: Even if it was heard a moment ago.
        config: The gateway's settings; default homespun.toml here.
        as_json: Print one JSON object.
    """
    from homespun.serve.store import workers as staff

    count = _with_database(config, lambda connection: staff.release(connection, worker, force=force))
    if as_json:
        show_json({"worker": worker, "leases": count})
    else:
        print(f"released {count} leases of {worker}")


def _with_database(config: Path | None, fn: "Callable[[Connection], T]") -> T:
    from homespun.serve.gateway import config as settings
    from homespun.serve.store.database import Database

    database = Database(settings.load(config).database_url())
    try:
        database.migrate()
        return database.run_now(fn)
    finally:
        database.close()


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    until = "revoked" if row["revoked"] else _day(row["expires"])
    name = row["name"] + (" (admin)" if row["admin"] else "")
    models = "all" if row["models"] is None else ",".join(row["models"])
    spent = _amount("nanodollars", row["nanodollars"])
    return {**row, "name": name, "models": models, "spent": spent, "until": until}


def _used(limit: dict[str, Any]) -> str:
    spent, most = (_amount(limit["unit"], limit[name]) for name in ("spent", "amount"))
    unit = "" if limit["unit"] == "nanodollars" else f" {limit['unit']}"
    return f"{spent} of {most}{unit} {_per(limit['period'])}"


def _per(period: str) -> str:
    return "in all" if period == "ever" else f"per {period}"


def _amount(unit: str, amount: int) -> str:
    return f"${amount / 1e9:,.2f}" if unit == "nanodollars" else f"{amount:,}"


def _day(seconds: float | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _nanodollars(text: str) -> int:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= 10**9):
        raise ConfigError(f"{text!r} is no sum of money", "dollars", "10 or 2.50, up to a billion")
    return int(amount * 10**9)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9_,]{1,20}", text) or not (digits := re.sub("[_,]", "", text)):
        raise ConfigError(f"{text!r} is no amount", "keys limit", "60, or 100000, or none")
    return int(digits)


def _duration(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    if found is None or not int(found[1]):
        raise ConfigError(f"{text!r} is no span of time", "--expires", "90m, 12h, 30d or 8w")
    return float(int(found[1]) * _SECONDS[found[2]])
