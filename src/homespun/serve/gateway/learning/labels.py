"""Labels: how good an answer was, and whose word counts when several speak.

Validators (code that ran, a schema, arithmetic) know; people say; a question asked anew tells; a judge guesses. Of the
labels of one answer those of the best source count, of one source the latest of each key, and of these the mean.
"""

import difflib
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from homespun.serve.gateway.routes.ask import awaits_tool, content_text

Row = Mapping[str, Any]
Source = Literal["validator", "feedback", "regeneration", "judge", "shadow"]
PRECEDENCE: Mapping[str, int] = {"validator": 0, "feedback": 1, "regeneration": 2, "judge": 3, "shadow": 3}
"""Lower speaks first; a shadow's label is a judge's word on an answer that nobody saw."""

WINDOW = 600.0
"""Seconds within which a repeated question speaks of the last answer."""
SIMILAR = 0.8
"""Ratio of `difflib` from which an edited question is the same question."""
AGAIN, EDITED = 0.0, 0.25
"""What asking again, and asking again in other words, says of the last answer."""
MAX_WORDS = 400
"""Words of a question that are compared."""
MOST_REPEATS = 3
"""Askings of one question within the window from which on it is a machine that repeats itself."""


class Label(NamedTuple):
    """What one answer is worth."""

    score: float
    source: Source
    inclusion: float | None = None
    """Of a shadow: the probability with which this arm was asked."""


def label_row(
    request_id: str, arm: str, source: Source, score: float, time: float,
    *, detail: str | None = None, key_id: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A row of ``labels``. The same words from the same mouth have the same id, so that they are kept once."""
    said = "\0".join((request_id, arm, source, key_id or "", repr(float(score)), detail or ""))
    return {
        "id": "lab-" + hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32],
        "request_id": request_id,
        "arm": arm,
        "time": time,
        "source": source,
        "score": float(score),
        "detail": detail,
        "key_id": key_id,
    }


def resolve(rows: Iterable[Row]) -> dict[tuple[str, str], Label]:
    """One label per (request, arm), whatever the order of the rows; rows of unknown sources are left out."""
    found: dict[tuple[str, str], dict[tuple[str, str | None], Row]] = {}
    for row in sorted(rows, key=lambda row: (row["time"], row["id"])):
        if row["source"] in PRECEDENCE:
            mouths = found.setdefault((row["request_id"], row["arm"]), {})
            mouths[row["source"], row["key_id"]] = row  # the latest of each key
    return {subject: _settled(mouths.values()) for subject, mouths in found.items()}


def _settled(rows: Iterable[Row]) -> Label:
    rows = list(rows)
    best = min(PRECEDENCE[row["source"]] for row in rows)
    counted = [row for row in rows if PRECEDENCE[row["source"]] == best]
    shadow = next((row for row in counted if row["source"] == "shadow"), None)
    speaker = shadow or counted[0]
    score = sum(row["score"] for row in counted) / len(counted)
    return Label(score, speaker["source"], inclusion_of(speaker["detail"]) if shadow else None)


def inclusion_detail(inclusion: float, how: str) -> str:
    """``detail`` of a shadow's label: how it was judged, and with which probability its arm was asked."""
    return f"{how}; inclusion={inclusion!r}"


def inclusion_of(detail: str | None) -> float | None:
    """The probability in such a detail; ``None`` where there is none to be read."""
    _, mark, number = (detail or "").rpartition("inclusion=")
    try:
        value = float(number) if mark else 0.0
    except ValueError:
        return None
    return value if 0.0 < value <= 1.0 else None


@dataclass(slots=True)
class _Asked:
    request_id: str
    arm: str
    words: tuple[int, ...]
    time: float
    """When its answer had come."""
    times: int = 1


class Regenerations:
    """Notices a question that is asked again. Keeps hashes of words for some minutes, and no text.

    The same words are found however many other questions came between; an edited question is held against the last one
    at its place in a conversation.
    """

    def __init__(self, *, window: float = WINDOW, similar: float = SIMILAR, capacity: int = 20_000) -> None:
        self.window, self.similar, self.capacity = window, similar, capacity
        self._same: OrderedDict[tuple[str, int], _Asked] = OrderedDict()
        self._last: OrderedDict[str, _Asked] = OrderedDict()

    def __len__(self) -> int:
        return len(self._same)

    def observe(
        self, request_id: str, key_id: str | None, arm: str, messages: Sequence[Any], asked: float, answered: float
    ) -> dict[str, Any] | None:
        """Takes a request that was answered; gives a label of the answer before, if this one speaks of it.

        Args:
            request_id: Of this request.
            key_id: Who asked; questions of different keys are never compared.
            arm: Whose answer was given.
            messages: What was asked. Turns before the last of the user name the place in a conversation.
            asked: Seconds since 1970.
            answered: The same, of the end.
        """
        place, words = _place(key_id, messages)
        if place is None or not words:
            return None
        before = self._same.pop((place, hash(words)), None) or self._last.get(place)
        now = _Asked(request_id, arm, words, answered)
        self._remember(place, now)
        if before is None or not 0.0 <= asked - before.time <= self.window:  # not later than the answer: in parallel
            return None
        ratio = _likeness(before.words, words, self.similar)
        if ratio < self.similar:
            return None
        now.times = before.times + 1
        if now.times > MOST_REPEATS:
            return None
        score, detail = (AGAIN, "asked again") if ratio == 1.0 else (EDITED, f"asked anew, {ratio:.2f} alike")
        return label_row(before.request_id, before.arm, "regeneration", score, answered, detail=detail, key_id=key_id)

    def _remember(self, place: str, now: _Asked) -> None:
        self._last.pop(place, None)
        self._last[place] = self._same[place, hash(now.words)] = now
        for kept in (self._same, self._last):
            while len(kept) > self.capacity:
                kept.popitem(last=False)


def _place(key_id: str | None, messages: Sequence[Any]) -> tuple[str | None, tuple[int, ...]]:
    """Hash of everything before the last turn of the user, and hashes of that turn's words."""
    turns = [turn for turn in messages if isinstance(turn, dict)]
    last = max((i for i, turn in enumerate(turns) if turn.get("role") == "user"), default=None)
    if last is None or last != len(turns) - 1 or awaits_tool({"messages": turns}):
        return None, ()
    digest = hashlib.blake2b(repr(key_id).encode(), digest_size=16)
    for turn in turns[:last]:
        text = f"\0{turn.get('role')}\0{content_text(turn.get('content'))}\0{bool(turn.get('tool_calls'))}"
        digest.update(text.encode("utf-8", "surrogatepass"))
    words = content_text(turns[last].get("content")).casefold().split()
    return digest.hexdigest(), tuple(map(hash, words[:MAX_WORDS]))


def _likeness(left: tuple[int, ...], right: tuple[int, ...], wanted: float) -> float:
    """Ratio of `difflib`, or a lower bound of it that is enough: words in common at both ends are counted first."""
    if left == right:
        return 1.0
    total, least = len(left) + len(right), min(len(left), len(right))
    if 2 * least < wanted * total:
        return 0.0
    head = next((i for i in range(least) if left[i] != right[i]), least)
    tail = next((i for i in range(least - head) if left[-1 - i] != right[-1 - i]), least - head)
    ratio = 2.0 * (head + tail) / total
    if ratio < wanted:
        matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
        ratio = matcher.ratio() if matcher.quick_ratio() >= wanted else 0.0
    return min(ratio, 1.0 - 1e-9)  # other words in the same order: an edit, not a repetition
