"""The pool does what a plain Python would do, and says what went wrong where a program fails."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.errors import ConfigError, SandboxError
from homespun.sandbox import Limits, Pool, Program, bubblewrap


def run(pool: Pool, source: str, **fields: str):
    return pool.run(Program(id="p", source=source, **fields))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("answer = 6 * 7", "42"),
        ("answer = 7 / 2", "3.5"),
        ("x = [1, 2, 3]\nanswer = sum(x)", "6"),
        ("print('first')\nprint('last')", "last"),
        ("print('printed')\nanswer = 'wanted'", "wanted"),
        ("from datetime import date\nfrom dateutil.relativedelta import relativedelta\n"
         "answer = (date(2020, 1, 31) + relativedelta(months=1)).strftime('%m/%d/%Y')", "02/29/2020"),
        ("from sympy import Eq, Symbol, solve\nx = Symbol('x')\nanswer = solve(Eq(2 * x, 6), x)", "[3]"),
        ("import sys\nanswer = 5\nsys.exit()", "5"),
        ("answer = None", "None"),
        ("x = 1", None),
        ("answer = object()", "<object object at 0x0>"),
        ("import __main__\nanswer = __name__ == '__main__' and __main__.__dict__ is globals()", "True"),
    ],
)  # fmt: skip
def test_value_of_a_program(pool: Pool, source: str, value: str | None) -> None:
    done = run(pool, source)
    assert (done.status, done.value, done.exit_code) == ("ok", value, 0)


def test_prelude_and_other_result_names(pool: Pool) -> None:
    assert run(pool, "total = ceil(2.5)", prelude="from math import *", result="total").value == "3"


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [
        ("answer = 1 / 0", "failed", "ZeroDivisionError: division by zero (line 1)"),
        ("x = 1\nanswer = y", "failed", "NameError: name 'y' is not defined (line 2)"),
        ("answer = ", "failed", "SyntaxError"),
        ("answer = '\0'", "failed", "null bytes"),
        ("answer = '\ud800'\nimport os", "failed", "UnicodeEncodeError"),
        ("def f(): return f()\nf()", "failed", "RecursionError"),
        ("import sys\nsys.exit('no')", "failed", "SystemExit: no"),
        ("import os\nos._exit(0)", "failed", "ended without a result, exit code 0"),
        ("import os\nos.abort()", "failed", "killed by signal 6"),
        ("import ctypes\nctypes.string_at(0)", "failed", "killed by signal 11"),
        ("answer = input()", "failed", "EOFError"),
        ("class E(Exception):\n  def __str__(self): raise ValueError\nraise E", "failed", "message cannot be read"),
        ("answer = [0] * 10**9", "memory", "MemoryError"),
        ("print('x' * 10**6)", "failed", "more output than 20000 bytes"),
        ("while True: pass", "timeout", "time limit"),
        ("import time\ntime.sleep(60)", "timeout", "time limit"),
    ],
)
def test_what_went_wrong(pool: Pool, source: str, status: str, said: str) -> None:
    done = run(pool, source)
    assert done.status == status
    assert said in done.stderr
    assert done.value is None


def test_clock_stands_still_and_chance_is_fixed(pool: Pool) -> None:
    source = (
        "import random, time\nfrom datetime import date, datetime\n"
        "answer = [str(date.today()), str(datetime.now()), time.time(), time.strftime('%Y'), random.random(), "
        "hash('a')]"
    )
    first, again = run(pool, source).value, run(pool, source + "\n").value
    assert first == again
    assert first is not None
    assert first.startswith("['2023-01-01', '2023-01-01 00:00:00', 1672531200.0, '2023', 0.84442185152504")


def test_other_languages_and_endless_sources_are_not_run(pool: Pool) -> None:
    done = run(pool, ".decl p(x:symbol)", language="datalog")
    assert (done.status, done.language, done.value) == ("unavailable", "datalog", None)
    assert "datalog is not run here" in done.stderr
    assert run(pool, "#" * 2_000_000).status == "unavailable"


def test_results_come_in_input_order_and_equal_programs_run_once(pool: Pool) -> None:
    seen: list[tuple[int, int]] = []
    programs = [Program(id=str(number), source=f"import os\nanswer = {number % 3}") for number in range(12)]
    done = pool.run_many(programs, lambda finished, total: seen.append((finished, total)))
    assert [item.sample_id for item in done] == [item.id for item in programs]
    assert [item.value for item in done] == [str(number % 3) for number in range(12)]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert pool.run_many([]) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=5))
def test_law_any_batch_equals_its_programs_one_by_one(pool: Pool, numbers: list[int]) -> None:
    programs = [
        Program(id=str(index), source=f"x = [{number}]\nanswer = x[0] % 7") for index, number in enumerate(numbers)
    ]
    assert [item.value for item in pool.run_many(programs)] == [str(number % 7) for number in numbers]


def test_a_worker_that_dies_is_replaced_and_only_its_program_is_marked() -> None:
    with Pool(workers=1, limits=Limits(seconds=3)) as ours:
        channel = ours.take(symbolic=False)
        ours.give_back(channel, symbolic=False)
        os.killpg(channel.pid, signal.SIGKILL)
        done = ours.run_many([Program(id=str(n), source=f"answer = {n}") for n in range(3)])
        assert [item.value for item in done] == ["0", "1", "2"]


def test_a_program_that_outlives_every_sandbox_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    from homespun.sandbox.channel import Channel

    real = Channel.send

    def send(self: Channel, program: Program) -> None:
        real(self, program)
        if "doomed" in program.source:
            os.killpg(self.pid, signal.SIGKILL)

    monkeypatch.setattr(Channel, "send", send)
    with Pool(workers=1) as ours:
        done = ours.run_many(
            [Program(id="a", source="import time; doomed = time.sleep(1)"), Program(id="b", source="answer = 2")]
        )
    assert (done[0].status, done[1].value) == ("unavailable", "2")
    assert "2 times" in done[0].stderr


def test_without_bubblewrap_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda _: None)
    with Pool(workers=1) as ours, pytest.raises(SandboxError, match="apt install bubblewrap"):
        ours.run(Program(id="p", source="answer = 1"))


def test_a_sandbox_that_cannot_start_says_what_bubblewrap_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "NAMESPACES", ("nonsense",))
    with Pool(workers=1) as ours, pytest.raises(SandboxError, match="unshare-nonsense"):
        ours.run(Program(id="p", source="answer = 1"))


def test_without_workers_there_is_no_pool() -> None:
    with pytest.raises(ConfigError):
        Pool(workers=0)


def test_the_worker_works_in_a_sandbox_only() -> None:
    """Outside it, clearing up after a program would mean every process of the user."""
    from homespun.sandbox import worker

    with pytest.raises(RuntimeError, match="process 1"):
        worker._kill_all()  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(SystemExit, match="process 1"):
        worker.main()


def test_workers_started_by_a_thread_that_has_ended_are_replaced() -> None:
    """The kernel ends a sandbox with the thread that started it, not only with the process."""
    with Pool(workers=1) as ours:
        answers: list[str | None] = []
        for number in range(3):
            item = Program(id="p", source=f"import os\nanswer = {number}")
            thread = threading.Thread(target=lambda one=item: answers.append(ours.run(one).value))
            thread.start()
            thread.join()
        assert answers == ["0", "1", "2"]


def test_one_pool_serves_many_threads() -> None:
    with Pool(workers=2) as ours, ThreadPoolExecutor(4) as threads:
        items = [Program(id=str(number), source=f"import os\nanswer = {number}") for number in range(12)]
        assert [done.value for done in threads.map(ours.run, items)] == [str(number) for number in range(12)]
