"""A session from its first turn to its vote, over HTTP."""

import asyncio
import uuid

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("battle-room")]

NAMES = ("actor:", "Northwind", "Southerly")


def vote_of(winner: str = "a", **more):
    return {"id": str(uuid.uuid4()), "winner": winner, **more}


async def test_a_battle_from_prompt_to_names(guest, house):
    session = await guest.open(environment="interpreter")
    state = await guest.state(session)
    assert state["names"] is None
    assert not state["locked"]
    assert state["mine"]
    assert not state["can_vote"]
    await guest.ask(session, "hello")
    state = await guest.state(session)
    assert state["locked"]
    assert state["can_vote"]
    for side in state["sides"].values():
        assert side["state"] == "done"
        assert side["turns"][0]["reply"].endswith("```\n")
        assert side["run"]["status"] == "ok"
        assert side["run"]["stdout"] == "ran \"print('hello')\\n\""
        assert side["run"]["pictures"] == [f"/api/runs/{side['run']['run']}/pictures/0.png"]
        assert (await guest.get(side["run"]["pictures"][0])).endswith(b"figure")
    events = await guest.listen(session)
    assert not any(name in str([state, events]) for name in NAMES)
    ballot = vote_of("tie", aspects={"correctness": "a"}, reason="alike")
    told = await guest.post(f"/api/sessions/{session}/votes", ballot, 201)
    assert set(told["names"].values()) == {"Northwind", "Southerly"}
    assert not told["void"]
    assert await guest.post(f"/api/sessions/{session}/votes", ballot, 200) == told
    assert (await guest.call("POST", f"/api/sessions/{session}/votes", vote_of("b")))[0] == 409
    state = await guest.state(session)
    assert state["names"] == told["names"]
    assert state["vote"]["winner"] == "tie"
    assert not state["can_vote"]
    assert [e["kind"] for e in await guest.listen(session, state["last_event"] - 2, "reveal")] == ["vote", "reveal"]
    status, refused = await guest.call("POST", f"/api/sessions/{session}/turns", {"text": "more"})
    assert (status, refused["error"]["code"]) == (409, "voted")


async def test_nothing_of_a_run_is_told_before_both_are_done(guest, house):
    north = house.actors[0]
    north.go.clear()
    session = await guest.open()
    await guest.post(f"/api/sessions/{session}/turns", {"text": "wait"})
    south = house.actors[1]
    south.go.clear()
    north.go.set()  # one of the two is done long before the other
    await guest.listen(session, until="found")
    await asyncio.sleep(0.2)
    state = await guest.state(session)
    assert sorted(side["state"] for side in state["sides"].values()) == ["generating", "waiting"]
    assert all(side["run"] is None and side["turns"][0]["seconds"] is None for side in state["sides"].values())
    assert not state["can_vote"]
    assert (await guest.call("POST", f"/api/sessions/{session}/votes", vote_of()))[0] == 409
    south.go.set()
    events = await guest.listen(session)
    kinds = [event["kind"] for event in events]
    assert kinds.count("generated") == 2
    assert not {"ran", "run", "log"} & set(kinds)
    assert all(event["seconds"] is None for event in events if event["kind"] == "generated")
    state = await guest.settled(session)
    assert state["can_vote"]
    assert all(side["turns"][0]["seconds"] >= 0 for side in state["sides"].values())


@pytest.mark.parametrize(
    ("prompt", "sides", "error"),
    [
        ("talk", "done", "Nothing to run"),
        ("break", "failed", "its answer broke off"),
        ("run BOOM = 1", "done", None),
        ("run NOSANDBOX = 1", "done", None),
    ],
)
async def test_what_fails_opens_the_gate_too(guest, prompt, sides, error):
    session = await guest.open()
    await guest.ask(session, prompt)
    state = await guest.state(session)
    assert state["can_vote"]
    for side in state["sides"].values():
        assert side["state"] == sides
        assert (error is None and side["run"]["status"] == "unavailable") or error in side["error"]
    assert "/secret/path" not in str(state)


async def test_a_crash_tells_nobody_who_it_was(guest):
    session = await guest.open()
    await guest.ask(session, "crash")
    state, events = await guest.state(session), await guest.listen(session)
    assert {side["state"] for side in state["sides"].values()} == {"failed"}
    assert not state["can_vote"]
    assert not any(name in str([state, events]) for name in NAMES)
    await guest.post(f"/api/sessions/{session}/regenerate", {})  # and it can be tried again
    await guest.settled(session)


