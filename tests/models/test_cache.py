"""A hit equals its miss, costs nothing, outlives the process; a failure is never kept."""

import sqlite3

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.errors import DataError
from homespun.models.base import Reply
from homespun.models.cache import Cached, content_key
from homespun.models.scripted import Rule, Scripted
from homespun.records import Message, Prompt, Sample, Sampling
from homespun.runs.cost import Rates

RATES = Rates(input=1, cached_input=1, output=1)
SAMPLING = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    max_tokens=st.integers(1, 9),
    seed=st.none() | st.integers(0, 9),
    stop=st.lists(st.text(max_size=2), max_size=2).map(tuple),
)


def comparable(row: Sample) -> dict[str, object]:
    assert isinstance(row, Reply)
    return row.model_dump(exclude={"cost", "from_cache"}) | {"top": row.top_logprobs}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(text=st.text(max_size=30), replies=st.lists(st.text(max_size=30), min_size=1), n=st.integers(1, 4), how=SAMPLING)
def test_a_hit_equals_its_miss_and_costs_nothing(tmp_path_factory, text, replies, n, how):
    prompt = Prompt(id="p", problem_id="q", strategy="s", messages=(Message(role="user", content=text),), sampling=how)
    inner = Scripted([Rule(replies=tuple(replies), logprobs=(-0.1, -2.0))], rates=RATES)

    async def twice() -> None:
        async with Cached(inner, tmp_path_factory.mktemp("cache") / "c.sqlite") as model:
            missed, hit = await model.sample(prompt, n), await model.sample(prompt, n)
            assert [comparable(row) for row in hit] == [comparable(row) for row in missed]
            assert all(row.from_cache and row.cost.dollars == 0 for row in hit)
            assert not any(row.from_cache for row in missed)
            assert (inner.calls, model.hits, model.misses) == (1, 1, 1)

    anyio.run(twice)


@pytest.mark.anyio
async def test_a_cache_outlives_its_model_and_knows_a_renamed_prompt(ask, tmp_path):
    async with Cached(Scripted([Rule(replies=("once",))]), tmp_path / "new" / "c.sqlite") as model:
        await model.sample(ask(id="first"))
    async with Cached(Scripted([Rule(replies=("twice",))]), tmp_path / "new" / "c.sqlite") as model:
        [row] = await model.sample(ask(id="second"))
    assert (row.text, row.prompt_id, row.id) == ("once", "second", "second@scripted:script#0")


def test_whatever_decides_an_answer_is_in_the_key(ask):
    base = ask()
    others = [
        ask("another question"),
        ask(temperature=0.5),
        ask(seed=1),
        ask(max_tokens=1),
        ask(stop=("x",)),
        ask(logprobs=True),
        base.model_copy(update={"strategy": "pot"}),
        base.model_copy(update={"problem_id": "2"}),
        base.model_copy(update={"step": 1}),
    ]
    keys = {content_key("m", prompt, 1) for prompt in [base, *others]}
    keys |= {content_key("m", base, 2), content_key("other", base, 1)}
    assert len(keys) == len(others) + 3
    assert content_key("m", ask(id="renamed"), 1) == content_key("m", base, 1)


@pytest.mark.anyio
async def test_a_failure_is_asked_again(ask, tmp_path):
    inner = Scripted([Rule(status=500, times=1), Rule(replies=("done",))])
    async with Cached(inner, tmp_path / "c.sqlite") as model:
        assert [row.finish for row in await model.sample(ask())] == ["error"]
        assert [row.text for row in await model.sample(ask())] == ["done"]
        assert [row.from_cache for row in await model.sample(ask())] == [True]
    assert inner.calls == 2


@pytest.mark.anyio
@pytest.mark.parametrize("damage", ["{", "[]", "[1]", '[{"id": 1}]', "null"])
async def test_a_damaged_row_counts_as_not_there(ask, tmp_path, damage):
    inner = Scripted([Rule(replies=("done",))])
    async with Cached(inner, tmp_path / "c.sqlite") as model:
        await model.sample(ask())
        with sqlite3.connect(tmp_path / "c.sqlite") as store:
            store.execute("UPDATE answers SET rows = ?", (damage,))
        store.close()
        [row] = await model.sample(ask())
    assert (row.text, row.from_cache, inner.calls) == ("done", False, 2)


def test_a_file_that_is_no_cache_is_one_line(tmp_path):
    file = tmp_path / "c.sqlite"
    file.write_bytes(b"this is a text, and no database at all" * 100)
    with pytest.raises(DataError, match=r"c\.sqlite") as caught:
        Cached(Scripted([Rule()]), file)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be opened"):
        Cached(Scripted([Rule()]), tmp_path)


@pytest.mark.anyio
async def test_an_answer_that_cannot_be_kept_is_not_lost(ask, tmp_path):
    async with Cached(Scripted([Rule(replies=("done",))]), tmp_path / "c.sqlite") as model:
        with sqlite3.connect(tmp_path / "c.sqlite") as store:
            store.execute("CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        store.close()
        [row] = await model.sample(ask())
        assert (row.text, model.unkept) == ("done", 1)
        with sqlite3.connect(tmp_path / "c.sqlite") as store:
            store.execute("DROP TABLE answers")
        store.close()
        with pytest.raises(DataError, match="cannot be read"):
            await model.sample(ask())
