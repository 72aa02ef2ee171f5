"""The tables of the battle room, the same in SQLite and PostgreSQL. They only grow: triggers refuse UPDATE and DELETE.

Sides are ``a`` and ``b`` (direct chat has only ``a``); times are seconds since 1970, UTC; voters and addresses are
salted hashes.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from homespun.serve.store.tables import metadata

arena_sessions = Table(
    "arena_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created", Float, nullable=False),
    Column("mode", Text, nullable=False),  # battle, named, direct
    Column("environment", Text, nullable=False),  # as asked for: auto, react, …
    Column("system_prompt", Text, nullable=True),
    Column("sampling", JSON, nullable=False),
    Column("model_a", Text, nullable=False),
    Column("model_b", Text, nullable=True),
    Column("propensity", Float, nullable=True),  # chance with which this pair was drawn
    Column("voter", Text, nullable=False),
    Column("config", JSON, nullable=False),
    Index(None, "created"),
)
arena_events = Table(
    "arena_events",
    metadata,
    Column("session", Text, ForeignKey("arena_sessions.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("time", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("side", Text, nullable=True),
    Column("body", JSON, nullable=False),
    PrimaryKeyConstraint("session", "number"),
)
arena_runs = Table(
    "arena_runs",
    metadata,
    Column("run", Text, primary_key=True),
    Column("session", Text, ForeignKey("arena_sessions.id"), nullable=False),
    Column("side", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("edit", Integer, nullable=False),  # 0: the model's own program
    Column("created", Float, nullable=False),
    Column("environment", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("dependencies", JSON, nullable=False),  # [{kind, name, version, source}]
    Column("status", Text, nullable=False),  # ok, failed, timeout, memory, unavailable
    Column("exit_code", Integer, nullable=True),
    Column("stdout", Text, nullable=False),
    Column("stderr", Text, nullable=False),
    Column("build_log", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("screenshots", JSON, nullable=False),  # [{at, blob or null, blank}]
    Column("pictures", JSON, nullable=False),  # hashes of blobs
    Column("notes", JSON, nullable=False),
    Index(None, "session", "created"),
)
arena_looks = Table(  # pictures of a run's page that were taken after it had been shown
    "arena_looks",
    metadata,
    Column("run", Text, ForeignKey("arena_runs.run"), primary_key=True),
    Column("screenshots", JSON, nullable=False),  # [{at, blob or null, blank}]
)
arena_interactions = Table(
    "arena_interactions",
    metadata,
    Column("run", Text, ForeignKey("arena_runs.run"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("time", Float, nullable=False),
    Column("type", Text, nullable=False),  # load, resize, keydown, click, scroll, captureError
    Column("payload", JSON, nullable=False),
    PrimaryKeyConstraint("run", "number"),
)
arena_votes = Table(
    "arena_votes",
    metadata,
    Column("id", Text, primary_key=True),  # made by the client, so that a vote may be sent again
    Column("session", Text, ForeignKey("arena_sessions.id"), nullable=False),
    Column("time", Float, nullable=False),
    Column("mode", Text, nullable=False),
    Column("winner", Text, nullable=False),  # a, b, tie, both_bad
    Column("aspects", JSON, nullable=False),
    Column("reason", Text, nullable=True),
    Column("void", Boolean, nullable=False),
    Column("why", Text, nullable=True),  # it is void
    Column("voter", Text, nullable=False),
    Column("address_hash", Text, nullable=False),
    Column("model_a", Text, nullable=False),
    Column("model_b", Text, nullable=False),
    Column("environment_a", Text, nullable=True),
    Column("environment_b", Text, nullable=True),
    Column("code_language_a", Text, nullable=True),
    Column("code_language_b", Text, nullable=True),
    Column("natural_language", Text, nullable=True),
    Column("topic", Text, nullable=True),
    Column("prompt_hash", Text, nullable=True),
    Column("propensity", Float, nullable=True),
    Column("covariates", JSON, nullable=False),  # {lines_a, lines_b, …}
    UniqueConstraint("session"),
    Index(None, "time"),
)
arena_blobs = Table(
    "arena_blobs",
    metadata,
    Column("hash", Text, primary_key=True),  # SHA-256, hexadecimal
    Column("type", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

APPEND_ONLY = (
    *("arena_sessions", "arena_events", "arena_runs", "arena_looks", "arena_interactions", "arena_votes"),
    "arena_blobs",
)