async def test_many_turns_go_to_each_side_with_its_own_history(guest, house):
    for actor in house.actors:
        actor.asked.clear()
    session = await guest.open(system_prompt="Be brief.", sampling={"temperature": 0.1, "max_tokens": 99})
    await guest.ask(session, "talk first")
    await guest.ask(session, "run print(2)", sides=["a"])
    await guest.ask(session, "hello third")
    state = await guest.state(session)
    assert [turn["turn"] for turn in state["sides"]["a"]["turns"]] == [1, 2, 3]
    assert [turn["turn"] for turn in state["sides"]["b"]["turns"]] == [1, 3]
    longest = max((actor.asked[-1] for actor in house.actors), key=len)
    assert [message.role for message in longest] == ["system", *["user", "assistant"] * 2, "user"]
    assert longest[0].content == "Be brief."
    assert longest[2].content == "Nothing to run today."
    assert house.actors[0].sampled[-1].max_tokens == 99
    assert house.actors[0].sampled[-1].temperature == 0.1
    await guest.ask(session, "hello fourth")
    status, refused = await guest.call("POST", f"/api/sessions/{session}/turns", {"text": "a fifth"})
    assert (status, refused["error"]["code"]) == (409, "too_many_turns")


async def test_one_side_is_regenerated_and_the_other_stays(guest):
    session = await guest.open()
    await guest.ask(session, "run print(1)")
    before = await guest.state(session)
    await guest.post(f"/api/sessions/{session}/regenerate", {"sides": ["b"]})
    after = await guest.settled(session)
    assert after["sides"]["a"] == before["sides"]["a"]
    assert after["sides"]["b"]["run"]["run"] != before["sides"]["b"]["run"]["run"]
    assert len(after["sides"]["b"]["turns"]) == 1


async def test_programs_run_again_as_edited(guest):
    session = await guest.open()
    await guest.ask(session, "run import numpy")
    edit = {"side": "a", "code": "import pandas\n"}
    start = (await guest.state(session))["last_event"]
    await guest.post(f"/api/sessions/{session}/runs", edit)
    events = await guest.listen(session, start, "ran")
    assert [e["state"] for e in events if e["kind"] == "run"] == ["waiting", "building", "running"]
    assert events[-1]["edit"] == 1
    assert events[-1]["code"] == "import pandas\n"
    assert [one["name"] for one in events[-1]["dependencies"]] == ["pandas"]
    table = [{"kind": "python", "name": "polars", "version": "==1.0"}]
    await guest.post(f"/api/sessions/{session}/runs", {"side": "a", "dependencies": table})
    run = (await guest.settled(session))["sides"]["a"]["run"]
    assert (run["edit"], run["code"]) == (2, "import pandas\n")
    assert [(one["name"], one["source"]) for one in run["dependencies"]] == [("polars", "edit")]
    await guest.post(f"/api/sessions/{session}/runs", {"side": "a"})
    again = (await guest.settled(session))["sides"]["a"]["run"]
    assert again["run"] != run["run"]
    assert again["dependencies"] == run["dependencies"]
    assert again["edit"] == 2
    status, refused = await guest.call(
        "POST", f"/api/sessions/{session}/runs",
        {"side": "a", "dependencies": [{"kind": "python", "name": "x; rm -rf /", "version": "latest"}]},
    )  # fmt: skip
    assert (status, refused["error"]["code"]) == (422, "dependency")


async def test_stop_ends_answers_and_programs(guest):
    session = await guest.open()
    await guest.post(f"/api/sessions/{session}/turns", {"text": "hang"})
    await guest.listen(session, until="delta")
    await guest.post(f"/api/sessions/{session}/stop", {})
    state = await guest.settled(session)
    assert all(side["error"] == "Stopped." and side["turns"][0]["reply"] == "It begins"
               for side in state["sides"].values())  # fmt: skip
    assert state["can_vote"]
    await guest.post(f"/api/sessions/{session}/turns", {"text": "run FOREVER = 1"})
    await guest.listen(session, state["last_event"], "found")
    await guest.post(f"/api/sessions/{session}/stop", {"side": "a"})
    await guest.post(f"/api/sessions/{session}/stop", {"side": "b"})
    state = await guest.settled(session)
    assert {side["run"]["stderr"] for side in state["sides"].values()} == {"stopped by the reader"}


async def test_at_most_two_programs_at_once(guest, house):
    house.stand.go.clear()
    house.stand.most_at_once = 0
    sessions = [await guest.open() for _ in range(3)]
    for session in sessions:
        await guest.post(f"/api/sessions/{session}/turns", {"text": "run SLOW = 1"})
    for session in sessions:
        await guest.listen(session, until="found")
    house.stand.go.set()
    for session in sessions:
        await guest.settled(session)
    assert house.stand.most_at_once == 2


async def test_a_leaked_name_voids_the_vote(guest):
    session = await guest.open()
    await guest.ask(session, "leak")
    told = await guest.post(f"/api/sessions/{session}/votes", vote_of(), 201)
    assert told["void"]
    assert told["why"]
    assert (await guest.state(session))["void"]


async def test_named_and_direct_sessions_know_their_names(guest):
    named = await guest.open("named", models=["actor:south", "actor:north"])
    assert (await guest.state(named))["names"] == {"a": "Southerly", "b": "Northwind"}
    direct = await guest.open("direct", models=["actor:north"])
    await guest.ask(direct, "hello")
    state = await guest.state(direct)
    assert list(state["sides"]) == ["a"]
    assert not state["can_vote"]
    assert state["names"] == {"a": "Northwind"}
    assert (await guest.call("POST", f"/api/sessions/{direct}/votes", vote_of()))[0] == 409


