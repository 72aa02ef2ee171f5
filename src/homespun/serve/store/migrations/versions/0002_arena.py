"""The tables of the battle room, which only grow.

Revision: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    *("arena_sessions", "arena_events", "arena_runs", "arena_looks", "arena_interactions", "arena_votes"),
    "arena_blobs",
)


def upgrade() -> None:
    """Makes every table, and the triggers that refuse to change or take away a row."""
    _sessions()
    _runs()
    _votes()
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute("""CREATE FUNCTION homespun_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$""")
    for table in _TABLES:
        for statement in _guards_postgresql(table) if postgresql else _guards_sqlite(table):
            op.execute(statement)


def downgrade() -> None:
    """Drops every table, and what is in it."""
    for table in reversed(_TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION homespun_append_only()")


def _guards_sqlite(table: str) -> list[str]:
    return [
        f"""CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}
            BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
        for verb in ("UPDATE", "DELETE")
    ]


def _guards_postgresql(table: str) -> list[str]:
    return [
        f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION homespun_append_only()""",
        f"""CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION homespun_append_only()""",
    ]


def _sessions() -> None:
    op.create_table(
        "arena_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("system_prompt", sa.Text(), nullable=True),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("model_a", sa.Text(), nullable=False),
        sa.Column("model_b", sa.Text(), nullable=True),
        sa.Column("propensity", sa.Float(), nullable=True),
        sa.Column("voter", sa.Text(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arena_sessions")),
    )
    op.create_index(op.f("ix_arena_sessions_created"), "arena_sessions", ["created"])
    op.create_table(
        "arena_events",
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("session", "number", name=op.f("pk_arena_events")),
        sa.ForeignKeyConstraint(["session"], ["arena_sessions.id"], name=op.f("fk_arena_events_session")),
    )


def _runs() -> None:
    op.create_table(
        "arena_runs",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("edit", sa.Integer(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("dependencies", sa.JSON(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("stdout", sa.Text(), nullable=False),
        sa.Column("stderr", sa.Text(), nullable=False),
        sa.Column("build_log", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("screenshots", sa.JSON(), nullable=False),
        sa.Column("pictures", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_arena_runs")),
        sa.ForeignKeyConstraint(["session"], ["arena_sessions.id"], name=op.f("fk_arena_runs_session")),
    )
    op.create_index(op.f("ix_arena_runs_session_created"), "arena_runs", ["session", "created"])
    op.create_table(
        "arena_looks",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("screenshots", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_arena_looks")),
        sa.ForeignKeyConstraint(["run"], ["arena_runs.run"], name=op.f("fk_arena_looks_run")),
    )
    op.create_table(
        "arena_interactions",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("run", "number", name=op.f("pk_arena_interactions")),
        sa.ForeignKeyConstraint(["run"], ["arena_runs.run"], name=op.f("fk_arena_interactions_run")),
    )
    op.create_table(
        "arena_blobs",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_arena_blobs")),
    )


def _votes() -> None:
    op.create_table(
        "arena_votes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("winner", sa.Text(), nullable=False),
        sa.Column("aspects", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("void", sa.Boolean(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("voter", sa.Text(), nullable=False),
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.Column("model_a", sa.Text(), nullable=False),
        sa.Column("model_b", sa.Text(), nullable=False),
        sa.Column("environment_a", sa.Text(), nullable=True),
        sa.Column("environment_b", sa.Text(), nullable=True),
        sa.Column("code_language_a", sa.Text(), nullable=True),
        sa.Column("code_language_b", sa.Text(), nullable=True),
        sa.Column("natural_language", sa.Text(), nullable=True),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("prompt_hash", sa.Text(), nullable=True),
        sa.Column("propensity", sa.Float(), nullable=True),
        sa.Column("covariates", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arena_votes")),
        sa.UniqueConstraint("session", name=op.f("uq_arena_votes_session")),
        sa.ForeignKeyConstraint(["session"], ["arena_sessions.id"], name=op.f("fk_arena_votes_session")),
    )
    op.create_index(op.f("ix_arena_votes_time"), "arena_votes", ["time"])
