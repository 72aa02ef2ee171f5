"""The OpenAPI 3.1 description of the endpoints that call models, as clients and testers read it at /openapi.json.

These endpoints run on bare ASGI, so nobody derives this from their code: `schema` checks by hand what is said here.
"""

from collections.abc import Iterable

from homespun.serve.gateway.shapes import JSON, SCHEMAS, STRING, ref

OPEN = ("/healthz", "/readyz")
"""Endpoints that need no key."""

BODIES = {"/v1/feedback": "FeedbackRequest"}
"""Operations of the application that read their body without telling it."""
REFUSALS = (400, 401, 403, 404, 503)

FAULTS = {
    400: "The request is wrong; `error.param` names the field.",
    401: "No valid key.",
    403: "The key may not ask for this.",
    404: "There is no such model.",
    408: "The body took too long.",
    409: "The request with this idempotency key is still at work.",
    413: "The body is too large.",
    422: "This idempotency key was used with another body.",
    429: "A limit of the key or of the upstream is reached: `rate_limit_exceeded` or `insufficient_quota`.",
    500: "The gateway failed.",
    502: "The upstream failed; nothing was left to try.",
    503: "The gateway or every upstream is busy or down.",
    504: "The time for the request is over.",
}
_HEADERS: dict[str, tuple[str, JSON]] = {
    "x-request-id": ("The request's id; POST /v1/feedback takes it.", STRING),
    "x-homespun-model": ("The target that answered.", STRING),
    "x-homespun-route": ("How it was found.", {"enum": ["single", "cascade", "fuse", "cache", "none"]}),
    "x-homespun-tiers": ("The targets that were asked, in order.", STRING),
    "x-homespun-confidence": ("How sure the judges are, 0 to 1.", STRING),
    "x-homespun-cost": ("Dollars spent, all attempts and judges; streams tell it in a comment.", STRING),
    "x-homespun-cache": ("Whether a kept answer served.", STRING),
}
_TOKEN: JSON = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9._-]+$"}
_ASKS: tuple[JSON, ...] = (
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key with the same body gets the same answer, paid once.",
        "schema": _TOKEN,
    },
    {
        "name": "x-homespun-conversation",
        "in": "header",
        "description": "Names the conversation, which stays with one model.",
        "schema": _TOKEN,
    },
)


# --- the document -----------------------------------------------------------------------------------------------


def document(app_openapi: JSON) -> JSON:
    """The application's own description with the endpoints that call models, and who may ask.

    Args:
        app_openapi: What FastAPI says of its routes; it is left as it is.
    """
    paths: JSON = {path: _secured(path, item) for path, item in app_openapi.get("paths", {}).items()}
    paths["/v1/chat/completions"] = _endpoint("Chat completion", "ChatCompletionRequest", "ChatCompletion")
    paths["/v1/messages"] = _endpoint("Anthropic's Messages API", "MessagesRequest", "Message", error="AnthropicError")
    paths["/v1/embeddings"] = _endpoint("Embeddings", "EmbeddingsRequest", "Embeddings", streams=False)
    paths["/v1/responses"] = _endpoint("Responses API", "ResponsesRequest", "Response")
    components: JSON = app_openapi.get("components", {})
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `homespun keys create`."},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same key."},
    }
    return app_openapi | {
        "openapi": "3.1.0",
        "paths": dict(sorted(paths.items())),
        "components": components | {"schemas": components.get("schemas", {}) | SCHEMAS, "securitySchemes": schemes},
    }


def _secured(path: str, item: JSON) -> JSON:
    if path in OPEN:
        return item
    return {method: _told(path, operation) for method, operation in item.items()}


def _told(path: str, operation: JSON) -> JSON:
    """One of the application's own operations, with what it answers when it refuses, and the body that it reads raw."""
    faults = _faults((*REFUSALS, 409, 413) if path in BODIES else REFUSALS, "Error")
    told = operation | {"security": _either(), "responses": faults | operation.get("responses", {})}
    return told | {"requestBody": _json(BODIES[path])} if path in BODIES else told


def _json(name: str) -> JSON:
    return {"required": True, "content": {"application/json": {"schema": ref(name)}}}


def _either() -> list[JSON]:
    return [{"bearer": []}, {"x-api-key": []}]


def _endpoint(summary: str, asked: str, answer: str, *, error: str = "Error", streams: bool = True) -> JSON:
    content: JSON = {"application/json": {"schema": ref(answer)}}
    if streams:
        content["text/event-stream"] = {}
    headers = {name: {"description": what, "schema": schema} for name, (what, schema) in _HEADERS.items()}
    operation = {
        "summary": summary,
        "operationId": answer[0].lower() + answer[1:],
        "security": _either(),
        "parameters": list(_ASKS),
        "requestBody": _json(asked),
        "responses": {
            "200": {"description": "The answer.", "headers": headers, "content": content},
            **_faults(FAULTS, error),
        },
    }
    return {"post": operation}


def _faults(statuses: Iterable[int], error: str) -> JSON:
    return {str(status): _fault(status, error) for status in statuses}


def _fault(status: int, error: str) -> JSON:
    fault: JSON = {"description": FAULTS[status], "content": {"application/json": {"schema": ref(error)}}}
    if status in (429, 503):
        fault["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": STRING}}
    return fault
