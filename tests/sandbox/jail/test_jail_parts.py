"""Users, verdicts and inlets of jails."""

import asyncio
import os
import socket
import stat
from contextlib import ExitStack

import pytest

from homespun.errors import SandboxError
from homespun.sandbox.jail import users
from homespun.sandbox.jail.inlet import Inlet
from homespun.sandbox.jail.verdict import exit_code, status


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has one user only")
def test_every_job_has_a_user_of_its_own_until_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "USERS", range(61_000, 61_008))
    with ExitStack() as held:
        assert {held.enter_context(users.taken()) for _ in range(8)} == set(range(61_000, 61_008))
        with pytest.raises(SandboxError, match="8 jobs run at once"), users.taken():
            pass
    with users.taken() as user:
        assert user in users.USERS


def test_users_are_nobody_elses() -> None:
    assert 65_534 not in users.USERS
    assert users.USERS[0] > 60_000


@pytest.mark.parametrize(
    ("code", "stderr", "ran_out", "expected"),
    [
        (0, "", False, "ok"),
        (0, "MemoryError", True, "ok"),
        (1, "", False, "failed"),
        (1, "Traceback\nMemoryError\n", False, "memory"),
        (1, "no MemoryError here", False, "failed"),
        (137, "", True, "memory"),
        (137, "", False, "failed"),
        (152, "", False, "timeout"),
        (134, "terminate called after throwing an instance of 'std::bad_alloc'", False, "memory"),
        (134, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", False, "memory"),
        (1, "Exception in thread main java.lang.OutOfMemoryError: Java heap space", False, "memory"),
        (2, "fatal error: runtime: out of memory\n\nruntime stack:", False, "memory"),
        (134, "memory allocation of 1073741824 bytes failed", False, "memory"),
        (1, "MemoryError\n" + "x" * 5000, False, "failed"),
    ],
)
def test_verdicts(code: int, stderr: str, ran_out: bool, expected: str) -> None:
    assert status(code, stderr, ran_out=ran_out) == expected


def test_a_signal_is_told_as_a_shell_tells_it() -> None:
    assert (exit_code(-9), exit_code(0), exit_code(3)) == (137, 0, 3)


def offered(inlet: Inlet) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.connect(str(inlet.socket))
    return end


def test_an_inlet_is_closed_to_others_and_skips_the_dead() -> None:
    inlet = Inlet()
    assert stat.S_IMODE(inlet.socket.stat().st_mode) == 0o666
    assert stat.S_IMODE(inlet.socket.parent.stat().st_mode) == 0o700
    offered(inlet).close()
    living = offered(inlet)
    with inlet.dial_now(1) as end:
        end.sendall(b"x")
        assert living.recv(1) == b"x"
    with pytest.raises(TimeoutError):
        inlet.dial_now(0.05)
    living.close()
    inlet.close()
    assert not inlet.socket.parent.exists()


def test_many_dial_at_once() -> None:
    inlet = Inlet()

    async def dial() -> None:
        waiting = [asyncio.create_task(inlet.dial(5)) for _ in range(10)]
        await asyncio.sleep(0.01)
        living = [offered(inlet) for _ in range(10)]
        ends = await asyncio.gather(*waiting)
        assert len({end.fileno() for end in ends}) == 10
        with pytest.raises(TimeoutError):
            await inlet.dial(0.05)
        for end in (*ends, *living):
            end.close()

    asyncio.run(dial())
    inlet.close()
