"""What the servers' tests share: a fresh database for each, SQLite and PostgreSQL."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from homespun.serve.store.arena import ArenaStore
from homespun.serve.store.database import Database


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The socket's folder of a PostgreSQL server that this session starts for itself."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail("PostgreSQL is not installed: make setup brings it")
    programs, folder = found[-1].parent, Path(tempfile.mkdtemp(prefix="hs-pg-"))
    user: dict[str, Any] = {}
    if os.getuid() == 0:  # which PostgreSQL refuses to be
        entry = next(e for name in ("postgres", "nobody") for e in pwd.getpwall() if e.pw_name == name)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, "-D", folder / "data", *arguments], cwd=folder, check=False, timeout=120,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **user,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()

    try:
        call("initdb", "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=200"
        call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        yield str(folder)
        call("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql: str) -> Iterator[str]:
    """A fresh database on PostgreSQL."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(host=postgresql, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"postgresql://postgres@/{name}?host={postgresql}"
    with psycopg.connect(host=postgresql, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database on each kind that the servers know."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return f"sqlite:///{tmp_path}/homespun.db"


@pytest.fixture
async def store(database: Database) -> AsyncIterator[ArenaStore]:
    """The battle room's store on a folder's ``database``."""
    store = ArenaStore(database)
    await store.start()
    yield store
    await store.close()
