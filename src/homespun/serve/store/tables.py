"""The tables of the servers, the same in SQLite and PostgreSQL; migrations are in ``migrations/``.

Money is whole nanodollars (10⁻⁹ dollars), so that sums are exact; times are seconds since 1970, UTC; ids are text.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# --- who may ask, and how much ----------------------------------------------------------------------------------

teams = Table(
    "teams",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created", Float, nullable=False),
)
keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),  # SHA-256 of the secret, hexadecimal; the secret itself is nowhere
    Column("name", Text, nullable=False),
    Column("team", Text, ForeignKey("teams.id"), nullable=True),
    Column("models", JSON, nullable=True),  # names that may be asked for; null: all
    Column("admin", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=True),
    Column("revoked", Float, nullable=True),
)
limits = Table(
    "limits",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject_kind", Text, nullable=False),  # key, team, all
    Column("subject", Text, nullable=False),  # id of the key or team; "" for all
    Column("unit", Text, nullable=False),  # nanodollars, requests, tokens
    Column("period", Text, nullable=False),  # minute, hour, day, week, month, ever
    Column("amount", BigInteger, nullable=False),
    UniqueConstraint("subject_kind", "subject", "unit", "period"),
)
meters = Table(  # how much of a limit is used in one window of its period
    "meters",
    metadata,
    Column("limit_id", Text, nullable=False),
    Column("window", BigInteger, nullable=False),  # second at which the window starts; 0 for "ever"
    Column("spent", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),  # the sum of the leases below
    Column("wanted", BigInteger, nullable=False),  # how often a worker wanted what others hold and may not need
    PrimaryKeyConstraint("limit_id", "window"),
)
leases = Table(  # what a worker holds of a window, to grant from without asking again
    "leases",
    metadata,
    Column("worker", Text, nullable=False),
    Column("limit_id", Text, nullable=False),
    Column("window", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    PrimaryKeyConstraint("worker", "limit_id", "window"),
)
marks = Table(  # counters that tell the workers, who look at them all the time, that there is something to be read
    "marks",
    metadata,
    Column("name", Text, primary_key=True),  # keys, wanted
    Column("version", BigInteger, nullable=False),
)
workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("journal", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("heartbeat", Float, nullable=False),
    Column("ended", Float, nullable=True),
)

# --- what was asked, and what it cost ---------------------------------------------------------------------------

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("time", Float, nullable=False),
    Column("worker", Text, nullable=False),
    Column("key_id", Text, nullable=True),
    Column("team", Text, nullable=True),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),  # as asked for
    Column("target", Text, nullable=True),  # that gave the answer
    Column("route", Text, nullable=False),  # single, cascade, fuse, cache, none
    Column("tiers", JSON, nullable=False),  # targets that were called, in order
    Column("confidence", Float, nullable=True),
    Column("stream", Boolean, nullable=False),
    Column("status", Integer, nullable=False),  # HTTP status that the client saw
    Column("outcome", Text, nullable=False),  # ok, error, cut, cancelled, interrupted
    Column("error", Text, nullable=True),
    Column("cache", Text, nullable=True),  # exact, semantic
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),  # some of the usage is our estimate
    Column("nanodollars", BigInteger, nullable=False),  # all attempts, judges and samples together
    Column("reference_nanodollars", BigInteger, nullable=True),  # what the strongest target would have cost
    Column("seconds", Float, nullable=False),
    Column("first_byte_seconds", Float, nullable=True),
    Column("conversation", Text, nullable=True),
    Column("router", Text, nullable=True),  # version of the router that decided
    Index(None, "time"),
    Index(None, "conversation", "time"),
    Index(None, "key_id", "time"),
)
attempts = Table(  # every call of an upstream: answers, retries, judges, samples, shadows
    "attempts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("target", Text, nullable=False),
    Column("purpose", Text, nullable=False),  # answer, sample, judge, shadow, embedding
    Column("outcome", Text, nullable=False),  # ok, error, cut, cancelled, timeout, interrupted
    Column("status", Integer, nullable=True),  # HTTP status of the upstream
    Column("error", Text, nullable=True),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("nanodollars", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("first_byte_seconds", Float, nullable=True),
    Index(None, "request_id"),
    Index(None, "target", "time"),
)

# --- what was decided, and what came of it ----------------------------------------------------------------------

decisions = Table(
    "decisions",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("time", Float, nullable=False),
    Column("router", Text, nullable=False),
    Column("dial", Text, nullable=False),
    Column("cell", Text, nullable=True),
    Column("arms", JSON, nullable=False),  # arms that could serve the request
    Column("chosen", Text, nullable=False),  # first arm asked
    Column("answered", Text, nullable=True),  # arm whose answer was given
    Column("propensity", Float, nullable=False),  # probability with which `chosen` was chosen
    Column("expected_quality", Float, nullable=True),
    Column("expected_cost", Float, nullable=True),
    Column("confidence", Float, nullable=True),
    Column("path", JSON, nullable=False),  # the Steps of a records.Decision
    Column("reading", JSON, nullable=True),  # numbers that the router saw: per arm quality and cost, cell weights
    Column("prompt", Text, nullable=True),  # only where content may be kept
    Index(None, "time"),
)
labels = Table(
    "labels",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("source", Text, nullable=False),  # validator, feedback, regeneration, judge, shadow
    Column("score", Float, nullable=False),  # 0 to 1
    Column("detail", Text, nullable=True),
    Column("key_id", Text, nullable=True),
    Index(None, "request_id"),
    Index(None, "time"),
)
routers = Table(
    "routers",
    metadata,
    Column("version", Text, primary_key=True),
    Column("created", Float, nullable=False),
    Column("path", Text, nullable=False),
    Column("parent", Text, nullable=True),
    Column("status", Text, nullable=False),  # candidate, canary, live, retired, rejected, rolled_back
    Column("share", Float, nullable=False),  # of traffic
    Column("report", JSON, nullable=True),  # why it was promoted or not
)
alarms = Table(
    "alarms",
    metadata,
    Column("id", Text, primary_key=True),
    Column("time", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("detail", Text, nullable=False),
    Column("cleared", Float, nullable=True),
)

# --- answers that are kept --------------------------------------------------------------------------------------

answers = Table(  # the response cache and answers kept for an idempotency key
    "answers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("target", Text, nullable=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("vector", LargeBinary, nullable=True),
    Index(None, "scope", "created"),
    Index(None, "expires"),
)
