"""Which votes count, and how much: the settings of BigCodeArena (arXiv:2510.08697, section 4 and appendix F.1).

The paper calls "language matched" once the programming language of the two answers and once the natural language of the
prompt; both are settings here. A vote whose columns don't say is in no matched setting: unknown is not equal.
"""

import polars as pl

from homespun.arena.votes_table import PROPENSITY, WEIGHT
from homespun.errors import DataError

SETTINGS: dict[str, str] = {
    "all": "",
    "environment": "environment",
    "code-language": "code_language",
    "natural-language": "natural_language",
}
"""Setting → stem of the two columns, ``stem_a`` and ``stem_b``, that must be equal; the empty stem asks for none."""


def columns_of(setting: str) -> tuple[str, ...]:
    """Columns that a setting compares."""
    stem = SETTINGS[setting]
    return (f"{stem}_a", f"{stem}_b") if stem else ()


def matched(frame: pl.DataFrame, setting: str) -> pl.DataFrame:
    """The votes of a setting.

    Raises:
        DataError: there are none.
    """
    columns = columns_of(setting)
    if not columns:
        return frame
    found = frame.filter(pl.col(columns[0]) == pl.col(columns[1]))
    if found.height == 0:
        raise DataError(f"no vote has equal {columns[0]} and {columns[1]}", "votes", "--setting all")
    return found


def weighed(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `WEIGHT`, one over the chance of the pair, mean 1, where the table has the column ``propensity``.

    So reweighted (Horvitz and Thompson 1952), votes of pairs that were drawn on purpose count as if every pair had been
    as likely as any other; without it, a model that mostly met its equals may look other than it is.

    Raises:
        DataError: a vote has no propensity, or one of zero.
    """
    if PROPENSITY not in frame.columns:
        return frame
    bad = frame.select((pl.col(PROPENSITY).is_null() | (pl.col(PROPENSITY) <= 0)).arg_true())[PROPENSITY]
    if len(bad):
        value = frame[PROPENSITY][int(bad[0])]
        raise DataError(f"row {bad[0]} has propensity {value}", "votes", "chances above 0, or no such column")
    inverse = 1 / pl.col(PROPENSITY)
    return frame.with_columns((inverse / inverse.mean()).alias(WEIGHT))
