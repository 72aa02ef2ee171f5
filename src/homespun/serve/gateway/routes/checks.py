"""J1, the hard checks: what is certainly wrong with an answer, whoever gave it.

EMAFusion §5: empty, truncated, refused, against its schema, tool arguments that fit no tool, code that does not
compile, sums that do not hold. A check that finds nothing to look at is silent; a failure vetoes the answer.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jsonschema_rs

from homespun.router.judges import Check, check_json, check_python, check_sums
from homespun.serve.gateway.routes.answers import Answer
from homespun.serve.gateway.routes.ask import Body

LONGEST = 20_000
"""Characters of an answer that are checked for code and sums."""
_FENCE = re.compile(r"^```(?:python|py)[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_REFUSAL = re.compile(
    r"(?:i['’]m sorry|i am sorry|sorry|i apologi[sz]e)?[,.;:]?\s*(?:but\s+)?"
    r"(?:i\s+(?:can(?:no|['’])t|am unable to|am not able to|won['’]t)|as\s+an\s+ai[^.]{0,60}i can(?:no|['’])t)"
    r"\s+(?:help|assist|answer|comply|provide|do that|fulfil+)",
    re.IGNORECASE,
)

Validator = Callable[[Any], str | None]


def hard_checks(request: Body, answer: Answer) -> list[Check]:
    """All checks of one answer to one request, cheap before dear; the last one is the first that failed, if one did."""
    found: list[Check] = []
    for check in (_there, _whole, _willing, _form, _tools, _code, _sums):
        found.append(check(request, answer))
        if found[-1].passed is False:
            break
    return found


def veto(checks: list[Check]) -> str | None:
    """Why the answer cannot stand; ``None``: nothing speaks against it."""
    return checks[-1].reason if checks and checks[-1].passed is False else None


def _there(request: Body, answer: Answer) -> Check:
    there = bool(answer.text.strip() or answer.calls or answer.refusal)
    return Check(None if there else False, "there is an answer" if there else "empty")


def _whole(request: Body, answer: Answer) -> Check:
    asked_for = request.get("max_tokens") is not None or request.get("max_completion_tokens") is not None
    if answer.finish == "length" and not asked_for:  # a length that the client chose is no fault of the answer
        return Check(False, "truncated by its length")
    return Check(None, "whole")


def _willing(request: Body, answer: Answer) -> Check:
    refused = answer.refusal is not None or answer.finish == "content_filter"
    refused = refused or (len(answer.text) < 400 and _REFUSAL.match(answer.text.strip()) is not None)
    return Check(False if refused else None, "refused" if refused else "no refusal")


def _form(request: Body, answer: Answer) -> Check:
    form = request.get("response_format")
    kind = form.get("type") if isinstance(form, dict) else None
    if kind not in ("json_object", "json_schema") or (answer.calls and not answer.text):
        return Check(None, "no form was asked for")
    if kind == "json_object":
        return check_json(answer.text)
    wanted = form.get("json_schema") if isinstance(form, dict) else None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    try:
        content = json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        return Check(False, f"no JSON: {error}")
    fault = _against(schema, content)
    return Check(fault is None, fault or "fits its schema")


def _tools(request: Body, answer: Answer) -> Check:
    offered = _offered(request)
    forced = request.get("tool_choice")
    if not answer.calls:
        must = forced == "required" or isinstance(forced, dict)
        return Check(False if offered and must else None, "called no tool" if offered and must else "no tool call")
    for call in answer.calls:
        if (fault := _call_fault(call, offered)) is not None:
            return Check(False, fault)
    return Check(True, f"{len(answer.calls)} tool calls fit their parameters")


def _offered(request: Body) -> dict[str, Any]:
    tools = request.get("tools")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return {str(each.get("name")): each.get("parameters") for each in functions if isinstance(each, dict)}


def _call_fault(call: Body, offered: dict[str, Any]) -> str | None:
    function = call.get("function")
    if not isinstance(function, dict):
        return None  # another kind of tool, whose arguments are not ours to know
    name, arguments = str(function.get("name")), function.get("arguments")
    if name not in offered:
        return f"no tool is called {name[:40]!r}"
    try:
        content = json.loads(arguments) if isinstance(arguments, str) and arguments.strip() else {}
    except (ValueError, RecursionError):
        return f"arguments of {name[:40]!r} are no JSON"
    fault = _against(offered[name], content)
    return None if fault is None else f"arguments of {name[:40]!r}: {fault}"


def _against(schema: Any, content: Any) -> str | None:
    """What of the content breaks the schema; a schema that is none, or cannot be followed, asks for nothing."""
    if not isinstance(schema, dict):
        return None
    return _validator(json.dumps(schema, sort_keys=True))(content)


@lru_cache(maxsize=256)
def _validator(text: str) -> Validator:
    try:
        inner = jsonschema_rs.validator_for(
            json.loads(text),
            mask="it",  # a fault names the place, and does not quote what stands there
            retriever=_nothing_is_fetched,
            pattern_options=jsonschema_rs.RegexOptions(),  # linear time, whatever the pattern
        )
    except (ValueError, RecursionError):  # the schema's fault, not the answer's
        return lambda content: None

    def fault(content: Any) -> str | None:
        first = next(iter(inner.iter_errors(content)), None)
        if first is None:
            return None
        return f"{'/'.join(map(str, first.instance_path)) or 'it'}: {first.message}"[:200]

    return fault


def _nothing_is_fetched(uri: str) -> Any:
    raise ValueError(f"{uri[:80]} is not fetched")


def _code(request: Body, answer: Answer) -> Check:
    blocks = _FENCE.findall(answer.text[:LONGEST])
    for block in blocks:
        found = check_python(block)
        if found.passed is False:
            return found
    return Check(True if blocks else None, f"{len(blocks)} blocks compile" if blocks else "no code")


def _sums(request: Body, answer: Answer) -> Check:
    return check_sums(answer.text[:LONGEST])
