"""The programs of a session: as the models wrote them, and as their reader edited them."""

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

from homespun.sandbox.reply import Dependency, Found, NoProgram, read_reply, read_source
from homespun.serve.battle_room.sessions import Pane, Side
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.arena import RunRow


class Edited(NamedTuple):
    """A program to be run again."""

    found: Found
    dependencies: tuple[Dependency, ...] | None
    """Instead of its own."""
    edit: int
    """Number of the edit; 0: as the model wrote it."""


class Programs:
    """Programs by side. Reading a long reply can take more than a second, so it is done in a thread and kept.

    Args:
        environment: What was asked for: ``auto``, ``react``, …
    """

    def __init__(self, environment: str) -> None:
        self._environment: Any = environment
        self._found: dict[Side, tuple[str, Found]] = {}

    async def read(self, side: Side, reply: str) -> Found | NoProgram:
        """The program in a reply."""
        known = self._found.get(side)
        if known is not None and known[0] == reply:
            return known[1]
        found = await asyncio.to_thread(read_reply, reply, environment=self._environment)
        if isinstance(found, Found):
            self._found[side] = (reply, found)
        return found

    async def edited(
        self,
        side: Side,
        pane: Pane,
        runs: Iterable[RunRow],
        code: str | None,
        dependencies: tuple[Dependency, ...] | None,
    ) -> Edited:
        """What is to be run when a reader asks for it.

        Args:
            side: Whose program.
            pane: That side.
            runs: All runs of the session.
            code: As edited; ``None``: as it is to be seen.
            dependencies: As edited; ``None``: what the code needs, or as they are if the code stays.

        Raises:
            GatewayError: 409, there is no program.
        """
        if not pane.turns:
            raise _nothing("This side has not been asked anything.")
        last = pane.turns[-1]
        own = await self.read(side, last.reply)
        if isinstance(own, NoProgram):
            raise _nothing(f"There is nothing to run: {own.reason}.")
        mine = [run for run in runs if run.side == side]
        seen = next((run for run in mine if run.run == pane.run), None)
        before = own.code if seen is None else seen.code
        kept = None if seen is None else tuple(Dependency.model_validate(dict(one)) for one in seen.dependencies)
        if code in (None, before) and dependencies in (None, kept):
            return Edited(own.model_copy(update={"code": before}), kept, 0 if seen is None else seen.edit)
        edit = 1 + max((run.edit for run in mine if run.turn == last.turn), default=0)
        if code in (None, before):
            return Edited(own.model_copy(update={"code": before}), kept if dependencies is None else dependencies, edit)
        assert code is not None
        found = own if code == own.code else await asyncio.to_thread(_reread, own, code)
        return Edited(found, dependencies, edit)


def _nothing(message: str) -> GatewayError:
    return GatewayError(409, message, code="no_program")


def described(found: Found) -> dict[str, Any]:
    """A program, as clients are told of it before it has run."""
    return {
        "environment": found.environment,
        "language": found.language,
        "filename": found.filename,
        "dependencies": [one.model_dump(mode="json") for one in found.dependencies],
    }


def _reread(own: Found, code: str) -> Found:
    """The program with other code: what it imports now, in the same environment."""
    found = read_source(own.filename, code, environment=own.environment)
    if isinstance(found, NoProgram):
        return own.model_copy(update={"code": code})
    named = {(one.kind, one.name) for one in found.dependencies}
    asked = [one for one in own.dependencies if one.source == "install" and (one.kind, one.name) not in named]
    return found.model_copy(update={"filename": own.filename, "dependencies": (*found.dependencies, *asked)})
