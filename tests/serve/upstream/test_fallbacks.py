"""Keys, breakers, fallbacks and budgets: who is called next, and who is left alone."""

import asyncio

import pytest

from homespun.errors import ConfigError
from homespun.serve.gateway.config import GatewayConfig, Retries, Target
from homespun.serve.gateway.types import UpstreamError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PRICE = {"input": 1.0, "output": 2.0}


def target(faulty, name, model=None, **fields) -> Target:
    fields = {"url": faulty.url, "private": True, "price": PRICE} | fields
    return Target(name=name, model=model or name, **fields)


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("GOOD", "good-key")
    monkeypatch.setenv("TIRED", "tired-key")
    monkeypatch.setenv("BAD", "bad-key")


def sent(faulty) -> list[str]:
    return [call.headers["Authorization"].removeprefix("Bearer ") for call in faulty.calls]


async def test_a_refused_key_is_benched_and_the_next_one_used_not_the_model(faulty, asking, keys):
    asker = asking("one-key", key_env=("BAD", "GOOD"))
    for _ in range(3):
        await asker.ask("one-key")
    assert sent(faulty) == ["bad-key", "good-key", "good-key", "good-key"]
    [row] = asker.fleet.health()
    assert (row["benched"], row["breaker"]) == (["BAD"], "closed")
    assert "bad-key" not in str(row)


async def test_when_all_keys_are_refused_the_fallback_answers_and_the_client_hears_no_401(faulty, asking, keys):
    asker = asking("ok", targets=[target(faulty, "one-key", key_env=("BAD",), fallbacks=("ok",))])
    assert (await asker.ask("one-key")).target == "ok"
    with pytest.raises(UpstreamError) as caught:
        await asker.ask("one-key", fallbacks=False)
    assert (caught.value.status, caught.value.code) == (502, "upstream_key")
    assert "bad-key" not in str(caught.value)
    assert faulty.modes == ["one-key", "ok"]  # a benched key is not asked again


async def test_a_benched_key_is_tried_again_after_its_time(faulty, asking, keys):
    asker = asking("one-key", key_env="BAD", retries=Retries(attempts=1, key_seconds=0.05))
    for _ in range(2):
        with pytest.raises(UpstreamError):
            await asker.ask("one-key")
        await asyncio.sleep(0.06)
    assert len(faulty.calls) == 2


async def test_429_cools_the_key_and_another_one_goes_on_at_once(faulty, asking, keys):
    asker = asking("one-key", key_env=("TIRED", "GOOD"))
    for _ in range(3):
        await asker.ask("one-key", seconds=2.0)
    assert sent(faulty) == ["tired-key", "good-key", "good-key", "good-key"]
    assert asker.fleet.health()[0]["benched"] == []


async def test_keys_take_turns(faulty, asking, monkeypatch):
    for name in ("K1", "K2", "K3"):
        monkeypatch.setenv(name, name.lower())
    asker = asking("ok", key_env=("K1", "K2", "K3"))
    for _ in range(6):
        await asker.ask("ok")
    assert sent(faulty) == ["k1", "k2", "k3"] * 2


async def test_a_key_that_is_not_there_or_no_key_at_all_stops_the_start(faulty, asking, monkeypatch):
    with pytest.raises(ConfigError, match=r"target 'ok'.*\$NOT_THERE"):
        asking("ok", key_env="NOT_THERE")
    monkeypatch.setenv("ODD", "two words-secret")
    with pytest.raises(ConfigError) as caught:
        asking("ok", key_env="ODD")
    assert "secret" not in str(caught.value)


async def test_the_breaker_opens_keeps_calls_away_and_lets_one_probe(faulty, asking):
    retries = Retries(attempts=1, breaker_failures=3, breaker_seconds=0.15)
    asker = asking("500*3", retries=retries)
    for _ in range(3):
        with pytest.raises(UpstreamError):
            await asker.ask("500*3")
    assert asker.fleet.health()[0]["breaker"] == "open"
    with pytest.raises(UpstreamError) as caught:
        await asker.ask("500*3")
    assert (caught.value.reason, caught.value.status) == ("breaker", 503)
    assert 0 < caught.value.retry_after <= 0.15
    assert len(faulty.calls) == 3
    await asyncio.sleep(0.16)
    await asker.ask("500*3")
    assert asker.fleet.health()[0]["breaker"] == "closed"


async def test_a_stream_that_has_begun_ends_the_probe_before_it_ends_itself(faulty, asking):
    asker = asking("500*1", retries=Retries(attempts=1, breaker_failures=1, breaker_seconds=0.05))
    with pytest.raises(UpstreamError):
        await asker.ask("500*1")
    await asyncio.sleep(0.06)
    reply = await asker.ask("500*1", stream=True)
    await asker.ask("500*1")  # let in though the probe's stream is still open
    await reply.events.aclose()


async def test_no_secret_is_in_an_error_whatever_the_upstream_repeats(faulty, asking, monkeypatch):
    monkeypatch.setenv("ODD_KEY", "swordfish")  # nothing that looks like a key
    asker = asking("tell-key", key_env="ODD_KEY", retries=Retries(attempts=1))
    for stream in (False, True):
        with pytest.raises(UpstreamError) as caught:
            await asker.ask("tell-key", stream=stream)
        error = caught.value
        assert "[key]" in str(error)
        assert "swordfish" not in f"{error!r} {error.args} {error.what} {error.body()} {asker.attempts}"


async def test_an_open_breaker_sends_everyone_to_the_fallback(faulty, asking):
    retries = Retries(attempts=1, breaker_failures=1, breaker_seconds=60)
    asker = asking("500", "ok", fallbacks=("ok",), retries=retries)
    for _ in range(3):
        assert (await asker.ask("500")).target == "ok"
    assert faulty.modes == ["500", "ok", "ok", "ok"]


