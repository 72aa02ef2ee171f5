"""Personal data out of texts: addresses and account numbers become markers, and distinct ones are counted.

Apertus, section 3.1.2: e-mail, IP and IBAN are replaced in the text, not in mathematics and code, where what looks
like them is none. Here the forms are stricter where the released ones hit too much and wider where they miss
(`homespun.personal`). No document leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from homespun.corpus.documents import Batch, Judge, replaced
from homespun.errors import ConfigError
from homespun.personal import KINDS, Kind, redact
from homespun.personal.accounts import HINT as IBAN_HINT
from homespun.personal.addresses import HINT as IP_HINT
from homespun.personal.mail import HINT as EMAIL_HINT
from homespun.personal.numbers import HINT as ID_HINT

_HINTS: Mapping[Kind, str] = {"email": EMAIL_HINT, "ip": IP_HINT, "iban": IBAN_HINT, "id": ID_HINT}
_COLUMNS: Mapping[Kind, str] = {"email": "pii_email", "ip": "pii_ip", "iban": "pii_iban", "id": "pii_other"}


@dataclass(frozen=True, kw_only=True)
class Pii:
    """What is replaced, and where."""

    name: ClassVar[str] = "pii"
    version: ClassVar[int] = 1

    kinds: tuple[Kind, ...] = ("email", "ip", "iban")
    """``id`` besides: national identity numbers with a checksum; off as in the paper."""
    skip_sources: frozenset[str] = frozenset()
    """Sources left as they are: mathematics and code."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise ConfigError(f"{kind!r} is no kind of personal data", "Pii.kinds", ", ".join(KINDS))

    @property
    def files(self) -> Mapping[str, Path]:
        """None."""
        return {}

    def open(self) -> Judge:
        """The function: texts with markers, counts of distinct values beside those that were there before."""
        return self._judge

    def _judge(self, batch: Batch) -> Batch:
        text = cast(pl.Series, pl.from_arrow(batch["text"]))
        skipped = pc.is_in(batch["source"], pa.array(sorted(self.skip_sources), pa.string()))
        asked = ~np.asarray(skipped.to_numpy(), dtype=np.bool_) & text.is_not_null().to_numpy()
        hinted: dict[Kind, NDArray[np.bool_]] = {
            kind: text.str.contains(_HINTS[kind]).fill_null(False).to_numpy() & asked
            for kind in KINDS
            if kind in self.kinds
        }
        counts: dict[Kind, NDArray[np.int32]] = {kind: np.zeros(len(batch), dtype=np.int32) for kind in hinted}
        rows = np.flatnonzero(np.logical_or.reduce([*hinted.values(), np.zeros(len(batch), dtype=np.bool_)]))
        changed: list[int] = []
        texts: list[str] = []
        for row, written in zip(rows.tolist(), text.gather(rows).to_list(), strict=True):
            clean, found = redact(written, [kind for kind, hits in hinted.items() if hits[row]])
            for kind, count in found.items():
                counts[kind][row] = count
            if clean != written:
                changed.append(row)
                texts.append(clean)
        if changed:
            batch = replaced(batch, "text", _with(batch["text"], changed, texts))
        for kind, column in counts.items():
            before = batch[_COLUMNS[kind]]
            unknown = ~asked & np.asarray(pc.is_null(before).to_numpy(), dtype=np.bool_)
            total = cast(pl.Series, pl.from_arrow(before)).fill_null(0).to_numpy() + column
            batch = replaced(batch, _COLUMNS[kind], pa.array(total, pa.int32(), mask=unknown))
        return batch


def _with(column: "pa.ChunkedArray[Any]", rows: Sequence[int], texts: Sequence[str]) -> "pa.ChunkedArray[Any]":
    """The column with some of its texts changed."""
    mask = np.zeros(len(column), dtype=np.bool_)
    mask[list(rows)] = True
    whole = column.combine_chunks()
    return pa.chunked_array([pc.replace_with_mask(whole, pa.array(mask), pa.array(texts, pa.large_string()))])
