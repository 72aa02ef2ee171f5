"""What alembic runs for each command: the steps, on the connection and in the transaction that it was given."""

from alembic import context
from sqlalchemy import Connection

from homespun.serve.store.arena_tables import metadata  # after both modules every table is in it

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
context.run_migrations()
