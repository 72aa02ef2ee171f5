"""The database: what a wrong URL says, and tables that are what `tables` says, up and down."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from homespun.errors import ConfigError
from homespun.serve.store.database import Database, DatabaseError
from homespun.serve.store.migrations import downgrade
from homespun.serve.store.tables import metadata


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)


def test_migrations_make_exactly_the_tables(database_url: str) -> None:
    database = Database(database_url)
    assert len(database.run_now(differences)) >= len(metadata.tables)
    for _ in range(2):
        database.migrate()
    assert database.run_now(differences) == []
    database.run_now(downgrade)
    assert database.run_now(lambda c: inspect(c).get_table_names()) == ["alembic_version"]
    database.migrate()
    assert database.run_now(differences) == []
    database.close()


MIGRATE = "import sys; from homespun.serve.store.database import Database; Database(sys.argv[1]).migrate()"


@pytest.mark.slow
def test_workers_that_start_at_once_migrate_once(database_url: str) -> None:
    starting = [subprocess.Popen([sys.executable, "-c", MIGRATE, database_url]) for _ in range(4)]
    assert [process.wait(60) for process in starting] == [0, 0, 0, 0]
    database = Database(database_url)
    assert database.run_now(differences) == []
    database.close()


def test_a_transaction_is_all_or_nothing(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()

    def half(connection: Connection) -> None:
        connection.execute(text("INSERT INTO teams VALUES ('a', 1.0)"))
        raise KeyError("b")

    with pytest.raises(KeyError):
        database.run_now(half)
    assert database.run_now(lambda c: c.execute(text("SELECT count(*) FROM teams")).scalar(), read_only=True) == 0
    with pytest.raises(DatabaseError) as caught:
        database.run_now(lambda c: c.execute(text("INSERT INTO teams VALUES (NULL, 1.0)")) and None)
    assert caught.value.refused
    database.close()
    with pytest.raises(DatabaseError, match="closed"):
        database.run_now(lambda _: None)


@pytest.mark.anyio
async def test_nested_transactions_are_refused(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/deep/er/a.db")
    assert (tmp_path / "deep" / "er").is_dir()
    with pytest.raises(RuntimeError, match="within a transaction"):
        await database.run(lambda _: database.run_now(lambda _: None))
    assert await database.run(lambda c: c.execute(text("SELECT 1")).scalar()) == 1
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://root:geheim@host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://me:geheim@host:port/db",
        "postgresql+asyncpg://me:geheim@host/db",
    ],
)
def test_a_wrong_url_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Database(url)
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreachable_server_is_one_line_without_the_password(tmp_path: Path) -> None:
    database = Database(f"postgresql://me:geheim@/db?host={tmp_path}")
    assert "geheim" not in repr(database)
    with pytest.raises(ConfigError) as caught:
        database.migrate()
    assert "geheim" not in str(caught.value)
    assert "db" in str(caught.value)
    database.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database at all, but long enough to have what should be a header" * 20)
    database = Database(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(ConfigError, match="not a database"):
        database.migrate()
    database.close()
