"""Claim: 200 voters at once on 2 cores, and 95 of 100 have their vote on disk and acknowledged within 200 ms.

    python bench/arena.py [--voters N] [--rounds R] [--spread SECONDS] [--database sqlite|postgresql|both]

The battle room runs as it is served, in a process of its own, on a fresh database: SQLite in a file, and a PostgreSQL
server of its own with its usual settings (commits wait for the disk). Each round has N new voters with a session each
that is ready to be voted on, and an open connection. "At once": all N votes are written in one go; "spread": each at
a random moment of some seconds. A vote's time is from its first byte sent to the last of its answer, which comes after
the commit. The client shares the machine's cores with the server. At the end every acknowledged vote is looked up in
the database. JSON: milliseconds, for each round and over all; the first round of each counts like the others. Beside it
the server's processor time for a vote, which says more than the clock on a machine that others use too.
"""

import argparse
import asyncio
import json
import os
import platform
import pwd
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from homespun.serve.battle_room.limits import Identity, LimitSettings
from homespun.serve.store.arena import ArenaStore, Event, SessionRow
from homespun.serve.store.database import Database

MANY = 10**9
REPLY = "Here is the game.\n```python\n" + "import pygame\n# a comment\nprint('hello')\n" * 60 + "```\n"


async def room(port: int, state: Path, url: str) -> None:
    """The server, until it is killed. Limits of an address are off: all voters share one here."""
    from homespun.serve.battle_room.app import Parts, create_app
    from homespun.serve.battle_room.config import parse
    from homespun.serve.battle_room.contestants import shipped
    from homespun.serve.battle_room.server import listening

    database = Database(url)
    limits = LimitSettings(least_seconds=0.0, address_votes_per_minute=MANY, address_votes_per_day=MANY)
    parts = Parts(arena=parse({"arena": {"limits": {"rooms": 100_000}}}).arena, contestants=shipped(), limits=limits,
                  database=database, state=state, origins=[f"http://127.0.0.1:{port}"], alone=True)  # fmt: skip
    async with listening(create_app(parts), "127.0.0.1", port):
        await asyncio.Event().wait()


def serve(port: int, state: Path, url: str) -> None:
    """As `homespun.serve.battle_room.server.serve`: uvloop and granian, one process."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(room(port, state, url))


async def seat(database: Database, identity: Identity, names: list[str]) -> None:
    """A session for each name, as the room leaves it when both answers are shown."""
    store, now = ArenaStore(database), time.time()
    await store.start()
    talk: list[Any] = [("turn", None, {"turn": 1, "text": "Write a snake game in pygame", "sides": ["a", "b"]})]
    talk += [("generated", side, {"turn": 1, "text": REPLY, "finish": "stop"}) for side in "ab"]
    talk += [("shown", None, {"turn": 1, "seconds": {"a": 1.0, "b": 1.0}})]

    async def one(name: str) -> None:
        row = SessionRow(id=name, created=now, mode="battle", environment="auto", model_a="scripted:loom",
                         model_b="scripted:wheel", voter=identity.voter(token(name)), propensity=0.1)  # fmt: skip
        await store.save_session(row)
        rows = [Event(session=name, number=number, time=now, kind=kind, side=side, body=body)
                for number, (kind, side, body) in enumerate(talk, 1)]  # fmt: skip
        await store.add_events(rows)

    await asyncio.gather(*map(one, names))
    await store.close()


def token(name: str) -> str:
    """The cookie of a session's voter."""
    return f"{name:0<32}"


