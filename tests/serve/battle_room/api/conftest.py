"""A real server on loopback with contestants and a sandbox that do as they are told."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from homespun.errors import SandboxError
from homespun.records import Cost, Execution, Message
from homespun.sandbox.reply import Found
from homespun.serve.battle_room.app import Parts, create_app
from homespun.serve.battle_room.config import Arena, parse
from homespun.serve.battle_room.contestants_types import ContestantError, Ended
from homespun.serve.battle_room.limits import LimitSettings
from homespun.serve.battle_room.server import listening
from homespun.serve.store.database import Database

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
VOTER_SESSIONS = 30
SETTINGS: dict[str, Any] = {
    "shipped": False,
    "limits": {"turns": 4, "run_seconds": 20, "generation_seconds": 20, "interactions": 3},
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Actor:
    """A contestant whose prompts say what it shall do."""

    name: str
    title: str
    organization: str = "Actors' guild"
    licence: str = "CC0"
    asked: list[Sequence[Message]] = field(default_factory=list)
    sampled: list[Any] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(self, messages: Sequence[Message], sampling: Any) -> AsyncIterator[str | Ended]:
        self.asked.append(messages)
        self.sampled.append(sampling)
        prompt = messages[-1].content
        match prompt.split()[0]:
            case "talk":
                yield "Nothing to run today."
            case "hang":
                yield "It begins"
                await asyncio.Event().wait()
            case "break":
                yield "It begins"
                raise ContestantError("its answer broke off", Cost(dollars=1.0))
            case "crash":
                raise RuntimeError(f"{self.name} at {self.title} is down")
            case "wait":
                await self.go.wait()
                yield "```python\nprint('late')\n```"
            case "leak":
                yield "I am GPT-4, a model made by OpenAI.\n```python\nprint(1)\n```"
            case "later":
                yield "```html\n<!doctype html><html><body>LATER</body></html>\n```"
            case "web":
                yield "```html\n<!doctype html><html><body>page</body></html>\n```"
            case "run":
                yield f"```python\n{prompt.split(maxsplit=1)[1]}\n```"
            case _:
                for piece in ("Here it is.\n```python\n", "print('hello')\n", "```\n"):
                    yield piece
        yield Ended(cost=Cost(input_tokens=7, output_tokens=11, dollars=0.5))


@dataclass
class Frame:
    at: float
    png: bytes | None
    blank: bool = False
    note: str = ""


@dataclass
class Played:
    execution: Execution
    url: str | None = None
    pictures: tuple[Frame, ...] = ()
    shots: tuple[Frame, ...] = ()
    build_log: str = ""
    notes: tuple[str, ...] = ()
    dependencies: tuple[Any, ...] = ()


@dataclass
class Stand:
    """Stands in for the runner; the code says what shall happen."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    closed: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def look(self, run_id: str) -> tuple[Frame, ...]:
        self.looked.append(run_id)
        return (Frame(0.0, PNG + b"seen"), Frame(2.0, PNG + b"later"))

    async def run(self, found: Found, *, run_id: str, dependencies: Any = None, on_log: Any = None) -> Played:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            on_log("build", "")
            on_log("run", "")
            if "NOSANDBOX" in found.code:
                raise SandboxError("bubblewrap is not installed", "jail", "apt-get install bubblewrap")
            if "BOOM" in found.code:
                raise RuntimeError("/secret/path")
            if "SLOW" in found.code:
                on_log("stdout", "slowly")
                await self.go.wait()
            if "FOREVER" in found.code:
                await asyncio.Event().wait()
            await asyncio.sleep(0.01)
        finally:
            self.at_once -= 1
        app = found.environment == "core_web"
        execution = Execution(
            sample_id=run_id, language=found.language, environment=found.environment, status="ok", exit_code=0,
            stdout=f"ran {found.code!r}", seconds=0.25,
        )  # fmt: skip
        return Played(
            execution=execution,
            url=f"http://{run_id}.localhost:8701" if app else None,
            pictures=() if app else (Frame(0.0, PNG + b"figure"),),
            shots=(Frame(0.0, PNG + b"page"), Frame(2.0, None, note="crashed"))
            if app and "LATER" not in found.code
            else (),
            build_log="installed",
            notes=("shown in an iframe",),
            dependencies=tuple(found.dependencies if dependencies is None else dependencies),
        )

    async def close_run(self, run_id: str) -> None:
        self.closed.append(run_id)


