"""The store of the battle room: what goes in comes out, nothing is changed, and a vote is taken once."""

import asyncio
import dataclasses
import math
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from homespun.serve.store.arena import ArenaStore, Blob, Event, Interaction, RunRow, SessionRow, Vote, VoteRefused
from homespun.serve.store.arena.ballots import Rehearsed, rehearse
from homespun.serve.store.arena.types import clean
from homespun.serve.store.arena_tables import APPEND_ONLY
from homespun.serve.store.database import Database, DatabaseError

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
Sessions, Runs, Votes = Callable[..., SessionRow], Callable[..., RunRow], Callable[..., Vote]


async def test_a_rehearsal_keeps_nothing(store: ArenaStore, database: Database) -> None:
    def counts(connection: Connection) -> list[int]:
        return [connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0 for name in APPEND_ONLY]

    assert await database.run(counts) == [0] * len(APPEND_ONLY)  # `start` has rehearsed
    with pytest.raises(Rehearsed):
        await database.run(rehearse)
    assert await database.run(counts) == [0] * len(APPEND_ONLY)


async def test_votes_of_any_content_come_back_as_they_were_acknowledged(
    store: ArenaStore, session_row: Sessions, vote_row: Votes
) -> None:
    """Many at once, with all that a text or a number can be; the events that go with them too."""
    odd = ["", "ß 漢字 \U0001f9f6", "a\0b", "\ud800", 'it\'s "quoted" \\ {0} %s :rows $1', "\r\n\t\x01\u2028", "null"]
    numbers = [0.1 + 0.2, 1e-300, -0.0, 1e22, math.nan, math.inf, None, 7.0]
    given = []
    for place, word in enumerate(odd * 2):
        await store.save_session(session_row(f"s{place}"))
        covariates = {f"{word}{number}": value for number, value in enumerate(numbers)}
        more = {"reason": word, "why": word or None, "topic": word, "void": place % 2 == 0, "propensity": 0.1 * place}
        given.append(vote_row(f"s{place}", covariates=covariates, aspects={"correctness": "tie"}, **more))
    told = [
        [Event(session=vote.session, number=n, time=n / 3, kind="vote", body={"text": vote.reason, "n": n, "no": None})
         for n in (1, 2)]
        for vote in given
    ]  # fmt: skip
    receipts = await asyncio.gather(*(store.vote(vote, events) for vote, events in zip(given, told, strict=True)))
    assert {vote.id: vote for vote in await store.votes()} == {one.vote.id: one.vote for one in receipts}
    for vote, receipt, events in zip(given, receipts, told, strict=True):
        assert receipt.vote == dataclasses.replace(vote, **clean(dataclasses.asdict(vote)))
        assert await store.events(vote.session) == [
            dataclasses.replace(event, body=clean(dict(event.body))) for event in events
        ]
        assert (await store.vote(vote, events)).repeated


async def test_what_goes_in_comes_out(store: ArenaStore, session_row: Sessions, run_row: Runs) -> None:
    session = session_row()
    await store.save_session(session)
    await store.save_session(session_row(model_a="another"))
    assert await store.session("s1") == session
    assert await store.session("none") is None
    await store.save_session(session_row("s2", created=session.created + 1))
    assert [row.id for row in await store.sessions()] == ["s2", "s1"]
    assert [row.id for row in await store.sessions(since=session.created + 1)] == ["s2"]
    events = [Event(session="s1", number=n, time=n, kind="turn", side=None, body={"text": "ß\n"}) for n in range(1, 5)]
    await store.add_events(events)
    assert await store.events("s1") == events
    assert [event.number for event in await store.events("s1", after=2)] == [3, 4]
    picture = Blob("image/png", b"\x89PNG\x00")
    run = run_row(
        pictures=[picture.hash],
        screenshots=[{"at": 0.0, "blob": picture.hash, "blank": False}],
        dependencies=[{"kind": "npm", "name": "d3", "version": "latest", "source": "import"}],
    )
    await store.add_run(run, [picture])
    await store.add_run(run_row(code="changed"), [picture])
    assert await store.run("r1") == run
    assert await store.runs("s1") == [run]
    assert await store.blob(picture.hash) == picture
    assert await store.blob("none") is None
    clicks = [Interaction(time=float(n), type="click", payload={"x": n, "y": 1}) for n in range(3)]
    assert await store.add_interactions("r1", clicks) == 3
    assert await store.add_interactions("r1", clicks) == 6
    assert await store.interactions("r1") == clicks + clicks


async def test_what_a_program_prints_can_be_stored(store: ArenaStore, session_row: Sessions, run_row: Runs) -> None:
    await store.save_session(session_row())
    await store.add_run(run_row(stdout="a\0b\ud800", notes={"k\0": float("nan")}))
    found = await store.run("r1")
    assert found is not None
    assert found.stdout == "a\ufffdb?"
    assert found.notes == {"k\ufffd": None}
    assert clean(("x", 1, True, None)) == ["x", 1, True, None]


async def test_pictures_taken_later_belong_to_their_run(
    store: ArenaStore, session_row: Sessions, run_row: Runs
) -> None:
    await store.save_session(session_row())
    await store.add_run(run_row(screenshots=()))
    picture = Blob("image/png", b"seen")
    looks = [{"at": 2.0, "blob": picture.hash, "blank": False, "note": ""}]
    await store.add_looks("r1", looks, [picture])
    await store.add_looks("r1", [], [])
    found = await store.run("r1")
    assert found is not None
    assert list(found.screenshots) == looks
    assert [list(run.screenshots) for run in await store.runs("s1")] == [looks]
    assert await store.blob(picture.hash) == picture
    with pytest.raises(DatabaseError) as raised:
        await store.add_looks("nobody", looks)
    assert raised.value.refused


