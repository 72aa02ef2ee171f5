"""Send each question to the cheapest arm that will get it right, and know when one answer is not enough.

`fit` (module) learns a router from outcomes and evaluates it, `decide` (module) asks it, `explain` (module) tells why.
"""

from homespun.router.recorded_outcomes import outcomes_from

__all__ = ["outcomes_from"]