async def test_the_clients_mistakes_never_open_a_breaker(faulty, asking):
    asker = asking("400", retries=Retries(breaker_failures=1))
    for _ in range(3):
        with pytest.raises(UpstreamError):
            await asker.ask("400")
    assert len(faulty.calls) == 3
    assert asker.fleet.health()[0]["breaker"] == "closed"


async def test_fallbacks_in_order_each_once_and_loops_end(faulty, asking):
    chain = {"a": ("b", "c"), "b": ("a", "c"), "c": ("a", "d", "c"), "d": ("a",)}
    targets = [target(faulty, name, "500", fallbacks=line) for name, line in chain.items()]
    asker = asking(targets=targets, retries=Retries(attempts=1, breaker_failures=50))
    with pytest.raises(UpstreamError):
        await asker.ask("a")
    assert [attempt.target for attempt in asker.attempts] == ["a", "b", "c", "d"]


async def test_a_prompt_too_long_goes_to_a_larger_target_only(faulty, asking):
    asker = asking(
        targets=[
            target(faulty, "small", "context", context=4000, fallbacks=("same", "large")),
            target(faulty, "same", "ok", context=4000),
            target(faulty, "large", "ok", context=8000),
        ]
    )
    assert (await asker.ask("small")).target == "large"
    assert faulty.modes == ["context", "ok"]
    with pytest.raises(UpstreamError) as caught:
        await asker.ask("small", fallbacks=False)
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")


async def test_a_refusal_by_policy_goes_elsewhere_once(faulty, asking):
    asker = asking("policy", "ok", fallbacks=("ok",))
    assert (await asker.ask("policy")).target == "ok"
    assert faulty.modes == ["policy", "ok"]


async def test_a_fallback_that_cannot_take_the_request_is_passed_over(faulty, asking):
    asker = asking(
        targets=[
            target(faulty, "strong", "500", fallbacks=("toolless", "ok")),
            target(faulty, "toolless", "ok", capabilities=()),
            target(faulty, "ok"),
        ]
    )
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert (await asker.ask("strong", tools=tools)).target == "ok"
    assert (await asker.ask("strong")).target == "toolless"


@pytest.mark.parametrize("covers", [None, "not-json"])
async def test_attempts_stay_within_the_budget(faulty, asking, covers):
    asker = asking("not-json", "ok", fallbacks=("ok",))
    body = {"messages": [{"role": "user", "content": "What lasts?"}], "max_tokens": 50}
    most = asker.fleet.bound("not-json", body)[1]
    with pytest.raises(UpstreamError) as caught:
        await asker.ask("not-json", budget=most, covers=covers)
    assert (caught.value.reason, caught.value.status, caught.value.code) == ("budget", 429, "insufficient_quota")
    assert len(faulty.calls) == 1  # what the first one may have cost left too little for a second
    assert sum(attempt.nanodollars for attempt in asker.attempts) <= most
    await asker.ask("ok", budget=asker.fleet.bound("ok", body)[1])


async def test_under_a_budget_a_fallback_gets_a_limit_of_its_own(faulty, asking):
    asker = asking(
        targets=[
            target(faulty, "first", "500", max_output=7, fallbacks=("second",)),
            target(faulty, "second", "ok", max_output=9),
        ],
        retries=Retries(attempts=1),
    )
    await asker.ask("first", max_tokens=None, budget=10**9)
    assert [call.body["max_tokens"] for call in faulty.calls] == [7, 9]


async def test_new_settings_keep_what_is_unchanged_and_let_running_calls_finish(faulty, asking):
    asker = asking("trickle", "500", retries=Retries(attempts=1, breaker_failures=1, breaker_seconds=60))
    with pytest.raises(UpstreamError):
        await asker.ask("500")
    reply = await asker.ask("trickle", stream=True)
    await anext(reply.events)
    new = GatewayConfig(
        target=(target(faulty, "500"), target(faulty, "ok")), retries=Retries(breaker_failures=1, breaker_seconds=60)
    )
    await asker.fleet.update(new)
    states = {row["target"]: row["breaker"] for row in asker.fleet.health()}
    assert states == {"500": "open", "ok": "closed"}
    assert [event async for event in reply.events]  # its target is gone, the stream goes on
    assert asker.attempts[-1].outcome == "ok"
    await asker.ask("ok")
    with pytest.raises(UpstreamError) as caught:
        await asker.ask("trickle")
    assert caught.value.status == 404


async def test_settings_that_cannot_be_used_change_nothing(faulty, asking):
    asker = asking("ok")
    bad = GatewayConfig(target=(target(faulty, "ok"), target(faulty, "new", key_env=("NOT_THERE",))))
    with pytest.raises(ConfigError):
        await asker.fleet.update(bad)
    await asker.ask("ok")
    assert [row["target"] for row in asker.fleet.health()] == ["ok"]


async def test_health_tells_how_calls_went(faulty, asking):
    asker = asking("500*1")
    for _ in range(3):
        await asker.ask("500*1")
    [row] = asker.fleet.health()
    assert (row["target"], row["calls"], row["running"], row["recent"]) == ("500*1", 4, 0, 3)
    assert row["failures"] == {"500": 1}
    assert 0 < row["seconds_p50"] <= row["seconds_p95"]


async def test_no_upstream_is_called_for_a_client_who_says_where_to_go(faulty, asking):
    asker = asking("ok")
    for field in ("api_base", "base_url", "api_key", "extra_headers"):
        with pytest.raises(UpstreamError, match=field) as caught:
            await asker.ask("ok", **{field: "http://169.254.169.254/"})
        assert caught.value.status == 400
    assert faulty.calls == []
