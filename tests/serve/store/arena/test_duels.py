"""Sessions of the store through every published shape and back into another store; the command that does it."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from homespun.arena import Config, leaderboard, read_votes
from homespun.arena.records import Duel, Interaction, Judgement, Message, Run, Side
from homespun.arena.records.files import FORMATS
from homespun.cli.main import run
from homespun.serve.battle_room.sessions import fold
from homespun.serve.store.arena import ArenaStore, Blob, Event, RunRow, SessionRow, Vote
from homespun.serve.store.arena import Interaction as Click
from homespun.serve.store.arena.duels import PNG, add, duels
from homespun.serve.store.database import Database

pytestmark = pytest.mark.slow
PICTURE = Blob("image/png", PNG + b"pixels")


async def talk(store: ArenaStore, session_row: Callable[..., SessionRow], run_row: Callable[..., RunRow],
               vote_row: Callable[..., Vote], id: str = "s1", vote: bool = True) -> None:  # fmt: skip
    """A session as the room writes it: two turns, one of them made anew, a run of each side, a vote."""
    await store.save_session(session_row(id, system_prompt="Be brief.", environment="pygame", created=1000.0,
                                         sampling={"temperature": 0.7, "top_p": 0.95, "max_tokens": 100}))  # fmt: skip

    def said(side: str, turn: int, text: str, time: float) -> tuple[str, str, dict[str, Any], float]:
        return (
            "generated",
            side,
            {"turn": turn, "text": text, "finish": "stop", "seconds": 1.0, "started": time - 1},
            time,
        )

    both = ["a", "b"]
    told: list[Any] = [
        ("turn", None, {"turn": 1, "text": "A snake, mail x@mail.com", "sides": both}, 1001.0),
        said("a", 1, "one", 1002.0),
        said("b", 1, "eins", 1003.0),
        ("turn", None, {"turn": 1, "text": "A snake, mail x@mail.com", "sides": ["a"]}, 1004.0),
        said("a", 1, "one again", 1005.0),
        ("shown", None, {"turn": 1, "seconds": {"a": 1.0}}, 1005.5),
        ("turn", None, {"turn": 2, "text": "faster", "sides": both}, 1006.0),
        said("a", 2, "two", 1007.0),
        ("failed", "b", {"turn": 2, "message": "it failed"}, 1007.0),
    ]
    rows = [Event(session=id, number=number, kind=kind, side=side, body=body, time=time)
            for number, (kind, side, body, time) in enumerate(told, 1)]  # fmt: skip
    await store.add_events(rows)
    packages = [{"kind": "python", "name": "pygame", "version": "==2.6", "source": "import"},
                {"kind": "npm", "name": "d3", "version": "latest", "source": "import"}]  # fmt: skip
    shots = [{"at": 0.0, "blob": None, "blank": True}, {"at": 2.0, "blob": PICTURE.hash, "blank": False}]
    await store.add_run(
        run_row(f"{id}-ra", id, environment="pygame", dependencies=packages, screenshots=shots), [PICTURE]
    )
    await store.add_run(run_row(f"{id}-rb", id, side="b", status="failed", stdout="", stderr="boom"))
    await store.add_interactions(f"{id}-ra", [Click(time=1008.0, type="click", payload={"x": 3, "y": 4})])
    if vote:
        told_of = {"environment_a": "pygame", "environment_b": "interpreter", "topic": "Game Development"}
        cast = vote_row(id, id=f"vote-{id}", time=1010.0, winner="b", aspects={"efficiency": "a"}, reason="quick",
                        propensity=0.25, covariates={"lines_a": 1.0, "lines_b": 1.0}, **told_of)  # fmt: skip
        await store.vote(cast)


EXPECTED = Duel(
    session="s1", created=1000.0, environment="pygame", system_prompt="Be brief.", temperature=0.7, top_p=0.95,
    max_tokens=100,
    a=Side(
        model="x", conversation="s1-a",
        messages=(Message(role="user", text="A snake, mail x@mail.com"),
                  Message(role="assistant", text="one again", started=1004.0, ended=1005.0),
                  Message(role="user", text="faster"),
                  Message(role="assistant", text="two", started=1006.0, ended=1007.0)),
        runs=(Run(environment="pygame", language="python", code="print(1)", python=("pygame==2.6",), npm=("d3",),
                  stdout="1\n", ok=True, screenshot=base64.b64encode(PICTURE.content).decode(),
                  interactions=(Interaction(time=1008.0, type="click", payload={"x": 3, "y": 4}),)),),
    ),
    b=Side(
        model="y", conversation="s1-b",
        messages=(Message(role="user", text="A snake, mail x@mail.com"),
                  Message(role="assistant", text="eins", started=1002.0, ended=1003.0),
                  Message(role="user", text="faster")),
        runs=(Run(environment="interpreter", language="python", code="print(1)", stderr="boom", ok=False),),
    ),
    vote=Judgement(winner="b", time=1010.0, aspects={"efficiency": "a"}, reason="quick", voter="v1", id="vote-s1",
                   topic="Game Development", propensity=0.25, covariates={"lines_a": 1.0, "lines_b": 1.0}),
)  # fmt: skip


@pytest.mark.anyio
async def test_a_session_is_a_duel_and_back(
    store: ArenaStore, session_row: Any, run_row: Any, vote_row: Any, tmp_path: Path
) -> None:
    await talk(store, session_row, run_row, vote_row)
    await talk(store, session_row, run_row, vote_row, "s2", vote=False)
    assert [duel async for duel in duels(store)] == [EXPECTED]
    assert [duel.session async for duel in duels(store, voted=False)] == ["s1", "s2"]
    other = Database(f"sqlite:///{tmp_path}/other.db")
    other.migrate()
    copy = ArenaStore(other)
    assert await add(copy, [EXPECTED]) == (1, 0)
    assert await add(copy, [EXPECTED, EXPECTED.model_copy(update={"session": "s9"})]) == (0, 2), "its vote is there"
    (back,) = [duel async for duel in duels(copy)]
    language = back.vote and back.vote.natural_language
    assert language == "en"
    assert back == EXPECTED.model_copy(update={"vote": EXPECTED.vote and EXPECTED.vote.model_copy(
        update={"natural_language": "en"})})  # fmt: skip
    state = fold(await copy.events("s1"))
    assert not state.busy
    assert [turn.reply for turn in state.a.turns] == ["one again", "two"]
    assert state.vote is not None
    assert state.reveal == {"names": {"a": "x", "b": "y"}, "void": False, "why": None}
    other.close()


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = run([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def url(tmp_path: Path, session_row: Any, run_row: Any, vote_row: Any) -> Iterator[str]:
    database = Database(f"sqlite:///{tmp_path}/room.db")
    database.migrate()

    async def fill() -> None:
        store = ArenaStore(database)
        await store.start()
        await talk(store, session_row, run_row, vote_row)
        await talk(store, session_row, run_row, vote_row, "s2", vote=False)
        await store.close()

    asyncio.run(fill())
    yield f"sqlite:///{tmp_path}/room.db"
    database.close()


@pytest.mark.parametrize("form", FORMATS)
def test_the_command(form: str, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / {"event-log": "log", "table": "votes.csv"}.get(form, "rows.jsonl")
    code, said, notes = call(capsys, "votes", "export", "--format", form, "--out", out, "--database", url, "--json")
    assert (code, "moderated" in notes) == (0, True)
    summary = json.loads(said)
    assert summary["written"] == 1
    assert summary["replaced"] == {} if form == "table" else {"email": summary["replaced"]["email"]}
    texts = [path.read_text() for path in ([out] if out.is_file() else sorted(out.rglob("*.json*")))]
    assert all("x@mail.com" not in text for text in texts)
    other = f"sqlite:///{tmp_path}/other.db"
    assert call(capsys, "votes", "import", out, "--database", other)[:2] == (
        0,
        "added 1 sessions; 0 were there already\n",
    )
    code, said, _ = call(capsys, "votes", "import", out, "--format", form, "--database", other, "--json")
    assert (code, json.loads(said)) == (0, {"added": 0, "there": 1})
    voted = form != "raw"
    table = tmp_path / "again.parquet"
    call(capsys, "votes", "export", "--format", "table", "--out", table, "--database", other, "--json")
    frame = pl.read_parquet(table)
    assert frame.height == voted
    if voted:
        assert frame.select("model_a", "model_b", "winner").row(0) == ("x", "y", "model_b")


def test_the_table_is_what_rank_reads(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "votes.jsonl"
    assert call(capsys, "votes", "export", "--format", "table", "--out", table, "--database", url)[0] == 0
    votes = read_votes(table, Config(setting="environment", control=("lines",)).columns())
    assert leaderboard(votes).rows[0]["model"] == "y"


def test_votes_without_a_time_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, url, table = tmp_path / "rows.jsonl", f"sqlite:///{tmp_path}/new.db", tmp_path / "votes.csv"
    assert call(capsys, "votes", "export", "--format", "table", "--out", table, "--database", url)[0] == 0
    assert pl.read_csv(table).columns == ["model_a", "model_b", "winner"]
    rows.write_text('{"chat_session_id": "s", "human_vote": "vote_tie", "model_A": "x", "model_B": "y"}\n')
    assert call(capsys, "votes", "import", rows, "--database", url)[:2] == (
        0,
        "added 1 sessions; 0 were there already\n",
    )
    assert call(capsys, "votes", "export", "--format", "table", "--out", table, "--database", url)[0] == 0
    assert read_votes(table).height == 1
    assert "propensity" not in pl.read_csv(table).columns


def test_filters_and_wrong_files(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.jsonl"
    strict = ("votes", "export", "--out", out, "--database", url, "--min-messages", 4)
    code, said, _ = call(capsys, *strict)
    assert (code, "left out, too few messages: 1" in said) == (0, True)
    code, said, _ = call(capsys, *strict[:-2], "--personal")
    assert (code, "x@mail.com" in out.read_text()) == (0, True)
    for name, content, words in (
        ("a.jsonl", "[]\n", "no JSON object"),
        ("b.jsonl", '{"x": 1}\n', "no known shape"),
        ("c.jsonl", '{"human_vote": "vote_tie"}\n', "row 1"),
        ("d.parquet", "no table", "unreadable"),
    ):
        (tmp_path / name).write_text(content)
        code, _, said = call(capsys, "votes", "import", tmp_path / name, "--database", url)
        assert (code, words in said, said.count("\n")) == (2, True, 1)
    assert call(capsys, "votes", "import", tmp_path / "none.jsonl", "--database", url)[0] == 2
    assert call(capsys, "votes", "export", "--out", tmp_path / "x.csv", "--database", url)[0] == 2
    assert call(capsys, "votes", "export", "--format", "event-log", "--out", out, "--database", url)[0] == 2
    assert call(capsys, "votes", "export", "--out", out, "--database", "mysql://x/y")[0] == 2
    (tmp_path / "empty.jsonl").write_text("")
    assert call(capsys, "votes", "import", tmp_path / "empty.jsonl", "--database", url)[0] == 0
