"""Who meets whom: the pairing of `homespun.arena.pairing`, with the settings and the votes of this room.

The active mode needs a fit of the votes so far. It is made in a thread, at most once in `REFIT_SECONDS` and only when
there are new votes; until votes connect the models, and in between, the pair is drawn by weight or by the last fit.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from homespun.arena.pairing import Config, Draw, Pairing
from homespun.arena.rank import BradleyTerry, Fit, fit
from homespun.arena.votes_table import Counts, count
from homespun.errors import DataError, HomespunError
from homespun.serve.battle_room.config import Arena
from homespun.serve.battle_room.contestants_types import Contestant
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.arena import Vote

log = logging.getLogger("homespun.arena")

REFIT_SECONDS = 5.0
_WINNER = {"a": "model_a", "b": "model_b", "tie": "tie", "both_bad": "both_bad"}


class Drawing:
    """Draws pairs.

    Args:
        arena: Weights, newcomers, outages, pairs that never meet, and the mode.
        contestants: Everyone who takes part.
        generator: Source of chance.
    """

    def __init__(
        self, arena: Arena, contestants: Mapping[str, Contestant], generator: np.random.Generator | None = None
    ) -> None:
        self._arena, self._contestants = arena, contestants
        self._chance = np.random.default_rng() if generator is None else generator
        self._told = {model.name: model for model in arena.model}
        self._votes = Counter[str]()
        self._rows: list[tuple[str, str, str]] = []
        self._fitted: tuple[Counts, Fit] | None = None
        self._seen, self._made = 0, -REFIT_SECONDS

    def counted(self, vote: Vote) -> None:
        """Takes note of a vote: newcomers are drawn more often, and void ones tell nothing of strength."""
        self._votes.update((vote.model_a, vote.model_b))
        if self._arena.pairing == "active" and not vote.void:
            self._rows.append((vote.model_a, vote.model_b, _WINNER[vote.winner]))

    async def draw(self, text: str) -> Draw:
        """A pair for a battle.

        Args:
            text: The prompt: contestants whose answers are on file take part only in what they know.

        Raises:
            GatewayError: 503, no two contestants may meet; 422, none that know an answer to this.
        """
        table = self.table([name for name, one in self._contestants.items() if knows(one, text)])
        if self._arena.pairing == "active":
            await self._refit()
            if self._fitted is not None:
                return table.draw_active(self._chance, *self._fitted)
        return table.draw(self._chance)

    def table(self, able: Sequence[str]) -> Pairing:
        """The pairs of the moment.

        Args:
            able: Contestants that can answer.

        Raises:
            GatewayError: 503 or 422, there is none.
        """
        if len(able) < 2 <= len(self._contestants):
            what = "Too few of the models here have an answer to this prompt; choose one of the examples."
            raise GatewayError(422, what, code="no_pair")
        try:
            return Pairing(
                able,
                weights={name: model.weight for name, model in self._told.items() if name in able},
                votes={name: self._standing(name) for name in able},
                outage=self._arena.outage,
                never_meet=self._arena.never_meet,
                config=Config(boost=self._arena.boost, enough=self._arena.enough),
            )
        except HomespunError as error:
            log.error("nobody can be drawn: %s", error)
            raise GatewayError(503, "No two models can meet at the moment; try later.", code="no_pair") from None

    def _standing(self, name: str) -> int:
        """Votes so far, or what makes it the newcomer that the settings say it is."""
        model = self._told.get(name)
        if model is None or model.newcomer is None:
            return self._votes[name]
        return 0 if model.newcomer else max(self._arena.enough, self._votes[name])

    async def _refit(self) -> None:
        now = time.monotonic()
        if len(self._rows) == self._seen or now - self._made < REFIT_SECONDS:
            return
        self._seen, self._made = len(self._rows), now
        rows = list(self._rows)
        try:
            self._fitted = await asyncio.to_thread(_fit, rows)
        except DataError:
            self._fitted = None  # some models have not met the others yet


def _fit(rows: Sequence[tuple[str, str, str]]) -> tuple[Counts, Fit]:
    counts = count(pl.DataFrame(rows, schema=["model_a", "model_b", "winner"], orient="row"))
    return counts, fit(counts, BradleyTerry())


def knows(contestant: Contestant, text: str) -> bool:
    """Whether a contestant can answer a first prompt: those whose answers are on file say so themselves."""
    asked = getattr(contestant, "knows", None)
    return asked is None or bool(asked([text]))
