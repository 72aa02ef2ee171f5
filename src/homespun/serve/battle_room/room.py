"""One live session: a task for each side at work, and the gate that opens when all of them are done.

The two sides work apart: each streams its reply, reads the program out of it and has it run. What a run gave is held
here, not in the feed, until the last side is ready; `sessions` says why. Every way out of a side's task, failures and
cancellation included, makes that side ready, so that no gate stays closed.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from homespun.records import Sampling
from homespun.sandbox.reply import Dependency, Found, NoProgram
from homespun.serve.battle_room.config import Limits
from homespun.serve.battle_room.contestants_types import Contestant
from homespun.serve.battle_room.evidence import Evidence, Subject, Witness
from homespun.serve.battle_room.executions import Order, Shown, Stage
from homespun.serve.battle_room.feed import Feed
from homespun.serve.battle_room.generation import Answer, answer, conversation
from homespun.serve.battle_room.programs import Programs, described
from homespun.serve.battle_room.sessions import SIDES, Side, State
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.arena import RunRow, SessionRow

log = logging.getLogger("homespun.arena")


def refuse(message: str, code: str, status: int = 409) -> GatewayError:
    """What a client is told when a session is not in the state for what it asks."""
    return GatewayError(status, message, code=code)


class Room:
    """A session in memory.

    Args:
        row: The session.
        feed: Its events.
        contestants: Who answers, by side; a side whose contestant has left, or is not drawn yet, is missing.
        stage: Where programs run.
        limits: What a session may use.
        runs: Its runs so far.
    """

    def __init__(
        self,
        row: SessionRow,
        feed: Feed,
        contestants: Mapping[Side, Contestant],
        stage: Stage,
        limits: Limits,
        runs: Sequence[RunRow] = (),
    ) -> None:
        self.row, self.feed = row, feed
        self.runs = {run.run: run for run in runs}
        self.urls: dict[str, str] = {}
        """Origins of the apps that are open, by run."""
        self.lock = asyncio.Lock()
        """Held while its models are drawn, and while a vote is given."""
        self.witness = Witness()
        """Finds out what a vote is kept with, ahead of it."""
        self.looked = time.monotonic()
        """When anybody looked last."""
        self._contestants, self._stage, self._limits = contestants, stage, limits
        self._tasks: dict[Side, asyncio.Task[None]] = {}
        self._ready: dict[Side, tuple[float | None, Shown | None]] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._programs = Programs(row.environment)
        self._reading = False

    @property
    def state(self) -> State:
        """What it has come to."""
        return self.feed.state

    def cast(self, row: SessionRow, contestants: Mapping[Side, Contestant]) -> None:
        """Takes in who answers, once that is settled."""
        self.row, self._contestants = row, contestants

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that this mode has."""
        return SIDES[:1] if self.row.mode == "direct" else SIDES

    # --- what the one who opened it may do -------------------------------------------------------------------------

    def turn(self, text: str, sides: Sequence[Side]) -> None:
        """Asks something of these sides.

        Raises:
            GatewayError: 409, it cannot be asked now.
        """
        self._open_for_turns()
        if self.state.turns >= self._limits.turns:
            raise refuse(f"A session has at most {self._limits.turns} turns; start a new one.", "too_many_turns")
        self._begin(self.state.turns + 1, text, sides)

    def regenerate(self, sides: Sequence[Side]) -> None:
        """Asks these sides their last question again.

        Raises:
            GatewayError: 409, there is nothing to be asked again.
        """
        self._open_for_turns()
        last = {side: self.state.pane(side).turns[-1] for side in sides if self.state.pane(side).turns}
        if len(last) < len(sides) or len({(turn.turn, turn.user) for turn in last.values()}) != 1:
            raise refuse("These sides have no last question in common; regenerate one of them.", "nothing_to_repeat")
        again = last[sides[0]]
        self._begin(again.turn, again.user, sides)

    async def rerun(self, side: Side, code: str | None, dependencies: tuple[Dependency, ...] | None) -> None:
        """Runs a side's program again, as edited.

        Raises:
            GatewayError: 409, there is no program, or it is at work.
        """
        if self.state.pane(side).busy or self.state.gated or self._reading:
            raise refuse("This side is still at work; stop it first.", "busy")
        self._reading = True  # nothing else begins while the program is read
        try:
            pane = self.state.pane(side)
            found, wanted, edit = await self._programs.edited(side, pane, self.runs.values(), code, dependencies)
        finally:
            self._reading = False
        order = self._order(side, found, edit, wanted)
        self.feed.append("run", side, {"run": order.run, "state": "waiting"})
        self._start(side, self._rerun(order))

    def stop(self, sides: Sequence[Side]) -> None:
        """Ends what these sides are at; what is there of it stays."""
        for side in sides:
            if (task := self._tasks.get(side)) is not None:
                task.cancel()

    def _open_for_turns(self) -> None:
        if self.state.busy or self._tasks or self._reading:
            raise refuse("An answer or a program is still at work; wait, or stop it.", "busy")
        if self.row.mode == "battle" and self.state.vote is not None:
            raise refuse("The vote has been given and the names are known; start a new battle.", "voted")

    # --- a side at work --------------------------------------------------------------------------------------------

    def _begin(self, turn: int, text: str, sides: Sequence[Side]) -> None:
        for side in sides:
            self._close_later(self.state.pane(side).run)
        self._ready.clear()
        self.feed.append("turn", None, {"turn": turn, "text": text, "sides": list(sides)})
        for side in sides:
            self._start(side, self._play(side, turn))

    def _start(self, side: Side, work: Any) -> None:
        task = self._tasks[side] = asyncio.create_task(work)
        task.add_done_callback(lambda done: self._ended(side, done))

    def _ended(self, side: Side, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(side) is task:
            del self._tasks[side]
        gated = side in self.state.gated
        if (gated and side not in self._ready) or (not gated and self.state.pane(side).busy):
            # stopped before its first step
            self.feed.append("failed", side, {"turn": self.state.turns, "message": "Stopped."})
            if gated:
                self._done(side, None, None)

    async def _play(self, side: Side, turn: int) -> None:
        seconds, shown = None, None
        try:
            answered = await self._answer(side, turn)
            seconds = answered.seconds
            if answered.error is None:
                shown = await self._run(side, turn, answered.text)
        except asyncio.CancelledError:
            self.feed.append("failed", side, {"turn": turn, "message": "Stopped."})
        except Exception:  # whatever it is: the gate must open, and the trace is in the log
            log.exception("session %s, side %s", self.row.id, side)
            self.feed.append("failed", side, {"turn": turn, "message": "The server failed here; regenerate."})
        finally:
            self._done(side, seconds, shown)

    async def _answer(self, side: Side, turn: int) -> Answer:
        contestant = self._contestants.get(side)
        if contestant is None:
            gone = "This model does not take part any more; start a new session."
            self.feed.append("failed", side, {"turn": turn, "message": gone})
            return Answer(text="", finish=None, started=time.time(), seconds=0.0, error=gone)
        answered = await answer(
            contestant,
            conversation(self.row.system_prompt, self.state.pane(side).turns),
            Sampling.model_validate(dict(self.row.sampling)),
            seconds=self._limits.generation_seconds,
            characters=self._limits.reply,
            tell=lambda text: self.feed.append("delta", side, {"turn": turn, "text": text}, stored=False),
        )
        if answered.text:
            self.feed.append("generated", side, {"turn": turn, "text": answered.text, **_told(answered)})
        if answered.error is not None:
            self.feed.append("failed", side, {"turn": turn, "message": answered.error})
        return answered

    async def _run(self, side: Side, turn: int, text: str) -> Shown | None:
        found = await self._programs.read(side, text)
        if isinstance(found, NoProgram):
            self.feed.append("no_program", side, {"turn": turn, "reason": f"Nothing to run: {found.reason}."})
            return None
        self.feed.append("found", side, {"turn": turn, **described(found)})
        return await self._stage.play(self._order(side, found, 0, None), _silent)

    def _done(self, side: Side, seconds: float | None, shown: Shown | None) -> None:
        self._ready[side] = (seconds, shown)
        if any(side not in self._ready for side in self.state.gated):
            return
        ready, self._ready = self._ready, {}
        times = {side: seconds for side, (seconds, _) in sorted(ready.items())}
        self.feed.append("shown", None, {"turn": self.state.turns, "seconds": times})
        for each, (_, shown) in sorted(ready.items()):
            if shown is not None:
                self._show(each, shown)
        self.look_ahead()

    # --- programs --------------------------------------------------------------------------------------------------

    async def _rerun(self, order: Order) -> None:
        def say(stream: str, text: str) -> None:
            if stream in ("build", "run") and self.state.pane(order.side).busy:
                state = "building" if stream == "build" else "running"
                if state != self.state.pane(order.side).phase:
                    self.feed.append("run", order.side, {"run": order.run, "state": state}, stored=False)
            if text:
                told = "build" if stream == "run" else stream
                self.feed.append("log", order.side, {"run": order.run, "stream": told, "text": text}, stored=False)

        shown = await self._stage.play(order, say)
        self._close_later(self.state.pane(order.side).run)
        self._show(order.side, shown)
        self.look_ahead()

    def _show(self, side: Side, shown: Shown) -> None:
        row = shown.row
        self.runs[row.run] = row
        if shown.url is not None:
            self.urls[row.run] = shown.url
        self.feed.append("ran", side, {"turn": row.turn, "run": row.run, "edit": row.edit, "status": row.status})
        if shown.url is not None and not row.screenshots:
            task = asyncio.create_task(self._look(row))
            self._looks.add(task)
            task.add_done_callback(self._looks.discard)

    async def _look(self, row: RunRow) -> None:
        """Pictures of a page are taken once people see it: nobody waits for them."""
        looked = await self._stage.look(row)
        if looked is not row:
            self.runs[row.run] = looked
            self.feed.append("looked", row.side, {"run": row.run}, stored=False)
            self.look_ahead()

    def _order(self, side: Side, found: Found, edit: int, wanted: tuple[Dependency, ...] | None) -> Order:
        return Order(
            run=f"r{token_hex(10)}",
            session=self.row.id,
            side=side,
            turn=self.state.pane(side).turns[-1].turn,
            edit=edit,
            round=1 + sum(run.side == side for run in self.runs.values()),
            found=found,
            dependencies=wanted,
        )

    # --- what a vote is about --------------------------------------------------------------------------------------

    def subject(self) -> Subject:
        """The session as a vote would find it."""
        panes = self.state.a, self.state.b
        named = {"a": self.row.model_a, "b": self.row.model_b or ""}
        titles = [one.title if (one := self._contestants.get(side)) else named[side] for side in SIDES]
        return Subject(
            mode=self.row.mode,
            a=self._evidence("a", self.row.model_a),
            b=self._evidence("b", self.row.model_b or ""),
            prompts=tuple(turn.user for turn in max(panes, key=lambda pane: len(pane.turns)).turns),
            names=tuple(titles),
        )

    def _evidence(self, side: Side, model: str) -> Evidence:
        pane = self.state.pane(side)
        run = self.runs.get(pane.run) if pane.run is not None else None
        return Evidence(model=model, replies=tuple(turn.reply for turn in pane.turns), run=run)

    def look_ahead(self) -> None:
        """Has what a vote would be kept with found out, if there may be one now."""
        if self.row.mode != "direct" and self.state.can_vote:
            self.witness.look(self.subject())

    # --- apps and the end ------------------------------------------------------------------------------------------

    def _close_later(self, run: str | None) -> None:
        if run is not None and self.urls.pop(run, None) is not None:
            task = asyncio.create_task(self._stage.close(run))
            _closing.add(task)
            task.add_done_callback(_closing.discard)

    def close_apps(self) -> None:
        """Closes its apps; pictures stay."""
        for run in list(self.urls):
            self._close_later(run)
            self._tell_closed(run)

    def app_closed(self, run: str) -> None:
        """Takes note that an app is closed already."""
        if self.urls.pop(run, None) is not None:
            self._tell_closed(run)

    def _tell_closed(self, run: str) -> None:
        self.feed.append("closed", self.runs[run].side, {"run": run}, stored=False)

    @property
    def at_work(self) -> bool:
        """Whether anything of it runs."""
        return bool(self._tasks) or self._reading

    @property
    def held(self) -> bool:
        """Whether something would be lost if it left the memory."""
        return bool(self.urls) or self.at_work or self.lock.locked()

    async def settled(self) -> None:
        """Waits until nothing of it is at work and everything is written."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        await self.feed.saved()

    async def close(self) -> None:
        """Stops what is at work, closes its apps, lets readers go."""
        self.stop(SIDES)
        await self.settled()
        for task in self._looks:
            task.cancel()
        await asyncio.gather(*self._looks, return_exceptions=True)
        self.close_apps()
        self.feed.end()
        await asyncio.gather(*_closing, return_exceptions=True)


_closing: set["asyncio.Task[None]"] = set()
"""Apps that are being closed; the loop itself keeps no strong reference."""


def _told(answered: Answer) -> dict[str, Any]:
    """What is kept of an answer beside its text; `sessions.PRIVATE` keeps most of it from clients."""
    return {
        "finish": answered.finish or "error",
        "seconds": answered.seconds,
        "started": answered.started,
        "input_tokens": answered.cost.input_tokens,
        "output_tokens": answered.cost.output_tokens,
        "dollars": answered.cost.dollars,
    }


def _silent(stream: str, text: str) -> None:
    """Before the gate opens nothing of a run is told."""
