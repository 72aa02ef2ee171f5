"""The database of the servers: one connection, on one long-lived thread per worker, so that no event loop blocks on it.

SQLite runs in WAL mode with ``synchronous=FULL``: the books write about ten batches a second, so that one fsync per
commit costs about a hundredth of this thread's time, and a journal may be deleted as soon as its batch is committed,
even if the power then fails (``NORMAL`` could lose a commit whose journal is already gone). Every writing transaction
begins IMMEDIATE, so that it waits for its turn at the start and never fails half-way.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError

from homespun.errors import ConfigError, HomespunError

T = TypeVar("T")

BUSY_SECONDS = 10
"""How long a transaction waits for its turn."""
_READ_ONLY = {"homespun_read_only": True}
_HINT = "sqlite:///homespun.db, or postgresql://user@host/name"


class DatabaseError(HomespunError, RuntimeError):
    """A transaction failed. Unless it broke at its very end, nothing of it was done.

    Attributes:
        refused: The data was refused; else the database is away, busy or full, and the same may work later.
    """

    def __init__(self, what: str, where: str, *, refused: bool = False) -> None:
        super().__init__(what, where, None if refused else "is the database up, and is there space?")
        self.refused = refused


class Database:
    """A database by its URL.

    Args:
        url: An SQLAlchemy URL, SQLite or PostgreSQL; the folder of an SQLite file is made.

    Raises:
        ConfigError: the URL is wrong. It is never shown with a password.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self.where = self._url.render_as_string(hide_password=True)
        """The URL, fit for the eye."""
        self._engine = _engine(self._url, self.where)
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="homespun-database", daemon=True)
        self._closed = False
        self._thread.start()

    def __repr__(self) -> str:
        return f"Database({self.where!r})"

    @property
    def sqlite(self) -> bool:
        """Whether it is an SQLite file."""
        return self._url.get_backend_name() == "sqlite"

    def migrate(self) -> None:
        """Brings the tables to the newest form; safe while others do the same.

        Raises:
            ConfigError: the database cannot be reached or written.
        """
        from homespun.serve.store.migrations import upgrade

        try:
            self.run_now(upgrade)
        except DatabaseError as error:
            raise ConfigError(error.what, self.where, _HINT) from None

    async def run(self, fn: Callable[[Connection], T], *, read_only: bool = False) -> T:
        """Runs ``fn`` in one transaction on the database's thread, without blocking the event loop.

        If the awaiting task is cancelled, a transaction that has begun goes on to its end.

        Args:
            fn: Gets the connection; what it returns is returned, and what it raises undoes the transaction.
            read_only: It only reads, and need not wait for writers.

        Raises:
            DatabaseError: the transaction failed.
        """
        return await asyncio.wrap_future(self._submit(lambda: self._transact(fn, read_only)))

    def run_now(self, fn: Callable[[Connection], T], *, read_only: bool = False) -> T:
        """The same, blocking; not from within another transaction.

        Raises:
            DatabaseError: the transaction failed.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("a transaction within a transaction: pass the connection on instead")
        return self._submit(lambda: self._transact(fn, read_only)).result()

    def close(self) -> None:
        """Ends the thread and the connection, once what was asked for is done."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()

    def _submit(self, job: Callable[[], T]) -> "Future[T]":
        if self._closed:
            raise DatabaseError("is closed", self.where)
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return future

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            future, job = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:
                    future.set_exception(error)
            del item, future, job  # keep nothing alive while waiting for the next
        self._engine.dispose()

    def _transact(self, fn: Callable[[Connection], T], read_only: bool) -> T:
        try:
            with self._engine.connect() as connection:
                if read_only:
                    connection = connection.execution_options(**_READ_ONLY)
                with connection.begin():
                    return fn(connection)
        except SQLAlchemyError as error:
            raise _told(error, self.where) from None


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError("no database URL", "server.database", _HINT) from None
    where = url.render_as_string(hide_password=True)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise ConfigError(f"{url.drivername!r} is no database that the gateway knows", where, _HINT)
    if url.get_backend_name() == "sqlite" and (not url.database or url.database == ":memory:"):
        raise ConfigError("workers cannot share a database in memory", where, _HINT)
    return url


def _engine(url: URL, where: str) -> Engine:
    try:
        if url.get_backend_name() == "sqlite":
            folder = Path(url.database or "").parent
            folder.mkdir(parents=True, exist_ok=True)
            engine = create_engine(
                url, hide_parameters=True, pool_size=1, max_overflow=0, connect_args={"timeout": BUSY_SECONDS}
            )
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        arguments = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "application_name": "homespun"}
        engine = create_engine(
            url, hide_parameters=True, pool_size=1, max_overflow=0, pool_pre_ping=True, connect_args=arguments
        )
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    except OSError as error:
        what = f"its folder cannot be made: {error.strerror}"
        raise ConfigError(what, where, "server.database in homespun.toml") from None
    except (SQLAlchemyError, TypeError, ValueError, ImportError):
        raise ConfigError("no database URL", where, _HINT) from None


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("homespun_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _prepare_postgresql(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        cursor.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _told(error: SQLAlchemyError, where: str) -> DatabaseError:
    """One line, without parameters and without what the driver quotes of them."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    first = (str(cause).strip().splitlines() or [""])[0]
    return DatabaseError(
        f"{type(cause).__name__}: {first[:200]}", where, refused=isinstance(error, IntegrityError | DataError)
    )
