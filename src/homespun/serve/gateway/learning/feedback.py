"""``POST /v1/feedback``: the word of whoever asked on the answer that they got."""

import json
import time
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Connection, select

from homespun.serve.gateway.learning.labels import label_row
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.tables import decisions, requests

MAX_BODY = 16_384
MAX_DETAIL = 500
THUMBS = {"up": 1.0, "down": 0.0}
FIELDS = frozenset({"id", "score", "thumb", "detail"})


def feedback_routes(gateway: Any) -> APIRouter:
    """The endpoint, for an app of this gateway (what is used of it: authenticate, books, database)."""
    router = APIRouter()

    @router.post("/v1/feedback", summary="Say how good an answer was: score 0 to 1, or thumb up or down")
    async def feedback(request: Request) -> dict[str, Any]:
        """Labels the answer of a request; the same label twice is kept once, of several the latest counts.

        Only the key that made the request, or an admin's, may label it; to any other it does not exist.
        """
        key = gateway.authenticate(request)
        request_id, score, detail = parse(await _read(request))
        found = await _find(gateway, request_id)
        own = found is not None and (key is None or key.admin or key.id == found["key_id"])
        if found is None or not own:
            raise GatewayError(404, f"There is no request {request_id[:80]!r}.", code="request_not_found", param="id")
        if found["arm"] is None:
            raise GatewayError(409, "That request was not answered, so there is nothing to label.", code="no_answer")
        who = None if key is None else key.id
        row = label_row(request_id, found["arm"], "feedback", score, time.time(), detail=detail, key_id=who)
        gateway.books.note("labels", row)
        return {"object": "feedback", "id": row["id"], "request": request_id, "score": score}

    return router


def parse(body: bytes) -> tuple[str, float, str | None]:
    """Request id, score and detail of a body.

    Raises:
        GatewayError: 400, with the field that is wrong.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise _wrong("The body is no JSON.", None) from None
    if not isinstance(content, dict):
        raise _wrong("The body must be an object with id and score or thumb.", None)
    for name in content:
        if name not in FIELDS:
            raise _wrong(f"Unknown field {name[:80]!r}; there are id, score, thumb, detail.", name[:80])
    request_id, detail = content.get("id"), content.get("detail")
    if not isinstance(request_id, str) or not 0 < len(request_id) <= 200 or not _storable(request_id):
        raise _wrong("id must be the id of a request: that of the completion, or its header x-request-id.", "id")
    if detail is not None and not (isinstance(detail, str) and len(detail) <= MAX_DETAIL and _storable(detail)):
        raise _wrong(f"detail must be a text of at most {MAX_DETAIL} characters.", "detail")
    return request_id, _score(content), detail


def _storable(text: str) -> bool:
    """Whether a database takes the text: no lone surrogates, no NUL."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _score(content: dict[str, Any]) -> float:
    score, thumb = content.get("score"), content.get("thumb")
    if (score is None) == (thumb is None):
        raise _wrong("Give either score or thumb.", "score")
    if thumb is not None:
        if not isinstance(thumb, str) or thumb not in THUMBS:
            raise _wrong("thumb must be 'up' or 'down'.", "thumb")
        return THUMBS[thumb]
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0.0 <= score <= 1.0:
        raise _wrong("score must be a number from 0 to 1.", "score")
    return float(score)


def _wrong(message: str, param: str | None) -> GatewayError:
    return GatewayError(400, message, code="invalid_feedback", param=param)


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise GatewayError(413, f"Feedback is at most {MAX_BODY} bytes.", code="request_too_large")
    return bytes(body)


async def _find(gateway: Any, request_id: str) -> dict[str, Any] | None:
    """Who asked and which arm answered; what is still in this worker's journal is brought to the database first."""
    query = (
        select(requests.c.key_id, decisions.c.answered, requests.c.target)
        .select_from(requests.outerjoin(decisions, decisions.c.request_id == requests.c.id))
        .where(requests.c.id == request_id)
    )

    def find(connection: Connection) -> dict[str, Any] | None:
        row = connection.execute(query).first()
        return None if row is None else {"key_id": row.key_id, "arm": row.answered or row.target}

    found = await gateway.database.run(find)
    if found is None:
        await gateway.books.flush()
        found = await gateway.database.run(find)
    return found
