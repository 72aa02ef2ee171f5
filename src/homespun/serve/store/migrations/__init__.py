"""How the tables came to their present form, a step a file in ``versions/``, run by `Database.migrate`.

One transaction does it all, so that of several workers that start at once one migrates and the others find it done:
SQLite's IMMEDIATE transaction holds the only write lock, and on PostgreSQL an advisory lock is taken first.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

_LOCK = 0x686F6D657370756E
"""Advisory lock on PostgreSQL: "homespun"."""


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Takes the steps that are missing."""
    command.upgrade(_config(connection), revision)


def downgrade(connection: Connection, revision: str = "base") -> None:
    """Takes steps back; rows of tables that vanish are lost."""
    command.downgrade(_config(connection), revision)


def _config(connection: Connection) -> Config:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
