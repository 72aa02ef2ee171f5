"""From a request's body to a receipt: what is refused, what is void, what is counted."""

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.serve.battle_room.evidence import Evidence, Subject, covariates_of
from homespun.serve.battle_room.limits import DAY, Limits, LimitSettings
from homespun.serve.battle_room.votes import ASPECTS, Ballot, Ballots, Choice
from homespun.serve.store.arena import ArenaStore, Event, RunRow, SessionRow, VoteRefused
from homespun.serve.store.database import Database, DatabaseError

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/a.db")
    database.migrate()
    yield database
    database.close()


class Counter:
    touched = 0

    def touch(self) -> None:
        self.touched += 1


def session(id: str = "s1", mode: Any = "battle", voter: str = "v") -> SessionRow:
    return SessionRow(id=id, created=0.0, mode=mode, environment="auto", model_a="gpt-4o", model_b="calm one",
                      voter=voter, propensity=0.5)  # fmt: skip


def run(side: Any, **more: Any) -> RunRow:
    row = {"run": f"r-{side}", "session": "s1", "side": side, "turn": 1, "edit": 0, "created": 0.0,
           "environment": "pygame", "language": "python", "filename": "main.py", "code": "# hi\nprint(1)\n",
           "status": "ok", "stderr": "warning\n\n", "seconds": 1.5, "dependencies": [{"kind": "python", "name": "x"}],
           "screenshots": [{"at": 0, "blob": "h", "blank": True}, {"at": 2, "blob": "i", "blank": False}]}  # fmt: skip
    return RunRow(**{**row, **more})


def ballot(row: SessionRow, choice: Choice | None = None, **more: Any) -> Ballot:
    about: dict[str, Any] = {
        "mode": row.mode,
        "a": Evidence(model="gpt-4o", replies=["Here is a snake game."], run=run("a")),
        "b": Evidence(model="calm one", replies=["Here you are."], run=None),
        "prompts": ["Write a snake game in pygame"],
        "names": (),
    }
    fields: dict[str, Any] = {
        "choice": choice or Choice(id=str(uuid.uuid4()), winner="a"),
        "session": row,
        "subject": Subject(**{name: more.pop(name, value) for name, value in about.items()}),
        "voter": row.voter,
        "address": "h",
        "shown": time.time() - 60,
    }
    return Ballot(**{**fields, **more})


def test_a_vote_as_it_is_sent() -> None:
    sent = {
        "id": ID.upper(),
        "winner": "both_bad",
        "aspects": {"efficiency": "a", "correctness": None},
        "reason": " x ",
    }
    found = Choice.parse(sent)
    assert found == Choice(id=ID, winner="both_bad", aspects={"efficiency": "a"}, reason="x")
    assert Choice.parse({"id": ID, "winner": "tie"}) == Choice(id=ID, winner="tie")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "a",
        {},
        {"id": ID},
        {"id": ID, "winner": "c"},
        {"id": ID, "winner": ["a"]},
        {"id": "1", "winner": "a"},
        {"id": f"{ID}\n", "winner": "a"},
        {"id": 7, "winner": "a"},
        {"id": ID, "winner": "a", "model": "x"},
        {"id": ID, "winner": "a", "aspects": []},
        {"id": ID, "winner": "a", "aspects": {"taste": "a"}},
        {"id": ID, "winner": "a", "aspects": {"efficiency": "left"}},
        {"id": ID, "winner": "a", "reason": 3},
        {"id": ID, "winner": "a", "reason": "x" * 4001},
    ],
)
def test_what_is_no_vote(body: object) -> None:
    with pytest.raises(VoteRefused) as caught:
        Choice.parse(body)
    assert (caught.value.code, caught.value.status) == ("invalid", 422)
    assert len(str(caught.value)) < 200


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["id", "winner", "aspects", "reason", *ASPECTS]), inner), max_leaves=10)  # fmt: skip


@given(JUNK)
def test_any_json_is_refused_or_read(body: object) -> None:
    try:
        found = Choice.parse(body)
    except VoteRefused:
        return
    assert found.winner in ("a", "b", "tie", "both_bad")


async def test_a_vote_with_what_its_session_tells(store: ArenaStore) -> None:
    await store.save_session(session())
    board, limits = Counter(), Limits()
    ballots = Ballots(store, limits, board)
    given_vote = ballot(session(), topic="games", prompt_hash="p")
    receipt = await ballots.cast(given_vote, lambda vote: [Event(session="s1", number=1, time=vote.time, kind="vote")])
    vote = receipt.vote
    assert (receipt.repeated, vote.void, vote.why) == (False, False, None)
    assert (vote.model_a, vote.model_b, vote.propensity, vote.topic) == ("gpt-4o", "calm one", 0.5, "games")
    assert (vote.environment_a, vote.environment_b) == ("pygame", None)
    assert (vote.code_language_a, vote.natural_language) == ("python", "en")
    assert vote.covariates == {
        "length_a": 21.0, "lines_a": 2.0, "comments_a": 1.0, "errors_a": 1.0, "dependencies_a": 1.0, "seconds_a": 1.5,
        "ok_a": 1.0, "blank_a": 0.0, "length_b": 13.0,
    }  # fmt: skip
    assert await store.vote_of("s1") == vote
    assert [event.kind for event in await store.events("s1")] == ["vote"]
    again = await ballots.cast(given_vote)
    assert (again.repeated, again.vote, board.touched) == (True, vote, 1)
    with pytest.raises(VoteRefused) as caught:
        await ballots.cast(dataclasses.replace(given_vote, choice=Choice(id=str(uuid.uuid4()), winner="b")))
    assert caught.value.code == "voted"


