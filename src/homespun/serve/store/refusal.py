"""What a client is told when a limit is reached, or when the books cannot say whether it is."""

import math
import time

from homespun.serve.gateway.types import NANO, GatewayError
from homespun.serve.store.keys import Limit
from homespun.serve.store.periods import window

_WHOSE = {"key": "This key's", "team": "The team's", "all": "The gateway's"}


def over(limit: Limit, need: int) -> GatewayError:
    """429: what is left of a limit does not cover a request.

    Requests and tokens come back when the window ends, and ``retry_after`` says when; money does not by waiting, and
    neither does what is more than the whole limit.
    """
    now = time.time()
    whose = f"{_WHOSE[limit.subject_kind]} limit of {amount(limit.unit, limit.amount)} {_per(limit)}"
    end = window(limit.period, now)[1]
    if need > limit.amount:
        what = f"{whose} is less than the {amount(limit.unit, need)} that this request may need; ask for fewer tokens."
        return _quota(what) if limit.unit == "nanodollars" else _rate(what, limit)
    if limit.unit == "nanodollars" or end == math.inf:
        return _quota(f"{whose} does not cover this request, which may need {amount(limit.unit, need)}.")
    return _rate(f"{whose} is used up; it begins anew in {math.ceil(end - now)} s.", limit, max(0.0, end - now))


def unavailable() -> GatewayError:
    """503: nothing can be set aside at the moment."""
    what = "The gateway cannot reach its books at the moment; try again."
    return GatewayError(503, what, kind="server_error", code="books_unavailable", retry_after=1.0)


def amount(unit: str, number: int) -> str:
    """An amount in words: ``$1.50``, ``60 requests``."""
    if unit != "nanodollars":
        return f"{number:,} {unit if number != 1 else unit[:-1]}"
    if number % (NANO // 100) == 0:
        return f"${number / NANO:,.2f}"
    return "$" + f"{number / NANO:,.9f}".rstrip("0")


def _per(limit: Limit) -> str:
    return "in all" if limit.period == "ever" else f"per {limit.period}"


def _quota(what: str) -> GatewayError:
    return GatewayError(429, what, kind="insufficient_quota", code="insufficient_quota")


def _rate(what: str, limit: Limit, retry_after: float | None = None) -> GatewayError:
    return GatewayError(429, what, kind=limit.unit, code="rate_limit_exceeded", retry_after=retry_after)
