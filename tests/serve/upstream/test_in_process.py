"""Models in this process behind the same door: recorded, scripted, and the small local one."""

import asyncio
import time

import pytest

from homespun.models.local import Local
from homespun.models.recorded import Recorded
from homespun.records import Prompt
from homespun.serve.gateway.chunks import Assembler
from homespun.serve.gateway.config import GatewayConfig, Price, Retries, Target, built_in
from homespun.serve.gateway.types import Call, UpstreamError
from homespun.serve.gateway.upstream import Fleet
from homespun.tasks import task

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
GPT4, LOCAL = "recorded:gpt-4/cot", "local:smollm2"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def shipped() -> tuple[Target, ...]:
    return built_in()


@pytest.fixture
async def fleet(shipped):
    made = Fleet(GatewayConfig(target=shipped))
    yield made
    await made.close()


@pytest.fixture(scope="module")
def problem():
    return task("gsm8k").load("recorded")[3]


def call(text, *, stream=False, problem=None, seconds=60.0, **fields) -> Call:
    body = {"messages": [{"role": "system", "content": "Think."}, {"role": "user", "content": text}], **fields}
    deadline = asyncio.get_running_loop().time() + seconds
    return Call("/chat/completions", body, stream, deadline, problem=problem)


async def told(problem, *, model="gpt-4", strategy="cot", n=1):
    prompt = Prompt(id="p", problem_id=problem.id, strategy=strategy, messages=(), task=problem.task)
    return await Recorded(model).sample(prompt, n)


async def test_a_recorded_question_gets_its_recorded_answer_at_its_price(fleet, problem):
    [sample] = await told(problem)
    spaced = "\n " + problem.question.replace(" ", "  ") + " "
    for text, named in [(problem.question, None), (spaced, None), ("?", {"task": "gsm8k", "id": problem.id})]:
        attempts = []
        reply = await fleet.call(GPT4, call(text, problem=named), attempts)
        assert reply.body["choices"][0]["message"] == {"role": "assistant", "content": sample.text}
        assert reply.body["usage"]["prompt_tokens"] == sample.cost.input_tokens
        assert reply.body["usage"]["completion_tokens"] == sample.cost.output_tokens
        assert attempts[0].nanodollars == round(sample.cost.dollars * 1e9)
        tokens, most = fleet.bound(GPT4, call(text).body)
        assert attempts[0].nanodollars <= most
        assert sample.cost.input_tokens + sample.cost.output_tokens <= tokens
        if text == problem.question:
            assert most == attempts[0].nanodollars  # known to the nanodollar


async def test_every_recorded_answer_costs_what_the_convention_says(fleet):
    from fractions import Fraction

    for problem in task("gsm8k").load("recorded")[:40]:
        [sample] = await told(problem)
        attempts = []
        await fleet.call(GPT4, call(problem.question), attempts)
        assert abs(Fraction(attempts[0].nanodollars, 10**9) - Fraction(sample.cost.dollars)) <= Fraction(1, 2 * 10**9)


async def test_a_recorded_answer_streams(fleet, problem):
    [sample] = await told(problem)
    attempts = []
    reply = await fleet.call(
        GPT4, call(problem.question, stream=True, stream_options={"include_usage": True}), attempts
    )
    assembler = Assembler()
    async for event in reply.events:
        assembler.feed(event.json)
    assert assembler.text == sample.text
    assert assembler.body["usage"]["completion_tokens"] == sample.cost.output_tokens
    assert attempts[0].outcome == "ok"
    assert attempts[0].nanodollars == round(sample.cost.dollars * 1e9)


async def test_several_choices_are_the_recorded_variations(fleet, problem):
    name = "recorded:code-davinci-002/fcot"
    samples = await told(problem, model="code-davinci-002", strategy="fcot", n=3)
    assert all(sample.finish == "stop" for sample in samples)
    attempts = []
    reply = await fleet.call(name, call(problem.question, n=3), attempts)
    assert [choice["message"]["content"] for choice in reply.body["choices"]] == [sample.text for sample in samples]
    assert attempts[0].nanodollars == sum(round(sample.cost.dollars * 1e9) for sample in samples)
    assert attempts[0].nanodollars <= fleet.bound(name, call(problem.question, n=3).body)[1]
    with pytest.raises(UpstreamError, match="8 variations"):
        await fleet.call(name, call(problem.question, n=9), attempts)


async def test_what_was_not_recorded_is_a_404_once_and_no_fault(fleet):
    for text, fields in [("What is cloth?", {}), ("?", {"problem": {"task": "gsm8k", "id": "no-such-id"}})]:
        attempts = []
        with pytest.raises(UpstreamError, match="recorded") as caught:
            await fleet.call(GPT4, call(text, **fields), attempts)
        assert (caught.value.status, caught.value.code) == (404, "not_recorded")
        assert len(attempts) == 1
        assert attempts[0].nanodollars == 0
    assert {row["breaker"] for row in fleet.health() if row["target"] == GPT4} == {"closed"}


async def test_an_unknown_question_falls_back_where_there_is_a_fallback(shipped):
    recorded = next(target for target in shipped if target.name == GPT4).model_copy(update={"fallbacks": ("echo",)})
    echo = Target(name="echo", kind="scripted", model="echo")
    fleet = Fleet(GatewayConfig(target=(recorded, echo)))
    reply = await fleet.call(GPT4, call("What is cloth?"), [])
    assert reply.body["choices"][0]["message"]["content"] == "What is cloth?"
    await fleet.close()


