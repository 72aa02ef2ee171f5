"""What a call costs: a dated price table, a ledger that adds costs up, and a budget that is never exceeded.

Prices ship as ``data/prices/*.json``; each row says from when it holds, so that answers recorded in 2023 are
priced as of 2023 and a live call as of today. Prices are dollars per million tokens.
"""

import difflib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple, Self

from pydantic import ConfigDict, Field

from homespun.data import path
from homespun.errors import BudgetError, ConfigError
from homespun.records import Cost, Record

MILLION = 1_000_000


class Rates(Record):
    """Dollars per million tokens, one rate for each kind."""

    input: float = Field(ge=0)
    cached_input: float = Field(ge=0)
    output: float = Field(ge=0)

    def dollars(self, input_tokens: float, output_tokens: float, cached_tokens: float = 0) -> float:
        """Dollars of one call; ``cached_tokens`` is the part of ``input_tokens`` that was read from a cache."""
        cached = min(max(cached_tokens, 0), input_tokens)
        fresh = input_tokens - cached
        return (fresh * self.input + cached * self.cached_input + output_tokens * self.output) / MILLION


class LongRates(Rates):
    """The rates of a call with more than ``over`` input tokens, for providers that charge more for long prompts."""

    over: int = Field(gt=0)


class Price(Rates):
    """One row of the price table: what a model costs from a date on (``None``: as far back as is known)."""

    model_config = ConfigDict(populate_by_name=True)

    model: str
    provider: str
    since: date | None = Field(alias="from")
    long: LongRates | None = None
    source: str

    def rates(self, input_tokens: float) -> Rates:
        """The rates that hold for a call with that many input tokens."""
        return self.long if self.long is not None and input_tokens > self.long.over else self


class PriceTable(NamedTuple):
    """All rows by model, oldest first, and other names under which the models are known."""

    rows: dict[str, tuple[Price, ...]]
    aliases: dict[str, str]


@cache
def price_table() -> PriceTable:
    """The table that ships, read once."""
    rows: dict[str, list[Price]] = defaultdict(list)
    aliases: dict[str, str] = {}
    for file in sorted(path("prices").glob("*.json")):
        content: dict[str, Any] = json.loads(file.read_text())
        aliases |= content["aliases"]
        for row in content["rows"]:
            rows[row["model"]].append(Price.model_validate(row))
    ordered = {name: tuple(sorted(of, key=lambda row: row.since or date.min)) for name, of in rows.items()}
    return PriceTable(ordered, aliases)


def canonical_name(model: str) -> str:
    """The name under which ``model`` stands in the table: an alias, or the name without provider and version date.

    Raises:
        ConfigError: the table has no such model; the text names close ones.
    """
    table = price_table()
    unprefixed = model.partition(":")[2] or model
    bare = unprefixed.rsplit("/", 1)[-1]
    undated = re.sub(r"-(\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest)$", "", bare)
    for name in (model, unprefixed, bare, undated):
        name = table.aliases.get(name, name)
        if name in table.rows:
            return name
    close = difflib.get_close_matches(bare, [*table.rows, *table.aliases], n=3)
    raise ConfigError(f"no price is known for model {model[:80]!r}", "price table", ", ".join(close) or "another model")


def price(model: str, on: date | None = None) -> Price:
    """The price of ``model`` on a day (today unless given).

    Raises:
        ConfigError: unknown model, or a day before the first price that is known.
    """
    rows = price_table().rows[canonical_name(model)]
    day = on or datetime.now(UTC).date()
    valid = [row for row in rows if row.since is None or row.since <= day]
    if not valid:
        raise ConfigError(f"no price is known for {model!r} on {day}", "price table", f"a day from {rows[0].since} on")
    return valid[-1]


