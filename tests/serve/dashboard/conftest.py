"""Made-up traffic in a real database, a gateway that is only as much as the dashboard reads, and a server for both."""

import asyncio
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from homespun.serve.gateway.config import GatewayConfig, Target
from homespun.serve.gateway.dashboard import dashboard_routes
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store import keys, tables
from homespun.serve.store.database import Database

PRICES = {"small-3b": (0.1, 0.4), "medium-30b": (0.4, 1.6), "large-400b": (2.5, 10.0)}
SKILL = {"small-3b": 0.72, "medium-30b": 0.82, "large-400b": 0.9}
NAMES = list(PRICES)
ASKED = ("homespun/auto",) * 8 + ("large-400b", "homespun/economy")
NANO = 1_000_000_000


def config() -> GatewayConfig:
    targets = [Target(name=name, url="https://models.example/v1", model=name) for name in NAMES]
    return GatewayConfig.model_validate({"target": [t.model_dump() for t in targets], "auto": {"verifier": NAMES[0]}})


def cost(name: str, read: int, written: int) -> int:
    return int((PRICES[name][0] * read + PRICES[name][1] * written) * 1000)


def call(rng: random.Random, request: dict[str, Any], target: str, purpose: str, **more: Any) -> dict[str, Any]:
    read, written = rng.randint(80, 1500), rng.randint(20, 600) if purpose == "answer" else 2
    seconds = rng.lognormvariate({"small-3b": -1.0, "medium-30b": 0.0, "large-400b": 1.0}[target], 0.4)
    return {
        "id": f"att-{rng.getrandbits(96):x}", "request_id": request["id"], "time": request["time"], "target": target,
        "purpose": purpose, "outcome": "ok", "status": 200, "error": None, "input_tokens": read, "cached_tokens": 0,
        "output_tokens": written, "estimated": False, "nanodollars": cost(target, read, written), "seconds": seconds,
        "first_byte_seconds": seconds / 4,
    } | more  # fmt: skip


def step(stage: str, subject: str, score: float | None, dollars: float) -> dict[str, Any]:
    return {"stage": stage, "subject": subject, "score": score, "cost": dollars, "detail": ""}


def traffic(rng: random.Random, number: int, start: float, end: float) -> dict[str, list[dict[str, Any]]]:
    """Rows of requests, attempts, decisions and labels: a cascade over three tiers with a flaky middle one."""
    rows: dict[str, list[dict[str, Any]]] = {"requests": [], "attempts": [], "decisions": [], "labels": []}
    for _ in range(number):
        _request(rng, rows, start + (end - start) * rng.betavariate(1.6, 1.0))
    return rows


def _request(rng: random.Random, rows: dict[str, list[dict[str, Any]]], when: float) -> None:
    request: dict[str, Any] = {
        "id": f"req-{rng.getrandbits(96):x}", "time": when, "worker": "worker-1",
        "key_id": rng.choice(("k1", "k2", None)),
        "team": None, "endpoint": "chat", "model": rng.choice(ASKED),
        "confidence": None, "stream": rng.random() < 0.5, "status": 200, "outcome": "ok", "error": None, "cache": None,
        "cached_tokens": 0, "estimated": False, "conversation": None, "router": "r-0007", "tiers": [],
    }  # fmt: skip
    if rng.random() < 0.06:
        rows["requests"].append(
            request | {"target": NAMES[0], "route": "cache", "cache": "exact", "nanodollars": 0, "seconds": 0.002,
            "reference_nanodollars": None, "first_byte_seconds": 0.002, "input_tokens": 0, "output_tokens": 0}
        )  # fmt: skip
        return
    attempts, path = _answer(rng, request)
    last = attempts[-1] if request["outcome"] != "ok" else [a for a in attempts if a["purpose"] == "answer"][-1]
    read, written = last["input_tokens"], last["output_tokens"]
    request |= {
        "target": last["target"] if request["outcome"] == "ok" else None, "input_tokens": read,
        "output_tokens": written, "nanodollars": sum(a["nanodollars"] for a in attempts),
        "reference_nanodollars": cost("large-400b", read, written) if request["outcome"] == "ok" else None,
        "seconds": sum(a["seconds"] for a in attempts), "first_byte_seconds": attempts[0]["seconds"],
    }  # fmt: skip
    rows["requests"].append(request)
    rows["attempts"] += attempts
    if request["model"].startswith("homespun/") and request["outcome"] == "ok":
        _decision(rng, rows, request, path)


