"""Prometheus: what is exposed is what was counted, over workers, restarts and deaths."""

import asyncio
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as families

from homespun.serve.gateway.config import GatewayConfig, Target
from homespun.serve.gateway.telemetry import Telemetry
from homespun.serve.gateway.telemetry.metrics import METRICS, NANO, SECONDS, Tally
from homespun.serve.gateway.types import Attempt, Usage
from homespun.serve.store import keys, tables
from homespun.serve.store.database import Database

PAGE = Path(__file__).resolve().parents[3] / "docs/guide/operations.md"
CONFIG = GatewayConfig(target=(Target(name="small", url="https://m.example/v1", model="m"),))


def row(**more: Any) -> dict[str, Any]:
    return {
        "id": "req-1", "time": 1e9, "endpoint": "chat", "model": "homespun/auto", "target": "small", "route": "single",
        "outcome": "ok", "status": 200, "tiers": ["small"], "seconds": 0.3, "first_byte_seconds": 0.1, "cache": None,
        "nanodollars": 7, "reference_nanodollars": 70, "input_tokens": 10, "output_tokens": 5,
    } | more  # fmt: skip


def attempt(target: str = "small", purpose: Any = "answer", **more: Any) -> Attempt:
    fields: dict[str, Any] = {"outcome": "ok", "usage": Usage(10, 4, 5), "nanodollars": 7, "seconds": 0.2} | more
    return Attempt(target, purpose, 1e9, **fields)


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Telemetry]:
    made = Telemetry(CONFIG, tmp_path, "w1")
    yield made
    made.close()


def told(telemetry: Telemetry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = telemetry.exposition().decode()
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families(text) for s in f.samples}


