"""The decision behind a request that the gateway answered, read back from the books."""

import sqlalchemy as sa
from sqlalchemy import Connection

from homespun.errors import DataError
from homespun.records import Cost, Decision, Step
from homespun.serve.gateway.config import GatewayConfig
from homespun.serve.gateway.types import NANO
from homespun.serve.store import tables
from homespun.serve.store.database import Database


def find(config: GatewayConfig, request_id: str) -> Decision:
    """The decision of a request, by the id that its answer carried in ``x-request-id``.

    Raises:
        DataError: no such request, or one that asked for a model by name, so that nothing was decided.
        ConfigError: the database cannot be reached.
    """
    database = Database(config.database_url())
    try:
        database.migrate()
        return database.run_now(lambda connection: _read(connection, request_id, database.where), read_only=True)
    finally:
        database.close()


def _read(connection: Connection, request_id: str, where: str) -> Decision:
    r, d = tables.requests.c, tables.decisions.c
    asked = connection.execute(sa.select(r.model, r.nanodollars).where(r.id == request_id)).first()
    if asked is None:
        raise DataError(f"no request {request_id[:80]!r} on the books", where, "an id from x-request-id")
    found = connection.execute(sa.select(tables.decisions).where(d.request_id == request_id)).first()
    if found is None:
        raise DataError(f"request {request_id} asked for {asked.model} by name", where, "a homespun/… model")
    return Decision(
        prompt_id=request_id,
        chosen=found.answered or found.chosen,
        path=tuple(Step.model_validate(step) for step in found.path),
        expected_quality=found.expected_quality,
        expected_cost=found.expected_cost,
        confidence=found.confidence,
        spent=Cost(dollars=asked.nanodollars / NANO),
    )