class Voter:
    """An open connection, and one vote to send over it."""

    def __init__(self, port: int, name: str) -> None:
        self.port, self.name, self.id = port, name, str(uuid.uuid4())
        body = json.dumps({"id": self.id, "winner": random.choice(["a", "b", "tie", "both_bad"])}).encode()
        head = (f"POST /api/sessions/{name}/votes HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"Origin: http://127.0.0.1:{port}\r\nCookie: room={token(name)}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")  # fmt: skip
        self.request = head.encode() + body

    async def connect(self) -> None:
        """Opens the connection, and looks at the session: a voter has been in it for a while."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        asked = f"GET /api/sessions/{self.name} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n"
        await self._ask(asked.encode(), b"200")

    async def _ask(self, request: bytes, status: bytes) -> None:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
        body = await self.reader.readexactly(length)
        if head.split(maxsplit=2)[1] != status:
            raise SystemExit(f"not {status.decode()}: {head[:60]!r} {body[:200]!r}")

    async def vote(self, delay: float) -> float:
        """Seconds from the vote to its receipt."""
        await asyncio.sleep(delay)
        started = time.perf_counter()
        await self._ask(self.request, b"201")
        took = time.perf_counter() - started
        self.writer.close()
        return took


async def rounds(url: str, state: Path, port: int, args: argparse.Namespace) -> dict[str, Any]:
    """Both patterns on one database."""
    database, identity = Database(url), Identity.load(state)
    database.migrate()
    started = subprocess.Popen([sys.executable, __file__, "--serve", str(port), str(state), url])
    try:
        await up(port)
        found, acknowledged = {}, set[str]()
        for pattern, spread in (("at_once", 0.0), ("spread", args.spread)):
            times: list[list[float]] = []
            busy: list[float] = []
            for _ in range(args.rounds):
                names = [f"{pattern.replace('_', '')}{uuid.uuid4().hex}"[:30] for _ in range(args.voters)]
                await seat(database, identity, names)
                voters = [Voter(port, name) for name in names]
                await asyncio.gather(*(voter.connect() for voter in voters))
                await asyncio.sleep(4.0)  # the ranking of the last round is over, or not
                before = cpu_seconds(started.pid)
                times.append(await asyncio.gather(*(voter.vote(random.uniform(0, spread)) for voter in voters)))
                busy.append((cpu_seconds(started.pid) - before) / args.voters)
                acknowledged |= {voter.id for voter in voters}
            cpu = round(1000 * statistics.median(busy), 2)
            everything = told([one for part in times for one in part])
            found[pattern] = {"all": everything, "server_cpu_per_vote": cpu, "rounds": [told(one) for one in times]}
        votes = [vote.id for vote in await ArenaStore(database).votes()]
        counts = {"acknowledged": len(acknowledged), "lost": len(acknowledged - set(votes)), "in_database": len(votes),
                  "doubled": len(votes) - len(set(votes))}  # fmt: skip
        return {**counts, **found}
    finally:
        started.kill()
        started.wait()
        database.close()


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def told(times: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    named = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "most": max(times)}
    return {name: round(value * 1000, 1) for name, value in named.items()}


async def up(port: int) -> None:
    """Waits for the server."""
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise SystemExit("the room does not start")


@contextmanager
def postgresql() -> Iterator[str]:
    """A server of our own, with its usual settings."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2]))
    folder = Path(tempfile.mkdtemp(prefix="hs-pg-"))
    user: dict[str, Any] = {}
    if os.getuid() == 0:  # which PostgreSQL refuses to be
        entry = pwd.getpwnam("postgres")
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def call(program: str, *arguments: str) -> None:
        subprocess.run([programs / program, "-D", folder / "data", *arguments], cwd=folder, check=True, timeout=120,
                       stdout=subprocess.DEVNULL, **user)  # fmt: skip

    try:
        call("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        yield f"postgresql://postgres@/postgres?host={folder}"
        call("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voters", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--spread", type=float, default=2.0)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    args = parser.parse_args()
    report: dict[str, Any] = {
        "voters": args.voters, "rounds": args.rounds, "spread_seconds": args.spread, "unit": "milliseconds",
        "python": platform.python_version(), "cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 1),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="hs-arena-") as folder:
        if args.database != "postgresql":
            url = f"sqlite:///{folder}/room.db"
            report["sqlite"] = asyncio.run(rounds(url, Path(folder) / "state", free_port(), args))
        if args.database != "sqlite":
            with postgresql() as url:
                report["postgresql"] = asyncio.run(rounds(url, Path(folder) / "state2", free_port(), args))
    report["load_after"] = round(os.getloadavg()[0], 1)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        main()