def value(samples: dict[Any, float], name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


def test_a_cascade_is_counted_whole(telemetry: Telemetry) -> None:
    judged = [attempt(), attempt("judge", "judge", nanodollars=3), attempt("large", nanodollars=40)]
    telemetry.request(row(route="cascade", tiers=["small", "large"], target="large", nanodollars=50), judged)
    telemetry.request(row(outcome="error", status=502, target=None, reference_nanodollars=None), [])
    samples = told(telemetry)
    assert value(samples, "homespun_requests_total", target="large", route="cascade", outcome="ok") == 1
    assert value(samples, "homespun_requests_total", target="none", route="single", outcome="error") == 1
    assert value(samples, "homespun_responses_total", endpoint="chat", status="502") == 1
    assert value(samples, "homespun_escalations_total", route="cascade") == 1
    assert value(samples, "homespun_attempts_total", target="judge", purpose="judge", outcome="ok") == 1
    assert value(samples, "homespun_spent_dollars_total", target="large", purpose="answer") == pytest.approx(40 / NANO)
    assert value(samples, "homespun_reference_dollars_total") == pytest.approx(70 / NANO)
    assert value(samples, "homespun_compared_dollars_total") == pytest.approx(50 / NANO)
    assert value(samples, "homespun_tokens_total", target="small", purpose="answer", type="cached") == 4


@given(st.lists(st.sampled_from([0.0, 0.004, 0.005, 0.3, 299.0, 301.0, *SECONDS]), min_size=1))
def test_a_histogram_holds_every_observation_under_its_bounds(times: list[float]) -> None:
    from homespun.serve.gateway.telemetry.exposition import expose

    tally = Tally()
    for seconds in times:
        tally.request(row(seconds=seconds, first_byte_seconds=None), [])
    samples = [s for f in families(expose(tally, {}).decode()) for s in f.samples]
    buckets = {s.labels["le"]: s.value for s in samples if s.name == "homespun_request_seconds_bucket"}
    for bound, number in buckets.items():
        assert number == sum(seconds <= float(bound) for seconds in times)
    assert next(s.value for s in samples if s.name == "homespun_request_seconds_sum") == pytest.approx(sum(times))


ROWS = st.builds(
    row,
    target=st.sampled_from(["small", "large", None]),
    route=st.sampled_from(["single", "cascade"]),
    status=st.sampled_from([200, 429]),
    nanodollars=st.integers(0, 2**50),
)


@given(st.lists(st.tuples(ROWS, st.integers(0, 2))))
def test_counts_of_workers_add_up_to_those_of_one(requests: list[tuple[dict[str, Any], int]]) -> None:
    alone, workers, total = Tally(), [Tally(), Tally(), Tally()], Tally()
    for request, worker in requests:
        for tally in (alone, workers[worker]):
            tally.request(request, [attempt()])
    for tally in workers:
        total.add(tally.dump())
    assert total.counts == alone.counts


def test_every_worker_tells_the_numbers_of_all(tmp_path: Path) -> None:
    first, second = Telemetry(CONFIG, tmp_path, "w1"), Telemetry(CONFIG, tmp_path, "w2")
    first.request(row(), [attempt()])
    second.request(row(), [attempt()])
    second.request(row(), [attempt()])
    told(first)
    labels = {"target": "small", "route": "single", "outcome": "ok"}
    assert value(told(second), "homespun_requests_total", **labels) == 3
    assert value(told(first), "homespun_requests_total", **labels) == 3
    assert value(told(first), "homespun_workers") == 2
    first.close()
    second.close()


@pytest.mark.slow
def test_counters_survive_a_restart_and_a_kill(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from homespun.serve.gateway.telemetry import Telemetry\n"
        "from homespun.serve.gateway.config import GatewayConfig, Target\n"
        "config = GatewayConfig(target=(Target(name='small', url='https://m.example/v1', model='m'),))\n"
        "t = Telemetry(config, Path(sys.argv[1]), 'killed')\n"
        f"t.request({row()!r}, [])\n"
        "t.exposition(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    assert killed.returncode == -9
    stopped = Telemetry(CONFIG, tmp_path, "stopped")
    stopped.request(row(), [])
    stopped.close()
    after = Telemetry(CONFIG, tmp_path, "after")
    samples = told(after)
    assert value(samples, "homespun_requests_total", target="small", route="single", outcome="ok") == 2
    assert value(samples, "homespun_workers") == 1
    assert sorted(p.name for p in (tmp_path / "metrics").glob("*.lock")) == ["after.lock"]
    after.close()


@pytest.mark.slow
def test_numbers_never_go_back_while_workers_come_and_go(tmp_path: Path) -> None:
    rng, names, seen = random.Random(3), Counter[str](), 0.0
    living: list[Telemetry] = [Telemetry(CONFIG, tmp_path, "w0")]
    for turn in range(60):
        if rng.random() < 0.2:
            living.append(Telemetry(CONFIG, tmp_path, f"w{turn + 1}"))
        if rng.random() < 0.15 and len(living) > 1:
            living.pop(rng.randrange(len(living))).close()
        rng.choice(living).request(row(), [])
        names["requests"] += 1
        asked = rng.choice(living)
        for other in living:  # as their own threads do about every second
            other.exposition()
        now = value(told(asked), "homespun_requests_total", target="small", route="single", outcome="ok") or 0.0
        assert now >= seen
        seen = now
    assert seen == names["requests"]
    for telemetry in living:
        telemetry.close()


def test_a_damaged_file_of_another_worker_is_passed_over(tmp_path: Path, telemetry: Telemetry) -> None:
    folder = tmp_path / "metrics"
    (folder / "w9.lock").touch()
    (folder / "w9.json").write_bytes(b'{"counts": ')
    telemetry.request(row(), [])
    assert value(told(telemetry), "homespun_requests_total", target="small", route="single", outcome="ok") == 1


@dataclass
class Gateway:
    database: Database
    at_work: int = 4
    states: dict[str, str] = field(default_factory=lambda: {"small": "open"})

    @property
    def fleet(self) -> "Gateway":
        return self

    def health(self) -> list[dict[str, str]]:
        asyncio.get_running_loop()  # as the fleet's does
        return [{"target": name, "breaker": state} for name, state in self.states.items()]


@pytest.mark.slow
def test_gauges_are_read_from_the_gateway_and_its_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'b.db'}")
    database.run_now(tables.metadata.create_all)
    now = time.time()

    def fill(connection: Any) -> None:
        keys.set_limit(connection, "all", "", "nanodollars", "ever", 1000)
        limit = connection.execute(tables.limits.select()).one().id
        meter = {"limit_id": limit, "window": 0, "spent": 600, "reserved": 150, "wanted": 0}
        connection.execute(tables.meters.insert(), meter)
        alarm = {"time": now, "kind": "cell_mix", "value": 0.3, "threshold": 0.2, "detail": "", "cleared": None}
        connection.execute(tables.alarms.insert(), alarm | {"id": "a1"})
        connection.execute(tables.alarms.insert(), alarm | {"id": "a2", "cleared": now})
        label = {"arm": "small", "time": now, "detail": None, "key_id": None}
        for number, (judge, other) in enumerate([(1.0, 1.0), (0.9, 0.0), (0.2, 1.0), (0.1, 0.4)]):
            for source, score in (("judge", judge), ("validator", other)):
                one = {"id": f"l{number}{source}", "request_id": f"r{number}", "source": source, "score": score}
                connection.execute(tables.labels.insert(), label | one)

    database.run_now(fill)
    telemetry = Telemetry(CONFIG, tmp_path, "w1")

    async def watch() -> dict[Any, float]:
        telemetry.watch(Gateway(database))
        until = time.monotonic() + 20
        while value(told(telemetry), "homespun_alarms_open", kind="cell_mix") is None and time.monotonic() < until:
            await asyncio.sleep(0.05)
        return told(telemetry)

    samples = asyncio.run(watch())
    telemetry.close()
    database.close()
    everybody = {"subject_kind": "all", "subject": "", "unit": "nanodollars", "period": "ever"}
    assert value(samples, "homespun_limit_left_ratio", **everybody) == pytest.approx(0.25)
    assert value(samples, "homespun_alarms_open", kind="cell_mix") == 1
    assert value(samples, "homespun_judge_disagreement_ratio") == pytest.approx(0.5)
    assert value(samples, "homespun_breaker_state", target="small") == 2
    assert value(samples, "homespun_requests_in_flight") == 4


def test_the_page_lists_what_is_exposed() -> None:
    listed = re.findall(r"^\| `(homespun_\w+)` \| (\w+) \| ([^|]*) \|", PAGE.read_text(), re.M)
    told_there = [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in listed]
    assert told_there == [(metric.exposed, metric.kind, metric.labels) for metric in METRICS]


def test_names_are_as_prometheus_wants_them(telemetry: Telemetry) -> None:
    telemetry.request(row(), [attempt()])
    text = telemetry.exposition().decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    assert {m.exposed: m.kind for m in METRICS} == kinds
    for metric in METRICS:
        assert metric.exposed.endswith("_total") == (metric.kind == "counter")
        assert not re.search(r"_(ms|milliseconds|nanodollars|count|sum|bucket)$", metric.name)