@pytest.mark.parametrize(
    ("mode", "reply", "names", "void"),
    [
        ("battle", "I am GPT-4o.", (), True),
        ("battle", "// made by the Calm One team\n", (), False),
        ("battle", "# Author: calm one\n", (), True),
        ("battle", "I am Quietude.", ("Quietude",), True),
        ("named", "I am GPT-4o.", (), False),
    ],
)
async def test_a_leak_makes_it_void(
    store: ArenaStore, mode: str, reply: str, names: tuple[str, ...], void: bool
) -> None:
    await store.save_session(session(mode=mode))
    leaky = Evidence(model="calm one", replies=["Fine.", reply], run=None)
    receipt = await Ballots(store, Limits()).cast(ballot(session(mode=mode), b=leaky, names=names))
    assert receipt.vote.void is void
    assert (receipt.vote.why is not None) is void


async def test_who_may_not(store: ArenaStore) -> None:
    ballots = Ballots(store, Limits())
    for row, more, code in (
        (session(mode="direct"), {}, "invalid"),
        (session(), {"shown": None}, "too_soon"),
        (session(), {"shown": time.time()}, "too_soon"),
        (session("nowhere"), {}, "no_session"),
    ):
        with pytest.raises(VoteRefused) as caught:
            await ballots.cast(ballot(row, **more))
        assert caught.value.code == code


async def test_many_at_once_do_not_slip_through(store: ArenaStore) -> None:
    rows = [session(f"s{n}") for n in range(30)]
    for row in rows:
        await store.save_session(row)
    limits = Limits(LimitSettings(votes_per_minute=10))
    ballots = Ballots(store, limits)
    votes = [ballot(row) for row in rows]
    said = await asyncio.gather(*map(ballots.cast, votes), return_exceptions=True)
    assert [isinstance(one, VoteRefused) and one.code == "too_many" for one in said] == [False] * 10 + [True] * 20
    assert await store.count_votes() == 10
    assert (await ballots.cast(votes[3])).repeated, "what was taken is acknowledged again, over the limit too"
    restarted = Limits(LimitSettings(votes_per_minute=10))
    await restarted.load(store)
    with pytest.raises(VoteRefused, match="too many"):
        await Ballots(store, restarted).cast(votes[20])
    with pytest.raises(VoteRefused, match="too many"):
        restarted.admit_vote("another", "h", 0.0, votes_of_day(restarted))


def votes_of_day(limits: Limits) -> float:
    """A moment at which the address has had its day's votes."""
    now = time.time()
    for n in range(limits.settings.address_votes_per_day):
        limits.voted(f"w{n}", "h", now)
    return now + 120


async def test_what_fails_is_not_counted(store: ArenaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.save_session(session())
    limits = Limits(LimitSettings(votes_per_minute=1))

    async def away(*_: object) -> None:
        raise DatabaseError("away", "a.db")

    real = store.vote
    monkeypatch.setattr(store, "vote", away)
    with pytest.raises(DatabaseError):
        await Ballots(store, limits).cast(ballot(session()))
    monkeypatch.setattr(store, "vote", real)
    assert not (await Ballots(store, limits).cast(ballot(session()))).repeated


def test_windows_slide() -> None:
    limits = Limits(LimitSettings(votes_per_minute=2, votes_per_day=3, sessions_per_minute=1))
    for now in (0.0, 30.0):
        limits.admit_vote("v", f"h{now}", -10.0, now)
    with pytest.raises(VoteRefused, match=r"minute.*again in 30 s"):
        limits.admit_vote("v", "h", -10.0, 30.0)
    limits.admit_vote("v", "h", -10.0, 60.0)
    with pytest.raises(VoteRefused, match="day"):
        limits.admit_vote("v", "h", -10.0, 200.0)
    limits.admit_vote("v", "h", -10.0, DAY + 0.5)
    limits.open_session("v", "h", 0.0)
    with pytest.raises(VoteRefused) as caught:
        limits.open_session("v", "h", 1.0)
    assert caught.value.status == 429
    limits.open_session("v", "h", 61.0)


def test_an_unknown_run_is_unknown() -> None:
    assert covariates_of(Evidence(model="m", replies=[])) == {"length": 0.0}
    failed = run("a", status="failed", screenshots=[{"at": 0, "blob": None, "blank": True}])
    assert covariates_of(Evidence(model="m", replies=["x"], run=failed)) | {} == {
        "length": 1.0, "lines": 2.0, "comments": 1.0, "errors": 1.0, "dependencies": 1.0, "seconds": 1.5, "ok": 0.0,
        "blank": None,
    }  # fmt: skip