@pytest.mark.parametrize("name", [GPT4, "local:smollm2"])
@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function"}]}, {"response_format": {"type": "json_object"}}, {"logit_bias": {"1": 2}},
        {"presence_penalty": 1.0}, {"n": 0}, {"n": "two"}, {"temperature": -1}, {"top_p": 7}, {"seed": "x"},
        {"stop": [1]}, {"messages": [{"role": "tool", "content": "x", "tool_call_id": "y"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    ],
)  # fmt: skip
async def test_what_these_models_cannot_do_is_the_clients_error(fleet, problem, name, fields):
    asked = call(problem.question, problem={"task": "gsm8k", "id": problem.id})
    asked.body.update(fields)
    attempts = []
    with pytest.raises(UpstreamError) as caught:
        await fleet.call(name, asked, attempts)
    assert caught.value.status == 400
    assert caught.value.param
    assert len(attempts) == 1


async def test_fields_that_ask_for_nothing_are_no_error(fleet, problem):
    nothing = {
        "tools": [],
        "tool_choice": "none",
        "response_format": {"type": "text"},
        "presence_penalty": 0,
        "user": "u",
    }
    assert (await fleet.call(GPT4, call(problem.question, **nothing), [])).body


async def test_embeddings_are_not_for_these(fleet):
    with pytest.raises(UpstreamError) as caught:
        await fleet.call("local:smollm2", Call("/embeddings", {"input": "x"}), [])
    assert caught.value.status == 400


async def test_a_script_fails_as_it_is_told_and_costs_its_tokens():
    targets = (
        Target(name="echo", kind="scripted", model="echo", price=Price(input=1, output=2)),
        Target(name="failing", kind="scripted", model="failing", fallbacks=("echo",)),
    )
    fleet = Fleet(GatewayConfig(target=targets, retries=Retries(attempts=2, base=0.001)))
    attempts = []
    reply = await fleet.call("failing", call("Plain cloth lasts."), attempts)
    assert reply.target == "echo"
    assert [attempt.outcome for attempt in attempts] == ["error", "error", "ok"]
    assert attempts[0].status == 503
    assert attempts[2].nanodollars == attempts[2].usage.input * 1000 + attempts[2].usage.output * 2000 > 0
    await fleet.close()


# --- the local model --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def local(anyio_backend, shipped):
    target = next(target for target in shipped if target.kind == "local").model_copy(update={"context": 1024})
    fleet = Fleet(GatewayConfig(target=(target,)))
    yield fleet
    await fleet.close()


async def test_the_local_model_answers_whole_and_token_by_token_the_same(local):
    question = "What is the capital of France?"
    attempts = []
    reply = await local.call(LOCAL, call(question, temperature=0, max_tokens=12), attempts)
    text = reply.body["choices"][0]["message"]["content"]
    assert "Paris" in text
    assert reply.body["model"] == LOCAL
    usage = attempts[0].usage
    assert not usage.estimated
    assert reply.body["usage"]["completion_tokens"] == usage.output > 3
    assert attempts[0].nanodollars == 0

    asked = call(question, stream=True, temperature=0, max_tokens=12, stream_options={"include_usage": True})
    reply = await local.call(LOCAL, asked, attempts)
    assembler, moments = Assembler(), []
    async for event in reply.events:
        assembler.feed(event.json)
        moments.append(time.perf_counter())
    assert assembler.text == text
    assert assembler.body["choices"][0]["finish_reason"] == "stop"
    assert len(moments) > usage.output  # an event for each token
    assert moments[-2] > moments[1]
    assert assembler.body["usage"]["completion_tokens"] == usage.output == attempts[1].usage.output

    both = await local.call(LOCAL, call(question, temperature=0, max_tokens=3, n=2), attempts)
    assert [choice["index"] for choice in both.body["choices"]] == [0, 1]
    assert {choice["finish_reason"] for choice in both.body["choices"]} == {"length"}
    assert attempts[2].usage.output == 6

    with pytest.raises(UpstreamError) as caught:
        await local.call(LOCAL, call("cloth " * 2000), attempts)
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")


async def test_who_leaves_stops_the_local_model(local, monkeypatch):
    told_events = []
    tell_all = Local._tell_all

    def spying(self, prompt, index, tell, stopped):
        def counting(event):
            told_events.append(event)
            return tell(event)

        tell_all(self, prompt, index, counting, stopped)

    monkeypatch.setattr(Local, "_tell_all", spying)
    attempts = []
    reply = await local.call(LOCAL, call("A long story.", stream=True, max_tokens=500, temperature=0), attempts)
    for _ in range(4):
        await anext(reply.events)
    await reply.events.aclose()
    assert attempts[0].outcome == "cancelled"
    assert attempts[0].usage.estimated
    assert 0 < attempts[0].usage.output < 20

    asking = asyncio.create_task(local.call(LOCAL, call("A long story.", max_tokens=500), attempts))
    while len(told_events) < 20:
        await asyncio.sleep(0.02)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert attempts[1].outcome == "cancelled"
    await local.call(LOCAL, call("Hi", max_tokens=2, temperature=0), attempts)  # waits for the others to stop
    assert attempts[2].outcome == "ok"
    assert len(told_events) < 200  # of more than a thousand
