"""Streams of the routes: an accepted answer sent as one, and a first tier that is streamed as it speaks.

A token that is sent is never withdrawn. So a live stream is handed on only once its first content is there (what fails
or ends before that is a failed tier), and only under the rule in `may_stream`.
"""

from collections.abc import AsyncGenerator, Callable

from homespun.serve.gateway.chunks import Assembler, replay
from homespun.serve.gateway.routes import answers
from homespun.serve.gateway.routes.answers import Answer
from homespun.serve.gateway.routes.ask import Ask, wants_json, wants_usage
from homespun.serve.gateway.types import Event, Reply, UpstreamError


def may_stream(ask: Ask, *, escalation: float, below: float) -> bool:
    """Whether a cascade may stream its first tier as it speaks.

    Only if (1) the client wants a stream; (2) the expected share of requests of this cell that go on from this tier is
    below ``below``; and (3) the answer has no form that a check could find broken at its end: no JSON was asked for
    (tools never come here). Once the first content is out nothing withdraws it: the route has become a single one.
    """
    return ask.stream and escalation < below and not wants_json(ask.body)


def as_asked(reply: Reply, ask: Ask) -> Reply:
    """An accepted whole answer, as a stream where the client wants one."""
    if ask.stream and reply.body is not None:
        reply.events = replay(reply.body, usage=wants_usage(ask.body))
        reply.body = reply.raw = None
    return reply


async def begun(reply: Reply, done: Callable[[Answer], None] | None = None, *, last: bool = False) -> Reply:
    """The same stream, once it has said something: content, reasoning, a refusal, a tool call.

    Args:
        reply: A stream.
        done: Told the whole answer once the stream has ended well.
        last: Nobody else can be asked, so that a stream which ends well without a word is an answer too.

    Raises:
        UpstreamError: it ended or broke before it said anything; it is closed then.
    """
    events = reply.events
    if events is None:
        raise UpstreamError("garbage", f"{reply.target} sent no stream")
    early: list[Event] = []
    try:
        async for event in events:
            early.append(event)
            if _says(event):
                break
        else:
            if not (last and early):
                raise UpstreamError("garbage", f"{reply.target} ended its stream without an answer")
        reply.events = _joined(early, events, done)
        await anext(reply.events)
    except BaseException:
        await events.aclose()
        raise
    return reply


def _says(event: Event) -> bool:
    choices = event.json.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role"):
            return True
    return False


async def _joined(
    early: list[Event], events: AsyncGenerator[Event], done: Callable[[Answer], None] | None
) -> AsyncGenerator[Event]:
    """First nothing, for `begun`: a generator that has not been entered would not close what it reads from."""
    whole = Assembler() if done is not None else None
    try:
        yield Event(b"", {})
        for event in early:
            if whole is not None:
                whole.feed(event.json)
            yield event
        async for event in events:
            if whole is not None:
                whole.feed(event.json)
            yield event
        if whole is not None and done is not None:
            done(answers.read(whole.body))
    finally:
        await events.aclose()
