"""Requests, checked to the last field; everything in them is hostile until it has been through here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

import orjson
from starlette.requests import Request

from homespun.errors import DataError
from homespun.records import Sampling
from homespun.sandbox.reply import Dependency, check_edit
from homespun.sandbox.reply.types import Asked
from homespun.serve.battle_room.config import Limits
from homespun.serve.battle_room.sessions import SIDES, Side
from homespun.serve.gateway.http import read_body
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.arena import Interaction

JSON = dict[str, Any]

MOST_BYTES = 2 * 2**20
ENVIRONMENTS: tuple[str, ...] = get_args(Asked)
KINDS = ("load", "resize", "keydown", "click", "scroll", "captureError")
"""Of interactions (bigcodearena, the wrapper page's messages)."""
MOST_RECORDS, PAYLOAD_BYTES = 500, 4096
MOST_DEPENDENCIES = 50


def wrong(message: str, code: str = "invalid") -> GatewayError:
    """422 with one line."""
    return GatewayError(422, message, code=code)


async def read(request: Request, fields: Sequence[str]) -> JSON:
    """The JSON object of a request.

    Args:
        request: Its body is read under a cap.
        fields: All that it may have.

    Raises:
        GatewayError: 400, 408, 413 or 422.
    """
    raw = await read_body(request.scope, cast(Any, request.receive), MOST_BYTES)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise GatewayError(400, "The body is not valid JSON.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise wrong("The body must be a JSON object.")
    for name in cast(JSON, body):
        if name not in fields:
            raise wrong(f"Unknown field {name[:40]!r}; there are {', '.join(fields)}.")
    return cast(JSON, body)


def text(value: Any, name: str, most: int, *, empty: bool = False) -> str:
    """A text of at most so many characters, that a database can hold.

    Raises:
        GatewayError: 422.
    """
    if not isinstance(value, str):
        raise wrong(f"{name!r} must be a text.")
    if len(value) > most:
        raise wrong(f"{name!r} has {len(value)} characters; at most {most} are allowed.", "too_long")
    if not empty and not value.strip():
        raise wrong(f"{name!r} is empty.", "empty")
    return value.replace("\0", "\ufffd").encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _one_of(value: Any, name: str, words: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in words:
        raise wrong(f"{name!r} must be one of {', '.join(words)}.")
    return value


def _list(value: Any, name: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise wrong(f"{name!r} must be a list.")
    found = cast("list[Any]", value)
    if len(found) > most:
        raise wrong(f"{name!r} has {len(found)} items; at most {most} are allowed.", "too_long")
    return found


def _number(value: Any, name: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong(f"{name!r} must be a number.")
    if not least <= value <= most:
        raise wrong(f"{name!r} must be from {least:g} to {most:g}.")
    return value


@dataclass(frozen=True, slots=True)
class Opening:
    """What a new session shall be."""

    mode: Literal["battle", "named", "direct"]
    models: tuple[str, ...]
    environment: str
    system_prompt: str | None
    sampling: Sampling


def opening(body: JSON, default: Sampling, limits: Limits) -> Opening:
    """Of ``POST /api/sessions``.

    Raises:
        GatewayError: 422.
    """
    mode = _one_of(body.get("mode"), "mode", ("battle", "named", "direct"))
    models = [text(name, "models", 200) for name in _list(body.get("models") or [], "models", 2)]
    if mode == "battle" and models:
        raise wrong("A battle draws its models; named battles are told them.")
    prompt = body.get("system_prompt")
    return Opening(
        cast(Any, mode),
        tuple(models),
        _one_of(body.get("environment", "auto"), "environment", ENVIRONMENTS),
        None if prompt is None else text(prompt, "system_prompt", limits.characters_direct, empty=True),
        _sampling(body.get("sampling"), default),
    )


def _sampling(value: Any, default: Sampling) -> Sampling:
    if value is None:
        return default
    if not isinstance(value, dict):
        raise wrong("'sampling' must be an object.")
    told = cast(JSON, value)
    if unknown := set(told) - {"temperature", "top_p", "max_tokens"}:
        raise wrong(f"Unknown field {min(unknown)[:40]!r} in 'sampling'.")
    change: JSON = {}
    if "temperature" in told:
        change["temperature"] = _number(told["temperature"], "temperature", 0, 2)
    if "top_p" in told:
        change["top_p"] = _number(told["top_p"], "top_p", 0.01, 1)
    if "max_tokens" in told:
        change["max_tokens"] = int(_number(told["max_tokens"], "max_tokens", 1, 32_768))
    return default.model_copy(update=change)


def sides(value: Any, allowed: Sequence[Side]) -> tuple[Side, ...]:
    """Which sides are meant; all of them unless told.

    Raises:
        GatewayError: 422.
    """
    if value is None:
        return tuple(allowed)
    found = {_one_of(side, "sides", allowed) for side in _list(value, "sides", len(SIDES))}
    if not found:
        raise wrong("'sides' is empty.", "empty")
    return tuple(side for side in SIDES if side in found)


def side(value: Any, allowed: Sequence[Side]) -> Side:
    """Which side is meant.

    Raises:
        GatewayError: 422.
    """
    return cast(Side, _one_of(value, "side", allowed))


def dependencies(value: Any) -> tuple[Dependency, ...] | None:
    """The edited table of packages; ``None``: as they are.

    Raises:
        GatewayError: 422 with the line of the check.
    """
    if value is None:
        return None
    return tuple(_dependency(one) for one in _list(value, "dependencies", MOST_DEPENDENCIES))


def _dependency(value: Any) -> Dependency:
    if not isinstance(value, dict):
        raise wrong("Each of 'dependencies' must be an object.")
    row = cast(JSON, value)
    kind, name, version = (text(row.get(key), key, 200) for key in ("kind", "name", "version"))
    try:
        return check_edit(kind, name, version)
    except DataError as error:
        raise wrong(str(error), "dependency") from None


def records(body: JSON) -> list[Interaction]:
    """Of ``POST /api/runs/{run}/interactions``.

    Raises:
        GatewayError: 422.
    """
    return [_record(one) for one in _list(body.get("records"), "records", MOST_RECORDS)]


def _record(value: Any) -> Interaction:
    if not isinstance(value, dict):
        raise wrong("Each of 'records' must be an object.")
    row = cast(JSON, value)
    payload = row.get("payload", {})
    if not isinstance(payload, dict) or _size(payload) > PAYLOAD_BYTES:
        raise wrong(f"'payload' must be an object of at most {PAYLOAD_BYTES} bytes.")
    kind = _one_of(row.get("type"), "type", KINDS)
    return Interaction(time=_time(row.get("time")), type=kind, payload=cast(JSON, payload))


def _time(value: Any) -> float:
    """Seconds since 1970, from a number or from ISO 8601."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError, OSError):
            raise wrong("'time' is no time; seconds since 1970, or as 2026-01-31T12:00:00Z.") from None
    return _number(value, "time", 0, 1e11)


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:  # orjson's own error is one
        raise wrong("'payload' is nested too deeply.") from None
