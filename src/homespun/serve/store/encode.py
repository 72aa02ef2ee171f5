"""JSON for the journal: fast for what is usual, and never refusing what is not."""

import math
from typing import Any

import orjson
from pydantic import BaseModel


def encode(value: Any) -> bytes:
    """One line of JSON. Dataclasses and records become objects; what JSON cannot say is put into words."""
    try:
        return orjson.dumps(value, _record)
    except TypeError:  # a key that is no text, an integer beyond 64 bits, a broken character
        return orjson.dumps(_plain(value, 64))


def _record(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return value if abs(value) < 2**63 else math.copysign(2**63 - 1, value)
    if isinstance(value, float):
        return value
    if depth and isinstance(value, dict):
        return {_plain(str(key), 0): _plain(inner, depth - 1) for key, inner in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, depth - 1) for inner in value]
    if depth and isinstance(value, BaseModel):
        return _plain(value.model_dump(), depth - 1)
    if depth and hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name), depth - 1) for name in value.__dataclass_fields__}
    return str(value).encode("utf-8", "replace").decode()