def _answer(rng: random.Random, request: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if not request["model"].startswith("homespun/"):
        request |= {"route": "single", "tiers": ["large-400b"]}
        return [call(rng, request, "large-400b", "answer")], []
    path = [
        {"stage": "taxonomy", "subject": "reasoning/arithmetic", "score": 0.81, "cost": 0.0, "detail": "cell of 4,210"},
        {"stage": "learned", "subject": "small-3b", "score": rng.uniform(0.5, 0.9), "cost": 0.0, "detail": "ridge"},
        {"stage": "blend", "subject": "small-3b", "score": rng.uniform(0.5, 0.9), "cost": 0.0, "detail": "weight 0.6"},
    ]
    attempts: list[dict[str, Any]] = []
    for name in NAMES:
        if name == "medium-30b" and rng.random() < 0.15:
            attempts.append(
                call(rng, request, name, "answer", outcome="error", status=503, error="503 overloaded, try again",
                     nanodollars=0, output_tokens=0)
            )  # fmt: skip
            if rng.random() < 0.1:
                request |= {"route": "none", "status": 502, "outcome": "error", "error": "medium-30b: 503 overloaded"}
                return attempts, path
            continue
        answer = call(rng, request, name, "answer")
        judge = call(rng, request, "small-3b", "judge")
        confidence = min(0.99, max(0.02, rng.betavariate(5, 1.6)))
        attempts += [answer, judge]
        request["tiers"].append(name)
        request["confidence"] = confidence
        path.append(
            {"stage": "ask", "subject": name, "score": None, "cost": answer["nanodollars"] / NANO, "detail": ""}
        )
        path.append(
            {
                "stage": "judge",
                "subject": name,
                "score": confidence,
                "cost": judge["nanodollars"] / NANO,
                "detail": "J4",
            }
        )
        if confidence > 0.7 or name == NAMES[-1]:
            break
    path.append({"stage": "accept", "subject": request["tiers"][-1], "score": confidence, "cost": 0.0, "detail": ""})
    request["route"] = "cascade" if len(request["tiers"]) > 1 else "single"
    return attempts, path


def _decision(
    rng: random.Random, rows: dict[str, list[dict[str, Any]]], request: dict[str, Any], path: list[dict[str, Any]]
) -> None:
    given, when = request["target"], request["time"]
    rows["decisions"].append(
        {
            "request_id": request["id"], "time": when, "router": "r-0007", "dial": "balanced",
            "cell": "reasoning/arithmetic", "arms": NAMES, "chosen": NAMES[0], "answered": given, "propensity": 0.95,
            "expected_quality": 0.83, "expected_cost": request["nanodollars"] / NANO * rng.uniform(0.6, 1.5),
            "confidence": request["confidence"], "path": path, "reading": {"quality": {n: SKILL[n] for n in NAMES}},
            "prompt": "never shown",
        }
    )  # fmt: skip
    right = rng.random() < 0.25 + 0.72 * request["confidence"]

    def label(arm: str, source: str, score: float) -> dict[str, Any]:
        name = f"lab-{rng.getrandbits(96):x}"
        return {"id": name, "request_id": request["id"], "arm": arm, "time": when + 5, "source": source,
                "score": score, "detail": None, "key_id": None}  # fmt: skip

    if rng.random() < 0.2:
        rows["labels"].append(label(given, rng.choice(("validator", "feedback")), float(right)))
    if rng.random() < 0.1:
        rows["labels"].append(label(given, "shadow", float(right)))
        for arm in sorted({"large-400b", "medium-30b"} - {given}):
            rows["labels"].append(label(arm, "shadow", float(rng.random() < SKILL[arm])))


def furnish(connection: sa.Connection, now: float) -> None:
    """Keys, limits, routers and alarms."""
    connection.execute(tables.teams.insert(), [{"id": "search", "created": now - 9e5}])
    made = {"hash": "0" * 64, "models": None, "created": now - 9e5, "expires": None, "revoked": None}
    connection.execute(
        tables.keys.insert(),
        [
            made | {"id": "k1", "name": "Web shop", "team": "search", "admin": False},
            made | {"id": "k2", "name": "Batch jobs", "team": None, "admin": False},
        ],
    )
    keys.set_limit(connection, "all", "", "nanodollars", "month", 500 * NANO)
    keys.set_limit(connection, "team", "search", "nanodollars", "day", 20 * NANO)
    keys.set_limit(connection, "key", "k1", "requests", "minute", 600)
    keys.set_limit(connection, "key", "k2", "tokens", "day", 2_000_000)
    for limit, (spent, reserved) in zip(
        connection.execute(sa.select(tables.limits)).all(),
        ((212 * NANO, 5 * NANO), (19 * NANO, NANO // 2), (41, 60), (0, 0)),
        strict=True,
    ):
        place = {"window": keys.window(limit.period, now)[0], "spent": spent, "reserved": reserved, "wanted": 0}
        connection.execute(tables.meters.insert(), {"limit_id": limit.id, **place})
    router = {"path": "routers/x", "share": 0.0, "report": None}
    gain = {"policy_value": {"mean": 0.021, "low": 0.008, "high": 0.034}, "labels": 512}
    connection.execute(
        tables.routers.insert(),
        [
            router | {"version": "r-0006", "created": now - 8e5, "parent": None, "status": "retired"},
            router | {"version": "r-0007", "created": now - 3e5, "parent": "r-0006", "status": "live", "share": 0.95},
            router
            | {"version": "r-0008", "created": now - 4e3, "parent": "r-0007", "status": "canary", "share": 0.05,
               "report": gain},
            router
            | {"version": "r-0005", "created": now - 9e5, "parent": None, "status": "rejected",
               "report": {"reason": "cell code lost 4.1 points"}},
        ],
    )  # fmt: skip
    alarm = {"id": "alm-1", "time": now - 5400, "kind": "escalation_rate", "value": 0.41, "threshold": 0.35}
    connection.execute(
        tables.alarms.insert(),
        [
            alarm | {"detail": "41 % of requests went past the first tier", "cleared": None},
            alarm | {"id": "alm-2", "kind": "cell_mix", "value": 0.27, "threshold": 0.2, "detail": "PSI of the cells",
                     "time": now - 9e4, "cleared": now - 8e4},
        ],
    )  # fmt: skip


def store(database: Database, rows: dict[str, list[dict[str, Any]]]) -> None:
    def insert(connection: sa.Connection) -> None:
        for name, content in rows.items():
            if content:
                connection.execute(tables.metadata.tables[name].insert(), content)

    database.run_now(insert)


class Fleet:
    def __init__(self) -> None:
        self.open: set[str] = set()

    def health(self) -> list[dict[str, Any]]:
        return [{"target": n, "breaker": "open" if n in self.open else "closed"} for n in NAMES]

    def strongest(self) -> str:
        return max(NAMES, key=lambda name: cost(name, 1000, 1000))


class Books:
    def status(self) -> dict[str, Any]:
        return {"journal_bytes": 0, "waiting": 0}


@dataclass
class Watched:
    """A gateway, as far as the dashboard goes."""

    database: Database
    auth: bool = True
    at_work: int = 3
    config: GatewayConfig = field(default_factory=config)
    fleet: Fleet = field(default_factory=Fleet)
    books: Books = field(default_factory=Books)

    def authenticate(self, request: Any, *, admin: bool = False) -> keys.Key | None:
        if not self.auth:
            return None
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in ("hs-admin", "hs-plain"):
            raise GatewayError(401, "The API key is not valid.", kind="authentication_error", code="invalid_api_key")
        if admin and token != "hs-admin":
            raise GatewayError(403, "This needs an admin's key.", kind="permission_error", code="admin_only")
        return keys.Key("adm", "Ada", None, None, token == "hs-admin", None)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'books.db'}")
    made.run_now(tables.metadata.create_all)
    yield made
    made.close()


@pytest.fixture
def watched(database: Database) -> Watched:
    return Watched(database)


@pytest.fixture
def dashboard_data() -> Callable[[Database, float], None]:
    """Fills a database with the same rows each time."""

    def fill(database: Database, now: float) -> None:
        database.run_now(lambda connection: furnish(connection, now))
        store(database, traffic(random.Random(7), 400, now - 80_000, now - 60))

    return fill


@pytest.fixture
def busy(watched: Watched) -> Watched:
    """With a day of traffic and all that is furnished."""
    now = time.time()
    watched.database.run_now(lambda connection: furnish(connection, now))
    store(watched.database, traffic(random.Random(7), 600, now - 80_000, now - 60))
    return watched


def application(watched: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(dashboard_routes(watched))
    return app


class Served:
    """An application behind a real socket, in a thread of its own."""

    def __init__(self, app: FastAPI) -> None:
        from granian.constants import Interfaces
        from granian.server.embed import Server

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._loop = asyncio.new_event_loop()
        self._server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("no server")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.serve())
        self._loop.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.stop)
            self._thread.join(10)


@pytest.fixture
def served(busy: Watched) -> Iterator[Served]:
    server = Served(application(busy))
    yield server
    server.close()


@pytest.fixture
def served_empty(watched: Watched) -> Iterator[Served]:
    server = Served(application(watched))
    yield server
    server.close()
