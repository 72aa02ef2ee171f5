"""`homespun votes …`: sessions and votes of the battle room out of the database, and others' into it."""

import asyncio
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from homespun.cli.output import Json, say, show_json
from homespun.errors import ConfigError

if TYPE_CHECKING:
    from homespun.arena.records import Duel
    from homespun.arena.records.filters import Sieve
    from homespun.serve.store.arena import ArenaStore

app = App(name="votes", help="Export and import the battle room's sessions and votes.", help_format="plaintext")

Format = Literal["preference", "reward", "event-log", "space", "raw", "table"]
Mode = Literal["battle", "named", "all"]
Flag = Parameter(negative=())
_JUDGED = ("preference", "reward")
"""Shapes that the published filters were made for."""


@app.command(name="export")
def export_(
    *,
    out: Path,
    form: Annotated[Format, Parameter(name="--format")] = "preference",
    mode: Mode = "battle",
    min_messages: int | None = None,
    executed: bool | None = None,
    void: Annotated[bool, Flag] = False,
    personal: Annotated[bool, Flag] = False,
    database: str | None = None,
    config: Path | None = None,
    as_json: Json = False,
) -> None:
    """Write sessions and votes in a published shape, or as the table that `homespun rank` reads.

    E-mail addresses, telephone numbers, IP addresses, bank accounts, cards and keys are replaced by their kind. Nothing
    is moderated: no list of unwanted content ships.

    Args:
        out: Where to: a .jsonl; for table also .parquet or .csv; for event-log a folder.
        form: preference (bigcodearena-preference-5k), reward (BigCodeReward), event-log (SWE-Arena), space (votes of
            the Hugging Face Space), raw (bigcodearena-raw-14k), table.
        mode: Votes of battles, of named battles, or all.
        min_messages: Least number of messages on each side; default 2 for preference and reward, else 0.
        executed: Only where a program of each side was run; default for preference and reward.
        void: Also votes that are void because a name had leaked.
        personal: Leave personal data in.
        database: URL; default the gateway's of homespun.toml.
        config: Settings; default homespun.toml here.
        as_json: Print one JSON object.
    """
    from homespun.arena.records import files
    from homespun.arena.records.filters import Filters, Sieve
    from homespun.arena.records.pii import scrubbed

    if min_messages is not None and min_messages < 0:
        raise ConfigError(f"{min_messages} is no number of messages", "--min-messages", "2")
    judged = form in _JUDGED
    filters = Filters(
        modes=("battle", "named") if mode == "all" else (mode,),
        min_messages=min_messages if min_messages is not None else 2 if judged else 0,
        executed=judged if executed is None else executed,
        void=void,
        duplicates=not judged,
    )
    sieve, found = Sieve(filters), Counter[str]()

    def clean(row: dict[str, Any]) -> dict[str, Any]:
        return row if personal or form == "table" else scrubbed(row, found)

    with _opened(config, database) as (store, runner):
        count = files.write(form, sieve.keep(_voted(store, runner)), out, clean)
    _told({"written": count, "out": str(out), "dropped": dict(sieve.dropped), "replaced": dict(found)}, as_json, sieve)


@app.command(name="import")
def import_(
    path: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    form: Annotated[Format | None, Parameter(name="--format")] = None,
    database: str | None = None,
    config: Path | None = None,
    as_json: Json = False,
) -> None:
    """Read sessions and votes in a published shape into the database. What is there already is left as it is.

    Args:
        path: A .jsonl or .parquet of rows, or the folder of an event log.
        form: The shape; default told from the first row.
        database: URL; default the gateway's of homespun.toml.
        config: Settings; default homespun.toml here.
        as_json: Print one JSON object.
    """
    from homespun.arena.records import files
    from homespun.serve.store.arena.duels import add

    with _opened(config, database) as (store, runner):
        new, there = runner.run(add(store, files.read(path, form)))
    if as_json:
        show_json({"added": new, "there": there})
    else:
        print(f"added {new:,} sessions; {there:,} were there already")


def _told(summary: dict[str, Any], as_json: bool, sieve: "Sieve") -> None:
    say("note: nothing was moderated: no list of unwanted content ships")
    if as_json:
        show_json(summary)
        return
    print(f"wrote {summary['written']:,} sessions to {summary['out']}")
    for reason, count in sieve.dropped.most_common():
        print(f"left out, {reason}: {count:,}")
    for kind, count in summary["replaced"].items():
        print(f"replaced, {kind}: {count:,}")


@contextmanager
def _opened(config: Path | None, url: str | None) -> "Generator[tuple[ArenaStore, asyncio.Runner]]":
    """The store, and what runs its coroutines."""
    from homespun.serve.battle_room import config as settings
    from homespun.serve.store.arena import ArenaStore
    from homespun.serve.store.database import Database

    database = Database(url if url is not None else settings.load(config).gateway.database_url())
    try:
        database.migrate()
        with asyncio.Runner() as runner:
            yield ArenaStore(database), runner
    finally:
        database.close()


def _voted(store: "ArenaStore", runner: asyncio.Runner) -> "Iterator[Duel]":
    """Sessions with a vote."""
    from homespun.serve.store.arena.duels import duels

    found = duels(store)

    async def following() -> "Duel | None":
        return await anext(found, None)

    while (duel := runner.run(following())) is not None:
        yield duel
