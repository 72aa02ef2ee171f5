"""Laws of the translation, judged by the official clients: theirs assemble what ours streams."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from homespun.serve.gateway.messages import from_chat, to_chat
from homespun.serve.gateway.messages_stream import MessagesStream
from homespun.serve.gateway.types import Event, GatewayError

pytestmark = pytest.mark.slow  # importing the clients alone takes a second
JSON = dict[str, Any]

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
inputs = st.dictionaries(words, st.one_of(st.integers(-99, 99), words, st.lists(st.booleans(), max_size=3)), max_size=3)


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def deltas(draw: st.DrawFn, late_text: bool) -> list[JSON]:
    """Deltas of one choice: text in pieces, calls in pieces that are shuffled between each other, in order each."""
    text = [{"content": piece} for piece in pieces(draw, draw(st.text(st.characters(codec="utf-8"), max_size=20)))]
    queues: list[list[JSON]] = []
    for index in range(draw(st.integers(0, 3))):
        arguments = orjson.dumps(draw(inputs)).decode() if draw(st.booleans()) else ""
        head = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": f"f{index}"}}
        tail = [{"index": index, "function": {"arguments": piece}} for piece in pieces(draw, arguments)]
        queues.append([{"tool_calls": [call]} for call in (head, *tail)])
    if late_text:
        queues.append(text)
    shuffled: list[JSON] = [] if late_text else list(text)
    first = [queue.pop(0) for queue in queues]  # an index is first spoken of in order, as the protocol has it
    shuffled += first
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        shuffled.append(queue.pop(0))
    return shuffled


def chunks(given: list[JSON], finish: str) -> list[JSON]:
    shared = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    spoken = [{**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in given]
    last = {**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    counted = {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    return [*spoken, last, {**shared, "choices": [], "usage": counted}]  # fmt: skip


def events(stream: bytes) -> list[JSON]:
    found = []
    for frame in stream.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        event = orjson.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def streamed(given: list[JSON]) -> list[JSON]:
    stream = MessagesStream("asked")
    out = b"".join(stream.feed(Event(orjson.dumps(chunk), chunk)) for chunk in given)
    return events(out + stream.end())


def theirs(given: list[JSON]) -> JSON:
    """The message as Anthropic's client puts it together."""
    from anthropic.lib.streaming._messages import accumulate_event
    from anthropic.types import RawMessageStreamEvent

    known: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    snapshot, buffers = None, dict[int, bytes]()
    for event in given:
        if event["type"] != "ping":
            snapshot = accumulate_event(
                event=known.validate_python(event), current_snapshot=snapshot, json_bufs=buffers
            )
    assert snapshot is not None
    return snapshot.to_dict(mode="json", exclude_unset=False, exclude_none=False)


def whole(given: list[JSON]) -> JSON:
    """The completion as OpenAI's client puts it together."""
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletionChunk

    state: Any = ChatCompletionStreamState()
    for chunk in given:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot.to_dict(mode="json")


def shape(message: JSON) -> JSON:
    kept = {name: message[name] for name in ("id", "type", "role", "model", "stop_reason", "stop_sequence")}
    fields = {"text": ("type", "text"), "tool_use": ("type", "id", "name", "input")}
    content = [{name: block[name] for name in fields[block["type"]]} for block in message["content"]]
    counted = {name: message["usage"][name] for name in ("input_tokens", "output_tokens", "cache_read_input_tokens")}
    return {**kept, "content": content, "usage": counted}


def check_order(given: list[JSON]) -> None:
    kinds = [event["type"] for event in given]
    assert kinds[:2] == ["message_start", "ping"]
    assert kinds[-2:] == ["message_delta", "message_stop"]
    blocks, open_block = 0, None
    for event in given[2:-2]:
        if event["type"] == "content_block_start":
            assert open_block is None
            assert event["index"] == blocks
            open_block = event["content_block"]["type"]
        elif event["type"] == "content_block_delta":
            assert event["index"] == blocks
            assert event["delta"]["type"] == {"text": "text_delta", "tool_use": "input_json_delta"}[open_block]
        else:
            assert event["type"] == "content_block_stop"
            assert open_block is not None
            assert event["index"] == blocks
            blocks, open_block = blocks + 1, None
    assert open_block is None


@given(deltas(late_text=False), st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
def test_the_stream_put_together_is_the_whole_answer(given: list[JSON], finish: str) -> None:
    spoken = chunks(given, finish)
    got = streamed(spoken)
    check_order(got)
    assert shape(theirs(got)) == shape(from_chat(whole(spoken)))


@given(deltas(late_text=True))
def test_text_after_a_tool_is_kept_behind_it(given: list[JSON]) -> None:
    spoken = chunks(given, "tool_calls")
    got = streamed(spoken)
    check_order(got)
    ours, wanted = shape(theirs(got)), shape(from_chat(whole(spoken)))
    for message in (ours, wanted):
        message["text"] = "".join(block["text"] for block in message["content"] if block["type"] == "text")
        message["content"] = [block for block in message["content"] if block["type"] == "tool_use"]
    assert ours == wanted


@given(deltas(late_text=True), st.integers(0, 30))
def test_a_broken_stream_never_looks_whole(given: list[JSON], cut: int) -> None:
    stream = MessagesStream("asked")
    out = b"".join(stream.feed(Event(b"", chunk)) for chunk in chunks(given, "stop")[:cut])
    got = events(out + stream.fail(GatewayError(502, "It broke.")))
    assert got[-1] == {"type": "error", "error": {"type": "api_error", "message": "It broke."}}
    assert not {"message_stop", "message_delta"} & {event["type"] for event in got}


def test_a_tool_streams_as_it_grows() -> None:
    stream = MessagesStream("m")
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a'}}
    first = stream.feed(Event(b"", {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
    assert events(first)[-1]["delta"] == {"type": "input_json_delta", "partial_json": '{"a'}


def test_calls_without_an_index_are_told_apart() -> None:
    calls = [{"id": name, "function": {"name": name, "arguments": "{}"}} for name in ("one", "two")]
    spoken = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls]
    content = theirs(streamed(spoken))["content"]
    assert [block["id"] for block in content] == ["one", "two"]


def test_no_chunk_at_all_is_an_empty_message() -> None:
    message = theirs(streamed([]))
    assert (message["content"], message["stop_reason"], message["model"]) == ([], "end_turn", "asked")


messages_out = st.fixed_dictionaries({"text": st.text(max_size=9), "calls": st.lists(inputs, max_size=3)})


@given(messages_out)
def test_an_answer_sent_back_is_what_the_model_said(said: JSON) -> None:
    """from_chat, then to_chat of the next turn: the model reads its own words and calls again."""
    calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": orjson.dumps(given).decode()}}
        for i, given in enumerate(said["calls"])
    ]
    message: JSON = {"role": "assistant", "content": said["text"] or (None if calls else "")}
    message |= {"tool_calls": calls} if calls else {}
    answer = from_chat({"id": "chatcmpl-1", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]})
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer["content"]}]
    assert to_chat({"model": "m", "max_tokens": 1, "messages": turns})["messages"][1] == message
