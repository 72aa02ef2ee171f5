"""The leaderboard follows the votes, leaves out what it must, and equals the ranking of the same votes."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from homespun.arena import Config, leaderboard
from homespun.arena.voters import Rules
from homespun.errors import ConfigError
from homespun.serve.battle_room.leaderboard import Board, BoardSettings
from homespun.serve.store.arena import ArenaStore, SessionRow, Vote
from homespun.serve.store.arena.frames import ranked_frame
from homespun.serve.store.database import Database

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
MODELS = {"x": 0.7, "y": 0.5, "z": 0.3}
WHO = {"x": {"title": "Ex", "organization": "Works", "licence": "MIT"}}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ArenaStore]:
    database = Database(f"sqlite:///{tmp_path}/a.db")
    database.migrate()
    store = ArenaStore(database)
    await store.start()
    yield store
    await store.close()
    database.close()


async def give(store: ArenaStore, number: int, chance: random.Random, **more: Any) -> list[Vote]:
    votes = []
    for _ in range(number):
        a, b = chance.sample(sorted(MODELS), 2)
        won = chance.random() < 0.5 + MODELS[a] - MODELS[b]
        fields: dict[str, Any] = {
            "id": str(uuid.UUID(int=chance.getrandbits(128))), "time": 1e6 + chance.random(), "mode": "battle",
            "winner": "a" if won else "b", "voter": f"v{chance.randrange(50)}", "address_hash": "h", "model_a": a,
            "model_b": b, "environment_a": "react", "environment_b": chance.choice(["react", "vue"]),
            "topic": chance.choice(["games", "web"]), "natural_language": "en", "propensity": 1 / 3,
            "covariates": {"lines_a": chance.random() * 50, "lines_b": chance.random() * 50},
        }  # fmt: skip
        fields |= more
        votes.append(Vote(session=fields["id"], **fields))
    rows = [SessionRow(id=vote.session, created=0.0, mode=vote.mode, environment="auto", model_a=vote.model_a,
                       model_b=vote.model_b, voter=vote.voter) for vote in votes]  # fmt: skip
    await asyncio.gather(*map(store.save_session, rows))
    await asyncio.gather(*map(store.vote, votes))
    return votes


async def test_it_equals_the_ranking_of_the_same_votes(store: ArenaStore) -> None:
    chance = random.Random(1)
    votes = await give(store, 400, chance)
    await give(store, 30, chance, void=True, why="leak")
    await give(store, 30, chance, mode="named")
    board = Board(store, WHO)
    await board.refresh()
    table = await board.rows()
    frame = ranked_frame(sorted(votes, key=lambda vote: (vote.time, vote.id)))
    expected = leaderboard(frame.drop("propensity"), Config())
    assert table["votes"] == 400
    assert [row["model"] for row in table["rows"]] == [row["model"] for row in expected.rows]
    for row, other in zip(table["rows"], expected.rows, strict=True):
        assert row["rating"] == pytest.approx(other["rating"])
        assert row["low"] < row["rating"] < row["high"]
    first = next(row for row in table["rows"] if row["model"] == "x")
    assert (first["title"], first["organization"], first["licence"]) == ("Ex", "Works", "MIT")
    assert next(row for row in table["rows"] if row["model"] == "y")["organization"] == ""
    assert set(table["topics"]) == {"games", "web"}
    assert (table["environments"], table["languages"]) == (["react"], [])
    matched = await board.rows("environment")
    assert matched["votes"] == frame.filter(frame["environment_b"] == "react").height
    games = await board.rows(by="topic", value="games")
    assert games["votes"] == frame.filter(frame["topic"] == "games").height
    assert (await board.rows(by="environment", value="vue"))["rows"] == []
    controlled = await board.rows(control=("lines",))
    expected = leaderboard(frame.drop("propensity"), Config(control=("lines",)))
    assert controlled["rows"][0]["rating"] == pytest.approx(expected.rows[0]["rating"])
    reweighed = Board(store, WHO, BoardSettings(reweigh=True))
    await reweighed.refresh()
    assert "propensity" in " ".join((await reweighed.rows())["notes"])


async def test_it_follows_the_votes(store: ArenaStore) -> None:
    board = Board(store, WHO, BoardSettings(seconds=0.01))
    await board.start()
    empty = await board.rows()
    assert (empty["rows"], empty["votes"], board.version) == ([], 0, 1)
    waiting = asyncio.create_task(board.changed(after=board.version))
    await give(store, 60, random.Random(2))
    board.touch()
    assert await asyncio.wait_for(waiting, 10) == 2
    assert (await board.rows())["votes"] == 60
    await give(store, 5, random.Random(3), time=5.0)  # an import of old votes
    board.touch()
    await asyncio.wait_for(board.changed(after=2), 10)
    assert (await board.rows())["votes"] == 65
    assert await board.rows() is await board.rows(), "made once for a version"
    version = board.version
    board.touch()
    await board.refresh()
    assert board.version == version, "nothing new"
    await board.close()


async def test_who_does_not_judge_is_left_out(store: ArenaStore) -> None:
    chance = random.Random(4)
    await give(store, 200, chance)
    await give(store, 32, chance, voter="lazy", winner="a")
    await give(store, 8, chance, voter="again", prompt_hash="p")
    board = Board(store, WHO)
    await board.refresh()
    assert [one.voter for one in board.flagged] == ["lazy"]
    table = await board.rows()
    assert table["left_out"] == {"flagged": 32, "prompt": 5}
    assert table["votes"] == 203
    lenient = Board(store, WHO, BoardSettings(rules=Rules(alpha=0, same_prompt=0)))
    await lenient.refresh()
    assert (await lenient.rows())["votes"] == 240


async def test_what_cannot_be_ranked_is_an_empty_table(store: ArenaStore) -> None:
    await give(store, 20, random.Random(5), model_a="x", model_b="y")
    await give(store, 20, random.Random(6), model_a="p", model_b="q")
    board = Board(store, WHO)
    await board.refresh()
    table = await board.rows()
    assert table["rows"] == []
    assert table["notes"]


@pytest.mark.parametrize(
    "question",
    [{"setting": "none"}, {"by": "voter", "value": "v"}, {"by": "topic"}, {"control": ("voter",)}],
)
async def test_a_wrong_question_is_refused(store: ArenaStore, question: dict[str, Any]) -> None:
    board = Board(store, WHO)
    with pytest.raises(ConfigError):
        await board.rows(**question)
