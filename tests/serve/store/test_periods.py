"""Windows against the calendar of the standard library."""

from datetime import UTC, datetime, timedelta
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from homespun.serve.store.periods import PERIODS, window

moments = st.floats(2.7e6, 7.2e9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(moments)
def test_windows_are_those_of_the_calendar(moment: datetime) -> None:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {
        "minute": moment.replace(second=0, microsecond=0),
        "hour": moment.replace(minute=0, second=0, microsecond=0),
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
    }
    for period in PERIODS:
        start, end = window(period, moment.timestamp())
        assert start <= moment.timestamp() < end
        if period == "ever":
            assert (start, end) == (0, inf)
        else:
            assert start == starts[period].timestamp()
            assert window(period, end)[0] == end
            assert window(period, start) == (start, end)