async def test_pictures_are_taken_after_the_page_is_shown_and_kept(guest, house):
    session = await guest.open()
    await guest.ask(session, "later")
    run = (await guest.state(session))["sides"]["a"]["run"]
    async with asyncio.timeout(10):
        while len((shots := (await guest.state(session))["sides"]["a"]["run"])["screenshots"]) < 2:
            await asyncio.sleep(0.02)
    assert shots["url"] == run["url"], "the page stays open meanwhile"
    assert [shot["at"] for shot in shots["screenshots"]] == [0.0, 2.0]
    assert (await guest.get(shots["screenshots"][1]["url"])).endswith(b"later")
    kept = house.database.run_now(
        lambda c: c.exec_driver_sql(f"select screenshots from arena_looks where run = '{run['run']}'").fetchall()
    )
    assert len(kept) == 1
    assert sorted(house.stand.looked) == sorted(set(house.stand.looked)), "each page is looked at once"


async def test_pages_pictures_and_what_was_done_with_them(guest, house):
    session = await guest.open()
    await guest.ask(session, "web")
    state = await guest.state(session)
    run = state["sides"]["a"]["run"]
    assert run["url"] == f"http://{run['run']}.localhost:8701"
    assert [(shot["at"], shot["url"] is None) for shot in run["screenshots"]] == [(0.0, False), (2.0, True)]
    assert (await guest.get(run["screenshots"][0]["url"])).endswith(b"page")
    assert (await guest.call("GET", f"/api/runs/{run['run']}/screenshots/1.png"))[0] == 404
    click = {"type": "click", "time": "2026-01-31T12:00:00.5Z", "payload": {"x": 3, "y": 4}}
    await guest.post(f"/api/runs/{run['run']}/interactions", {"records": [click, click]}, 204)
    await guest.post(f"/api/runs/{run['run']}/interactions", {"records": [click, click]}, 204)
    kept = house.database.run_now(
        lambda c: c.exec_driver_sql(f"select time from arena_interactions where run = '{run['run']}'").fetchall()
    )
    assert len(kept) == 3
    assert kept[0][0] == 1769860800.5
    assert (await guest.get(f"/api/sessions/{session}/picture.png")).startswith(b"\x89PNG")
    assert "data:image/png;base64," in house.pages[-1]
    assert not any(name in house.pages[-1] for name in NAMES)
    await guest.ask(session, "web again")
    assert run["run"] in house.stand.closed  # an app is closed when another takes its place


async def test_votes_become_a_ranking(guest):
    async def update():
        async with guest.http.get(f"{guest.url}/api/leaderboard/events") as response:
            async for line in response.content:
                if line.startswith(b"event: update"):
                    return True

    waiting = asyncio.create_task(update())
    session = await guest.open()
    await guest.ask(session, "hello")
    await guest.post(f"/api/sessions/{session}/votes", vote_of("a"), 201)
    async with asyncio.timeout(15):
        assert await waiting
    table = await guest.get("/api/leaderboard?setting=all&by=&value=&control=")
    assert {row["model"] for row in table["rows"]} == {"actor:north", "actor:south"}
    assert table["rows"][0]["organization"] == "Actors' guild"
    assert (await guest.get("/api/leaderboard?control=style"))["rows"] == []  # the answers never differ in style
    assert (await guest.call("GET", "/api/leaderboard?setting=mood"))[0] == 422


async def test_one_vote_sent_by_many_at_once_is_one_vote(guest):
    session = await guest.open()
    await guest.ask(session, "hello")
    ballot = vote_of("b")
    answers = await asyncio.gather(
        *(guest.call("POST", f"/api/sessions/{session}/votes", ballot) for _ in range(8)),
        *(guest.call("POST", f"/api/sessions/{session}/votes", vote_of("a")) for _ in range(3)),
    )
    assert sorted(status for status, _ in answers) in ([200] * 7 + [201] + [409] * 3, [201] + [409] * 10)
    events = await guest.listen(session, until="reveal")
    assert [event["kind"] for event in events].count("vote") == 1


async def test_two_first_turns_at_once_draw_one_pair(guest, house):
    session = await guest.open()
    answers = await asyncio.gather(*(guest.call("POST", f"/api/sessions/{session}/turns", {"text": "hello"})
                                     for _ in range(4)))  # fmt: skip
    assert sorted(status for status, _ in answers) == [202, 409, 409, 409]
    await guest.settled(session)
    told = await guest.post(f"/api/sessions/{session}/votes", vote_of(), 201)
    row = house.database.run_now(
        lambda c: c.exec_driver_sql(f"select model_a from arena_sessions where id = '{session}'").scalar_one()
    )
    assert told["names"]["a"] == {"actor:north": "Northwind", "actor:south": "Southerly"}[row]