def cost(model: str, input_tokens: int, output_tokens: int, cached_tokens: int = 0, on: date | None = None) -> Cost:
    """Cost of one call by the price table; ``cached_tokens`` is a part of ``input_tokens``.

    Raises:
        ConfigError: as `price`.
    """
    rates = price(model, on).rates(input_tokens)
    dollars = rates.dollars(input_tokens, output_tokens, cached_tokens)
    return Cost(input_tokens=input_tokens, cached_tokens=cached_tokens, output_tokens=output_tokens, dollars=dollars)


class Ledger:
    """Adds costs up by model and stage; safe to use from several threads."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], Cost] = defaultdict(Cost)
        self._lock = threading.Lock()

    def add(self, spent: Cost, *, model: str, stage: str = "") -> None:
        """Enters one cost."""
        with self._lock:
            self._cells[model, stage] += spent

    @property
    def total(self) -> Cost:
        """Everything that was entered."""
        return Cost.total([spent for _, spent in self._entries()])

    def by_model(self) -> dict[str, Cost]:
        """Totals by model, sorted by name."""
        return self._grouped(lambda key: key[0])

    def by_stage(self) -> dict[str, Cost]:
        """Totals by stage, sorted by name."""
        return self._grouped(lambda key: key[1])

    def rows(self) -> list[dict[str, Any]]:
        """One row per model and stage, ready for a table."""
        return [{"model": model, "stage": stage} | spent.model_dump() for (model, stage), spent in self._entries()]

    def _entries(self) -> list[tuple[tuple[str, str], Cost]]:
        with self._lock:
            return sorted(self._cells.items(), key=lambda entry: entry[0])

    def _grouped(self, name: Callable[[tuple[str, str]], str]) -> dict[str, Cost]:
        groups: dict[str, Cost] = defaultdict(Cost)
        for key, spent in self._entries():
            groups[name(key)] += spent
        return dict(sorted(groups.items()))


class Reservation:
    """Dollars set aside for one call. Settle it with what the call really cost; leaving it unsettled frees it."""

    def __init__(self, budget: "Budget", dollars: Fraction) -> None:
        self._budget, self._dollars, self._open = budget, dollars, True

    def settle(self, dollars: float) -> None:
        """Replaces the reservation by what was really spent; a second call does nothing."""
        if self._open:
            self._open = False
            self._budget.exchange(self._dollars, Fraction(dollars))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.settle(0.0)


class Budget:
    """A number of dollars that calls reserve before they start and settle when they end; safe across threads.

    Sums are exact (fractions), so that ten thousand small costs neither drift past the limit nor stop short of it.
    """

    def __init__(self, dollars: float) -> None:
        if not 0 <= dollars < float("inf"):
            raise ConfigError(f"a budget of {dollars} dollars", "budget", "a finite number from 0")
        self.dollars = dollars
        self._limit, self._spent, self._reserved = Fraction(dollars), Fraction(0), Fraction(0)
        self._lock = threading.Lock()

    @property
    def spent(self) -> float:
        """Dollars of settled calls."""
        return float(self._spent)

    @property
    def reserved(self) -> float:
        """Dollars set aside for calls under way."""
        return float(self._reserved)

    @property
    def left(self) -> float:
        """Dollars that a new call may reserve."""
        return float(max(self._limit - self._spent - self._reserved, Fraction(0)))

    def reserve(self, dollars: float) -> Reservation:
        """Sets the most that a call can cost aside.

        Raises:
            BudgetError: it does not fit in what is left; nothing was reserved.
        """
        wanted = Fraction(dollars)
        with self._lock:
            if self._spent + self._reserved + wanted > self._limit:
                left = float(max(self._limit - self._spent - self._reserved, Fraction(0)))
                what = f"the next call may cost ${dollars:.6f}, ${left:.6f} of ${self.dollars:.6f} are left"
                raise BudgetError(what, "budget", "a larger budget, fewer samples or a smaller max_tokens")
            self._reserved += wanted
        return Reservation(self, wanted)

    def exchange(self, reserved: Fraction, spent: Fraction) -> None:
        """Gives a reservation back and books what was spent instead."""
        with self._lock:
            self._reserved -= reserved
            self._spent += spent