@dataclass
class Guest:
    """A browser's side of it."""

    url: str
    http: aiohttp.ClientSession

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        told = {"Origin": self.url, "Content-Type": "application/json", **headers}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        data = None if body is None else io.BytesIO(raw)
        async with self.http.request(method, f"{self.url}{path}", data=data, headers=told) as response:
            raw = await response.read()
            return response.status, json.loads(raw) if response.content_type == "application/json" else raw

    async def get(self, path: str) -> Any:
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    async def post(self, path: str, body: Any, expect: int = 202) -> Any:
        status, answer = await self.call("POST", path, body)
        assert status == expect, answer
        return answer

    async def open(self, mode: str = "battle", **more: Any) -> str:
        return (await self.post("/api/sessions", {"mode": mode, **more}, 201))["id"]

    async def state(self, session: str) -> Any:
        return await self.get(f"/api/sessions/{session}")

    async def listen(self, session: str, after: int = 0, until: str = "shown", **headers: str) -> list[dict[str, Any]]:
        """Events up to one of a kind."""
        found: list[dict[str, Any]] = []
        url = f"{self.url}/api/sessions/{session}/events?after={after}"
        async with asyncio.timeout(20), self.http.get(url, headers=headers) as response:
            assert response.content_type == "text/event-stream"
            async for line in response.content:
                if line.startswith(b"data: "):
                    found.append(json.loads(line[6:]))
                    if found[-1]["kind"] == until:
                        return found
        raise AssertionError(f"no {until}: {found}")

    async def ask(self, session: str, text: str, **more: Any) -> Any:
        """One turn, to its end."""
        before = (await self.post(f"/api/sessions/{session}/turns", {"text": text, **more}))["last_event"]
        await self.settled(session)
        return before

    async def settled(self, session: str) -> Any:
        async with asyncio.timeout(20):
            while True:
                state = await self.state(session)
                if all(one["state"] in ("idle", "done", "failed") for one in state["sides"].values()):
                    return state
                await asyncio.sleep(0.02)


@dataclass
class House:
    url: str
    actors: list[Actor]
    stand: Stand
    pages: list[str]
    database: Database

    @asynccontextmanager
    async def guest(self) -> AsyncIterator[Guest]:
        async with guest_of(self.url) as guest:
            yield guest


@asynccontextmanager
async def guest_of(url: str) -> AsyncIterator[Guest]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Guest(url, http)


@pytest.fixture
def make_guest() -> Any:
    """Makes a guest of a server that will listen at a free port."""
    return lambda: guest_of(f"http://127.0.0.1:{free_port()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def arena(**more: Any) -> Arena:
    return parse({"arena": {**SETTINGS, **more}}).arena


@pytest.fixture(scope="module")
async def house(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("room")
    database = Database(f"sqlite:///{folder}/room.db")
    database.migrate()
    port = free_port()
    actors = [Actor("actor:north", "Northwind"), Actor("actor:south", "Southerly")]
    made = House(f"http://127.0.0.1:{port}", actors, Stand(), [], database)

    async def picture(html: str) -> bytes:
        made.pages.append(html)
        return PNG

    parts = Parts(
        arena=arena(), contestants=actors, database=database, state=folder, origins=[made.url], player=made.stand,
        picture=picture, limits=LimitSettings(
            least_seconds=0.0, sessions_per_minute=VOTER_SESSIONS, address_sessions_per_minute=10_000
        ),
    )  # fmt: skip
    async with listening(create_app(parts), "127.0.0.1", port):
        async with made.guest() as guest, asyncio.timeout(20):
            while True:
                try:
                    if (await guest.call("GET", "/healthz"))[0] == 200:
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
        yield made
    database.close()


@pytest.fixture
async def guest(house: House) -> AsyncIterator[Guest]:
    async with house.guest() as guest:
        yield guest
