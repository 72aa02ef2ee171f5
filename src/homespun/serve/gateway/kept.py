"""Answers that are kept: the cache, exact or by meaning, and the answer to a request that carries an idempotency key.

The cache never answers for tools or for a temperature above zero unless the request asks for it; a hit says that it is
one. What is kept is scoped to the key, the team or everybody, and never crosses that.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson
from anyio import to_thread
from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from homespun.serve.gateway.config import Cache
from homespun.serve.gateway.types import GatewayError
from homespun.serve.store.database import Database
from homespun.serve.store.keys import Key
from homespun.serve.store.tables import answers

Body = dict[str, Any]
BESIDE = frozenset({"stream", "stream_options", "user", "metadata", "safety_identifier", "store"})
"""Fields that do not change an answer."""
WORKING = 0
"""Status of a row whose answer is still being made."""
IDEMPOTENT_SECONDS = 86_400.0
NEIGHBOURS = 2000
"""Newest kept answers that are compared by meaning."""


class Found(NamedTuple):
    """A kept answer."""

    body: bytes
    target: str | None
    how: str
    """exact or semantic."""


class Place(NamedTuple):
    """Where an answer is looked for, and kept."""

    key: str
    scope: str
    question: str | None
    """Text to compare by meaning."""


class Kept:
    """The kept answers of all workers, in the database."""

    def __init__(self, config: Cache, database: Database) -> None:
        self.config, self._database = config, database

    # --- the cache ----------------------------------------------------------------------------------------------

    def place(self, endpoint: str, model: str, body: Body, key: Key | None, asked: str | None) -> Place | None:
        """Where the answer to this request would be kept; ``None`` where it must not be.

        Args:
            endpoint: Name of the endpoint.
            model: The model asked for.
            body: The request.
            key: Who asks.
            asked: ``on`` or ``off``, as the request's header says.
        """
        config = self.config
        if (
            not (config.exact or config.semantic)
            or asked == "off"
            or not (asked == "on" or _repeatable(endpoint, body))
        ):
            return None
        scope = {"key": key.id if key else "", "team": (key.team or key.id) if key else "", "all": ""}[config.scope]
        asking = {name: value for name, value in body.items() if name not in BESIDE and name != "model"}
        whole = _digest(config.scope, scope, endpoint, model, asking)
        question = _question(asking) if config.semantic and endpoint == "chat" else None
        if question is None:
            return Place(whole, whole, None)
        rest = asking | {"messages": asking["messages"][:-1]}
        return Place(whole, _digest(config.scope, scope, endpoint, model, rest), question)

    async def find(self, place: Place) -> Found | None:
        """The answer kept there, or one to a question that means the same."""
        now = time.time()

        def exact(connection: Connection) -> Found | None:
            query = select(answers.c.body, answers.c.target).where(
                answers.c.key == place.key, answers.c.expires > now, answers.c.status == 200
            )
            row = connection.execute(query).first()
            return None if row is None else Found(row.body, row.target, "exact")

        found = await self._database.run(exact)
        if found is not None or place.question is None:
            return found
        vector = await _vector(place.question)

        def near(connection: Connection) -> Found | None:
            query = (
                select(answers.c.body, answers.c.target, answers.c.vector)
                .where(answers.c.scope == place.scope, answers.c.expires > now, answers.c.vector.is_not(None))
                .order_by(answers.c.created.desc())
                .limit(NEIGHBOURS)
            )
            rows = connection.execute(query).all()
            if not rows:
                return None
            likeness = np.stack([np.frombuffer(row.vector, dtype=np.float32) for row in rows]) @ vector
            best = int(np.argmax(likeness))
            if likeness[best] < (self.config.semantic or 1.0):
                return None
            return Found(rows[best].body, rows[best].target, "semantic")

        return await self._database.run(near)

    async def keep(self, place: Place, target: str | None, body: bytes) -> None:
        """Keeps an answer; one that is too large is not kept."""
        if len(body) > self.config.max_bytes:
            return
        now = time.time()
        row: Body = {
            "key": place.key,
            "scope": place.scope,
            "created": now,
            "expires": now + self.config.ttl,
            "target": target,
            "request_hash": place.key,
            "status": 200,
            "body": body,
            "vector": None if place.question is None else (await _vector(place.question)).tobytes(),
        }

        def write(connection: Connection) -> None:
            connection.execute(delete(answers).where(answers.c.expires < now))
            connection.execute(delete(answers).where(answers.c.key == place.key))
            _insert(connection, row)

        await self._database.run(write)

    # --- idempotency --------------------------------------------------------------------------------------------

    async def claim(self, name: str, key: Key | None, request: bytes, seconds: float) -> bytes | None:
        """The answer that this idempotency key already got, or ``None``: then the caller makes it, and must `fulfil`.

        Args:
            name: The idempotency key.
            key: Who asks; keys do not see each other's.
            request: The request's body.
            seconds: How long a claim stands, should its worker die.

        Raises:
            GatewayError: 409 while the first request is at work, 422 for another body under the same key.
        """
        place, digest, now = self._claimed(name, key), hashlib.sha256(request).hexdigest(), time.time()
        row: Body = {
            "key": place,
            "scope": "idempotency",
            "created": now,
            "expires": now + seconds,
            "target": None,
            "request_hash": digest,
            "status": WORKING,
            "body": b"",
            "vector": None,
        }

        def claim(connection: Connection) -> Any:
            connection.execute(delete(answers).where(answers.c.key == place, answers.c.expires < now))
            if _insert(connection, row):
                return None
            return connection.execute(select(answers).where(answers.c.key == place)).first()

        found = await self._database.run(claim)
        if found is None:
            return None
        if found.request_hash != digest:
            what = "This Idempotency-Key was used with another body."
            raise GatewayError(422, what, code="idempotency_mismatch")
        if found.status == WORKING:
            what = "The first request with this Idempotency-Key is still at work."
            raise GatewayError(409, what, code="idempotency_in_progress", retry_after=1)
        return found.body

    async def fulfil(self, name: str, key: Key | None, body: bytes | None) -> None:
        """Keeps the answer to a claim; ``None``: there is none, and the next request may try again."""
        place = self._claimed(name, key)
        if body is None:
            await self._database.run(lambda c: c.execute(delete(answers).where(answers.c.key == place)) and None)
            return
        values: Body = {"status": 200, "body": body, "expires": time.time() + IDEMPOTENT_SECONDS}
        await self._database.run(
            lambda c: c.execute(update(answers).where(answers.c.key == place).values(**values)) and None
        )

    @staticmethod
    def _claimed(name: str, key: Key | None) -> str:
        return _digest("idempotency", key.id if key else "", name)


def _insert(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Whether the row went in; False where its key is taken."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return connection.execute(dialect.insert(answers).values(**row).on_conflict_do_nothing()).rowcount == 1


def _repeatable(endpoint: str, body: Body) -> bool:
    return endpoint == "embeddings" or (body.get("temperature") == 0 and not body.get("tools"))


def _question(body: Body) -> str | None:
    last = body["messages"][-1]
    content = last.get("content")
    return content if last.get("role") == "user" and isinstance(content, str) else None


def _digest(*parts: Any) -> str:
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def _vector(text: str) -> Any:
    from homespun.models.embedding import embed

    return (await to_thread.run_sync(embed, [text]))[0].astype(np.float32)