async def test_rows_are_never_changed_or_taken_away(
    store: ArenaStore, database: Database, session_row: Sessions, run_row: Runs, vote_row: Votes
) -> None:
    await store.save_session(session_row())
    await store.add_event("s1", 1, "turn", 0.0, {})
    await store.add_run(run_row(), [Blob("image/png", b"x")])
    await store.add_looks("r1", [{"at": 0.0, "blob": None, "blank": False, "note": "crashed"}])
    await store.add_interactions("r1", [Interaction(time=0.0, type="load")])
    await store.vote(vote_row())
    columns = {
        "arena_sessions": "voter",
        "arena_events": "kind",
        "arena_runs": "code",
        "arena_looks": "run",
        "arena_interactions": "type",
        "arena_votes": "winner",
        "arena_blobs": "type",
    }
    assert set(columns) == set(APPEND_ONLY)
    statements = [f"UPDATE {table} SET {column} = 'b'" for table, column in columns.items()]
    statements += [f"DELETE FROM {table}" for table in columns]
    if not database.sqlite:
        statements += [f"TRUNCATE {table} CASCADE" for table in columns]
    for statement in statements:
        with pytest.raises(DatabaseError, match="append-only"):
            database.run_now(lambda connection, words=statement: connection.execute(text(words)) and None)
    assert [vote.winner for vote in await store.votes()] == ["a"]


async def test_a_vote_is_taken_once(store: ArenaStore, session_row: Sessions, vote_row: Votes) -> None:
    await store.save_session(session_row())
    vote = vote_row(aspects={"correctness": "a"}, reason="it ran\0", covariates={"lines_a": 3.0, "lines_b": None})
    reveal = [Event(session="s1", number=1, time=1.0, kind="vote", body={"id": vote.id})]
    receipt = await store.vote(vote, reveal)
    assert not receipt.repeated
    again = await store.vote(dataclasses.replace(vote, time=vote.time + 1), reveal)
    assert again.repeated
    assert again.vote == receipt.vote == await store.vote_of("s1")
    assert receipt.vote.time == vote.time
    assert len(await store.events("s1")) == 1
    for changed, code in (
        (dataclasses.replace(vote, winner="b"), "different"),
        (dataclasses.replace(vote, voter="another"), "different"),
        (dataclasses.replace(vote, id=str(uuid.uuid4())), "voted"),
        (dataclasses.replace(vote, id=str(uuid.uuid4()), session="none"), "no_session"),
    ):
        with pytest.raises(VoteRefused) as caught:
            await store.vote(changed, reveal)
        assert caught.value.code == code
    assert await store.count_votes() == 1
    assert await store.votes(after=vote.time) == []


async def test_two_hundred_at_once_in_few_transactions(
    store: ArenaStore, database: Database, session_row: Sessions, vote_row: Votes, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = 0
    real = database.run

    async def counted(fn: Callable[[Connection], object], **settings: bool) -> object:
        nonlocal transactions
        transactions += 1
        return await real(fn, **settings)

    monkeypatch.setattr(database, "run", counted)
    names = [f"s{n}" for n in range(200)]
    await asyncio.gather(*(store.save_session(session_row(name)) for name in names))
    votes = [vote_row(name) for name in names]
    doubles = [dataclasses.replace(vote, winner="b") for vote in votes[:20]]
    seconds = [vote_row(name) for name in names[:10]]
    said = await asyncio.gather(*map(store.vote, votes + votes + doubles + seconds), return_exceptions=True)
    assert transactions < 12
    assert sum(not isinstance(one, BaseException) and not one.repeated for one in said) == 200
    assert sum(not isinstance(one, BaseException) and one.repeated for one in said) == 200
    codes = [one.code for one in said if isinstance(one, VoteRefused)]
    assert (codes.count("different"), codes.count("voted")) == (20, 10)
    assert {vote.id for vote in await store.votes()} == {vote.id for vote in votes}


async def test_who_is_refused_takes_no_one_along(store: ArenaStore, session_row: Sessions, vote_row: Votes) -> None:
    await store.save_session(session_row())
    await store.add_event("s1", 1, "turn", 0.0, {})
    taken = store.add_event("s1", 1, "turn", 0.0, {"again": True})
    lost = store.add_event("none", 1, "turn", 0.0, {})
    good = store.add_event("s1", 2, "turn", 0.0, {})
    vote = vote_row()
    said = await asyncio.gather(taken, lost, good, store.vote(vote), return_exceptions=True)
    assert [isinstance(one, DatabaseError) and one.refused for one in said] == [True, True, False, False]
    assert [event.number for event in await store.events("s1")] == [1, 2]
    assert await store.vote_of("s1") == vote
    await store.close()
    with pytest.raises(DatabaseError, match="closed"):
        await store.vote(vote)


async def test_what_waits_is_written_at_the_close(database: Database, session_row: Sessions) -> None:
    store = ArenaStore(database)
    await store.start()
    writing = asyncio.create_task(store.save_session(session_row()))
    await asyncio.sleep(0)
    await store.close()
    await writing
    assert await store.session("s1") is not None
