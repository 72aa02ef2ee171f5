"""The endpoints that call models: what each reads, what it asks an upstream, and how it writes what came back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from homespun.serve.gateway import messages, responses, schema
from homespun.serve.gateway.messages_stream import MessagesStream
from homespun.serve.gateway.responses_stream import ResponsesStream
from homespun.serve.gateway.types import NANO, Event, GatewayError, Purpose, Reply

Body = dict[str, Any]


class Writer(Protocol):
    """Turns the events of an upstream into the bytes of a response stream."""

    def feed(self, event: Event) -> bytes:
        """Bytes for one event; may be empty."""
        ...

    def end(self, nanodollars: int) -> bytes:
        """Bytes after a complete stream."""
        ...

    def fail(self, error: GatewayError) -> bytes:
        """Bytes that tell of a stream that broke; never those of a clean end."""
        ...


def cost_comment(nanodollars: int) -> bytes:
    """What a streamed answer cost, as a comment: it is known only when the headers are long gone."""
    return f": x-homespun-cost: {nanodollars / NANO:.9f}\n\n".encode()


class ChatWriter:
    """Events as they are, and ``[DONE]``."""

    def feed(self, event: Event) -> bytes:
        """The event's data as it came."""
        return b"data: " + event.data + b"\n\n"

    def end(self, nanodollars: int) -> bytes:
        """The cost, and the end that clients wait for."""
        return cost_comment(nanodollars) + b"data: [DONE]\n\n"

    def fail(self, error: GatewayError) -> bytes:
        """An error event, and no ``[DONE]``."""
        return b"data: " + orjson.dumps(error.body()) + b"\n\n"


class ResponsesWriter(ChatWriter):
    """The Responses API names its events and knows no ``[DONE]``."""

    def feed(self, event: Event) -> bytes:
        """The event under the name that its JSON carries."""
        name = event.json.get("type")
        return (f"event: {name}\n".encode() if isinstance(name, str) and "\n" not in name else b"") + super().feed(
            event
        )

    def end(self, nanodollars: int) -> bytes:
        """The cost; the last event came from the upstream."""
        return cost_comment(nanodollars)

    def fail(self, error: GatewayError) -> bytes:
        """The error event of that API."""
        body = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        return b"event: error\ndata: " + orjson.dumps(body) + b"\n\n"


class Translation(Protocol):
    """A stream of chat events in another API's terms."""

    def feed(self, event: Event) -> bytes:
        """What one event means there; may be empty."""
        ...

    def end(self) -> bytes:
        """Closes what is open."""
        ...

    def fail(self, error: GatewayError) -> bytes:
        """The error event of that API."""
        ...


class TranslatedWriter:
    """The events of a chat completion, in the terms of another API."""

    def __init__(self, stream: Translation) -> None:
        self._stream = stream
        self.feed, self.fail = stream.feed, stream.fail

    def end(self, nanodollars: int) -> bytes:
        """The cost, and the end that the API's clients wait for."""
        return cost_comment(nanodollars) + self._stream.end()


def _messages_writer(asked: Body) -> Writer:
    return TranslatedWriter(MessagesStream(asked.get("model", "")))


def _responses_writer(asked: Body) -> Writer:
    return TranslatedWriter(ResponsesStream(asked))


def _same(body: Body) -> Body:
    return body


def _whole(reply: Reply, _: Body) -> bytes:
    return reply.raw if reply.raw is not None else orjson.dumps(reply.body)


def _message(reply: Reply, asked: Body) -> bytes:
    return orjson.dumps(messages.from_chat(reply.body or {}, asked))


def _response(reply: Reply, asked: Body) -> bytes:
    return orjson.dumps(responses.from_chat(reply.body or {}, asked))


def _chat_error(error: GatewayError) -> bytes:
    return orjson.dumps(error.body())


def _messages_error(error: GatewayError) -> bytes:
    return orjson.dumps(messages.error_body(error))


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One endpoint that calls models."""

    name: str
    """As it stands on the books."""
    path: str
    """Of the upstream."""
    purpose: Purpose = "answer"
    needs: str | None = None
    """Capability that a target must have."""
    check: Callable[[Body], None]
    """Raises GatewayError for a body that is wrong."""
    translate: Callable[[Body], Body] = _same
    """From the client's body to the upstream's."""
    write: Callable[[Reply, Body], bytes] = _whole
    """From a whole reply and what was asked to the client's body."""
    writer: Callable[[Body], Writer] = lambda _: ChatWriter()
    error: Callable[[GatewayError], bytes] = _chat_error
    otherwise: "Endpoint | None" = None
    """What serves instead where a target lacks the capability, and for ``homespun/…``."""


_RESPONSES_BY_CHAT = Endpoint(
    name="responses",
    path="/chat/completions",
    check=schema.check_responses,
    translate=responses.to_chat,
    write=_response,
    writer=_responses_writer,
)
ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": Endpoint(name="chat", path="/chat/completions", check=schema.check_chat),
    "/v1/messages": Endpoint(
        name="messages",
        path="/chat/completions",
        check=schema.check_messages,
        translate=messages.to_chat,
        write=_message,
        writer=_messages_writer,
        error=_messages_error,
    ),
    "/v1/embeddings": Endpoint(
        name="embeddings",
        path="/embeddings",
        purpose="embedding",
        needs="embeddings",
        check=schema.check_embeddings,
    ),
    "/v1/responses": Endpoint(
        name="responses",
        path="/responses",
        needs="responses",
        check=schema.check_responses,
        writer=lambda _: ResponsesWriter(),
        otherwise=_RESPONSES_BY_CHAT,
    ),
}
