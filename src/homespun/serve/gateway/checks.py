"""Checks of JSON by hand: small functions that take a value and the name of its place, and raise at the first fault.

Built once into the checks of whole requests (`schema`), they cost a fraction of a microsecond each.
"""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

from homespun.serve.gateway.types import GatewayError

Check = Callable[[Any, str], None]
Inner = Callable[[dict[str, Any], str], None]


def wrong(param: str, what: str, code: str | None = None) -> NoReturn:
    """Refuses the value at ``param``.

    Raises:
        GatewayError: 400, always.
    """
    raise GatewayError(400, f"Invalid {param!r}: {what}.", param=param, code=code or "invalid_value")


def _type(value: object) -> str:
    names: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a number",
    }
    return "null" if value is None else names.get(type(value), "something else")


def expected(param: str, wanted: str, value: object) -> NoReturn:
    """Refuses a value of another type."""
    wrong(param, f"expected {wanted}, got {_type(value)}", "invalid_type")


def string(value: Any, param: str) -> None:
    """A string."""
    if type(value) is not str:
        expected(param, "a string", value)


def name(value: Any, param: str) -> None:
    """A non-empty string."""
    if type(value) is not str or not value:
        expected(param, "a non-empty string", value)


def boolean(value: Any, param: str) -> None:
    """True or false."""
    if type(value) is not bool:
        expected(param, "a boolean", value)


def object_(value: Any, param: str) -> None:
    """An object."""
    if type(value) is not dict:
        expected(param, "an object", value)


def integer(least: int, most: int) -> Check:
    """An integer from ``least`` to ``most``; 1.0 is none."""

    def check(value: Any, param: str) -> None:
        if type(value) is not int:
            expected(param, "an integer", value)
        if not least <= value <= most:
            wrong(param, f"expected {least} to {most}, got {value}")

    return check


def number(least: float, most: float) -> Check:
    """A number from ``least`` to ``most``."""

    def check(value: Any, param: str) -> None:
        if type(value) is not float and type(value) is not int:
            expected(param, "a number", value)
        if not least <= value <= most:
            wrong(param, f"expected {least} to {most}, got {value}")

    return check


def one_of(*words: str) -> Check:
    """One of the words."""

    def check(value: Any, param: str) -> None:
        if type(value) is not str or value not in words:
            wrong(param, f"expected one of {', '.join(words)}")

    return check


def list_(value: Any, param: str, *, most: int | None = None, empty: bool = False) -> list[Any]:
    """A list, which may be empty only if told so; returns it."""
    if type(value) is not list:
        expected(param, "a list", value)
    found = cast(list[Any], value)
    if not found and not empty:
        wrong(param, "it is empty", "empty_array")
    if most is not None and len(found) > most:
        wrong(param, f"at most {most} are allowed, got {len(found)}", "array_above_max_length")
    return found


def list_of(check: Check, *, most: int | None = None, empty: bool = False) -> Check:
    """A list whose items all pass."""

    def check_all(value: Any, param: str) -> None:
        for position, one in enumerate(list_(value, param, most=most, empty=empty)):
            check(one, f"{param}[{position}]")

    return check_all


def typed(kinds: dict[str, Inner]) -> Check:
    """An object with a ``type``; those listed are looked into, others pass."""

    def check(value: Any, param: str) -> None:
        object_(value, param)
        name(value.get("type"), f"{param}.type")
        if (inner := kinds.get(value["type"])) is not None:
            inner(value, param)

    return check


def fields(body: Any, required: Sequence[str], checks: dict[str, Check]) -> None:
    """The fields of a request; ``null`` stands for a field left out."""
    for name in required:
        if body.get(name) is None:
            raise GatewayError(
                400, f"Missing required parameter: {name!r}.", param=name, code="missing_required_parameter"
            )
    find = checks.get
    for name, value in body.items():
        if value is not None and (check := find(name)) is not None:
            check(value, name)


def needs(**checks: Check) -> Inner:
    """Fields of what is known to be an object; a missing one is checked as null."""

    def check(value: dict[str, Any], param: str) -> None:
        for name, inner in checks.items():
            inner(value.get(name), f"{param}.{name}")

    return check


def optional(check: Check) -> Check:
    """What passes, or null."""

    def checked(value: Any, param: str) -> None:
        if value is not None:
            check(value, param)

    return checked


def shape(**checks: Check) -> Check:
    """An object with these fields, and any others."""
    inner = needs(**checks)

    def check(value: Any, param: str) -> None:
        object_(value, param)
        inner(value, param)

    return check
