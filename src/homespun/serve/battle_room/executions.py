"""Programs on the stage: a queue, a clock, a row for whatever came of it, and apps that stay open for a while.

Nothing here raises for what a program does, or for a sandbox that is missing: a vote must never wait for ever.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from homespun.errors import HomespunError
from homespun.sandbox.reply import Dependency, Found
from homespun.serve.battle_room.config import Limits
from homespun.serve.battle_room.players import Frame, Played, Player, Say
from homespun.serve.battle_room.sessions import Side
from homespun.serve.store.arena import ArenaStore, Blob, RunRow
from homespun.serve.store.database import DatabaseError

log = logging.getLogger("homespun.arena")

LONGEST_OUTPUT = 200_000
"""Characters of each stream that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be run, and whose it is."""

    run: str
    session: str
    side: Side
    turn: int
    edit: int
    """0: as the model wrote it."""
    round: int
    """How often this side has been run, this run included."""
    found: Found
    dependencies: tuple[Dependency, ...] | None = None
    """Instead of those found."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A run that is over, or whose app is open."""

    row: RunRow
    url: str | None = None


class Stage:
    """Where programs run, at most ``limits.jobs`` at a time.

    Args:
        player: Runs them; none: every run is ``unavailable``.
        store: Keeps what came of them.
        limits: How many, how long.
    """

    def __init__(self, player: Player | None, store: ArenaStore, limits: Limits) -> None:
        self._player, self._store, self._limits = player, store, limits
        self._places = asyncio.Semaphore(limits.jobs)

    async def play(self, order: Order, say: Say) -> Shown:
        """Runs a program and keeps the row; cancelling stops the program, not the record of it."""
        loop, created = asyncio.get_running_loop(), time.time()
        try:
            async with self._places, asyncio.timeout(self._limits.run_seconds):
                if self._player is None:
                    return await self._kept(order, created, "unavailable", "no sandbox is set up here")
                played = await self._player.run(
                    order.found,
                    run_id=order.run,
                    dependencies=order.dependencies,
                    on_log=lambda stream, text: _thread_safe(loop, say, stream, text),
                )
        except asyncio.CancelledError:
            _go_on()
            return await self._over(order, created, "failed", "stopped by the reader")
        except TimeoutError:
            what = f"not done within {self._limits.run_seconds:g} seconds"
            return await self._over(order, created, "timeout", what)
        except HomespunError as error:
            return await self._over(order, created, "unavailable", str(error))
        except Exception:
            log.exception("run %s of session %s failed", order.run, order.session)
            return await self._over(order, created, "unavailable", "the sandbox failed; run it again")
        return await self._shown(order, created, played)

    async def look(self, row: RunRow) -> RunRow:
        """The row with pictures of its page, which are taken while people use it; as it was where there are none.

        Args:
            row: A run whose app is open.
        """
        if self._player is None:
            return row
        try:
            shots, blobs = _framed(await self._player.look(row.run))
            if shots:
                await self._store.add_looks(row.run, shots, blobs)
                return replace(row, screenshots=shots)
        except (HomespunError, DatabaseError) as error:
            log.error("run %s has no pictures: %s", row.run, error)
        except Exception:
            log.exception("run %s has no pictures", row.run)
        return row

    async def close(self, run: str) -> None:
        """Closes a run's app, if it has one."""
        if self._player is not None:
            try:
                await self._player.close_run(run)
            except Exception:
                log.exception("run %s could not be closed", run)

    async def _over(self, order: Order, created: float, status: str, why: str) -> Shown:
        await self.close(order.run)
        return await self._kept(order, created, status, why)

    async def _kept(self, order: Order, created: float, status: str, why: str) -> Shown:
        row = _row(order, created, status=status, stderr=why, dependencies=_table(_wanted(order)))
        await self._keep(row, ())
        return Shown(row)

    async def _shown(self, order: Order, created: float, played: Played) -> Shown:
        figures = [Blob("image/png", figure.png) for figure in played.pictures]
        shots, blobs = _framed(played.shots)
        ran = played.execution
        row = _row(
            order,
            created,
            status=ran.status,
            exit_code=ran.exit_code,
            stdout=_cut(ran.stdout),
            stderr=_cut(ran.stderr),
            build_log=_cut(played.build_log),
            seconds=ran.seconds,
            dependencies=_table(played.dependencies),
            pictures=tuple(blob.hash for blob in figures),
            screenshots=shots,
            notes=tuple(played.notes),
        )
        await self._keep(row, [*figures, *blobs])
        return Shown(row, played.url)

    async def _keep(self, row: RunRow, blobs: Sequence[Blob]) -> None:
        try:
            await self._store.add_run(row, blobs)
        except DatabaseError as error:
            log.error("run %s of session %s is not kept: %s", row.run, row.session, error)


def _framed(frames: Sequence[Frame]) -> tuple[tuple[dict[str, Any], ...], list[Blob]]:
    """What is kept of looks at a page, and the pictures themselves."""
    pictures = [None if frame.png is None else Blob("image/png", frame.png) for frame in frames]
    told = tuple(
        {"at": frame.at, "blob": blob and blob.hash, "blank": frame.blank, "note": frame.note}
        for frame, blob in zip(frames, pictures, strict=True)
    )
    return told, [blob for blob in pictures if blob is not None]


def _row(order: Order, created: float, *, notes: Sequence[str] = (), **outcome: Any) -> RunRow:
    found = order.found
    return RunRow(
        run=order.run,
        session=order.session,
        side=order.side,
        turn=order.turn,
        edit=order.edit,
        created=created,
        environment=found.environment,
        language=found.language,
        filename=found.filename,
        code=found.code,
        notes={
            "lines": list(notes),
            "enabled_round": order.turn,
            "sandbox_run_round": order.round,
            "edit_round": order.edit,
        },
        **outcome,
    )


def _wanted(order: Order) -> Sequence[Dependency]:
    return order.found.dependencies if order.dependencies is None else order.dependencies


def _table(dependencies: Sequence[Dependency]) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json") for one in dependencies]


def _cut(text: str) -> str:
    if len(text) <= LONGEST_OUTPUT:
        return text
    return f"{text[:LONGEST_OUTPUT]}\n… {len(text) - LONGEST_OUTPUT} more characters"


def _thread_safe(loop: asyncio.AbstractEventLoop, say: Say, stream: str, text: str) -> None:
    """Runners speak from threads, and some that nobody waits for any more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(say, stream, text)


def _go_on() -> None:
    """The wish to stop was heard; what is left to do is to record it."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
