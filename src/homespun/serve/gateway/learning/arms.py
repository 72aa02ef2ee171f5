"""A new model among the arms of a fitted router: known by its price at first, by shadows then, asked only after that.

Its expected score is that of the arm nearest in price, its expected cost that arm's times the ratio of the prices. In
every cell it has no outcome, so it is not eligible anywhere: no client gets its answers before shadow queries, spread
evenly over the cells, have told how it fares and a refit that counts them has passed the gate.
"""

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homespun.errors import ConfigError
from homespun.router.learned import Predictor
from homespun.router.policy import Knowledge
from homespun.router.regressors import Regressor, Ridge
from homespun.router.store import RouterFolder
from homespun.router.taxonomy import CellTable

Floats = NDArray[np.float64]

QUERIES = 200
"""Shadow queries that a new arm gets, stratified by cell."""


def with_arm(router: RouterFolder, arm: str, prices: Mapping[str, float], path: Path, version: str) -> RouterFolder:
    """The router with one more arm, the last; not yet saved.

    Args:
        router: The live router.
        arm: The new arm.
        prices: Expected dollars of a typical call, of the new arm and of the old ones.
        path: Folder of the router to be.
        version: Its version.

    Raises:
        ConfigError: the arm is there already, no price is known to go by, or the predictor is of a kind that cannot be
            extended (only ridge can).
    """
    knowledge = router.knowledge
    if arm in knowledge.arms or arm not in prices:
        raise ConfigError(f"arm {arm!r} is there already, or has no price", "router", "an arm that is new")
    like = nearest(arm, [known for known in knowledge.arms if known in prices], prices)
    j = knowledge.arms.index(like)
    ratio = prices[arm] / prices[like] if prices[like] > 0 else 1.0
    made = Knowledge(
        arms=(*knowledge.arms, arm),
        reference=knowledge.reference,
        predictor=_predictor(knowledge.predictor, j),
        classifier=knowledge.classifier,
        table=_table(knowledge.table, j, ratio),
        centre=knowledge.centre,
        plans=knowledge.plans,  # they name arms by number, and know nothing of the last one
    )
    old = router.origin["fingerprint"]
    origin = {"base": old, **router.origin, "fingerprint": version, "parent": old, "new": arm, "like": like}
    return replace(router, path=path, knowledge=made, origin=origin)


def nearest(arm: str, known: list[str], prices: Mapping[str, float]) -> str:
    """The known arm whose price is nearest in ratio.

    Raises:
        ConfigError: no known arm has a price.
    """
    if not known:
        raise ConfigError(f"no price to place {arm!r} by", "router", "a price for the targets")

    def distance(other: str) -> tuple[float, str]:
        return abs(math.log((prices[arm] + 1e-12) / (prices[other] + 1e-12))), other

    return min(known, key=distance)


def wanted(counts: Mapping[str, int], cells: int, cell: str, *, queries: int = QUERIES) -> bool:
    """Whether a new arm still needs a shadow query in this cell.

    Args:
        counts: Shadow queries so far per cell.
        cells: How many cells there are.
        cell: The most probable cell of the request at hand.
        queries: How many are wanted in all.
    """
    return sum(counts.values()) < queries and counts.get(cell, 0) < math.ceil(queries / max(cells, 1))


def _predictor(old: Predictor, j: int) -> Predictor:
    if tuple(old.config.kinds) != ("ridge",):
        raise ConfigError(
            f"a predictor of {', '.join(old.config.kinds)}", "router", "homespun route fit with the new arm"
        )
    made = copy(old)
    ridge = Ridge(old.ridge.penalty)
    ridge.coefficients_DK = np.column_stack([old.ridge.coefficients_DK, old.ridge.coefficients_DK[:, j]])
    ridge.intercept_K = np.append(old.ridge.intercept_K, old.ridge.intercept_K[j])
    ridge.spread_K = np.append(old.ridge.spread_K, old.ridge.spread_K.max())
    ridge.centre_D, ridge.inverse_DD = old.ridge.centre_D, old.ridge.inverse_DD
    regressors: list[Regressor] = [ridge]
    made.ridge, made.regressors = ridge, regressors
    made.knots = [*old.knots, old.knots[j].copy()]
    return made


def _table(old: CellTable, j: int, ratio: float) -> CellTable:
    """One more column, empty but for one guessed outcome of the parent, of which every cell borrows."""

    def column(total: Floats, scale: float) -> Floats:
        found = np.zeros(len(total))
        found[-1] = scale * total[-1, j] / max(float(old.n[-1, j]), 1e-12)
        return found

    n = np.zeros(len(old.n))
    n[-1] = 1.0
    return CellTable(
        cells=old.cells,
        n=np.column_stack([old.n, n]),
        wins=np.column_stack([old.wins, column(old.wins, 1.0)]),
        dollars=np.column_stack([old.dollars, column(old.dollars, ratio)]),
    )
