"""What every jail does, whichever driver makes it: files in and out, bounds, statuses, gates, nothing left."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from homespun.errors import SandboxError
from homespun.sandbox.jail import groups, jail, system
from homespun.sandbox.jail.inlet import Inlet
from homespun.sandbox.jail.types import Bind, Bounds, Gate, Jail, Job, Outcome

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("jail")]

ECHO = """
import socket, threading
server = socket.create_server(("127.0.0.1", 8000), backlog=128)
def serve(end):
    try:
        while block := end.recv(65536):
            end.sendall(block)
        end.sendall(b"end")
    except OSError:
        pass
    end.close()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


@pytest.fixture(scope="module", params=["bubblewrap", "gvisor"])
def ours(request: pytest.FixtureRequest) -> Jail:
    return jail(request.param)


def python(code: str) -> tuple[str, ...]:
    return (system.PYTHON, "-c", code)


def shell(code: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", code)


def run(ours: Jail, argv: tuple[str, ...], **given: object) -> Outcome:
    return ours.start(Job(argv=argv, **given)).wait()  # type: ignore[arg-type]


def test_files_go_in_and_come_back(ours: Jail) -> None:
    program = "cat in/a.txt; mkdir -p out/deep; tr a-z A-Z < in/a.txt > out/deep/b.txt; rm in/a.txt; pwd >&2; exit 3"
    outcome = run(ours, shell(program), files={"in/a.txt": b"hello"}, collect=("out/*", "in/*"))
    assert (outcome.status, outcome.exit_code, outcome.stdout, outcome.stderr) == ("failed", 3, "hello", "/work\n")
    assert outcome.files == {"out/deep/b.txt": b"HELLO"}
    assert outcome.seconds > 0
    assert outcome.peak_mb is None or 0 < outcome.peak_mb < 1024


def test_what_it_sees_is_its_own(ours: Jail, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "there.txt").write_text("read me")
    code = (
        "import os; print(open('/given/there.txt').read(), os.environ['ONE'], os.environ['HOME'], os.getuid() > 999);"
        "print(sorted(set(os.environ) - {'LC_CTYPE', 'PWD'}) == sorted(os.environ['NAMES'].split()));"
        "print(os.getgroups() in ([], [os.getgid()]))\n"
        "try: open('/given/new', 'w'); print('written')\n"
        "except OSError: print('read-only')"
    )
    names = " ".join([*system.VARIABLES, "ONE", "NAMES"])
    bind = Bind(outside=tmp_path, inside="/given")
    outcome = run(ours, python(code), binds=(bind,), variables={"ONE": "a b\n", "NAMES": names})
    assert outcome.stdout == "read me a b\n /tmp True\nTrue\nTrue\nread-only\n", outcome.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "there.txt"]


def test_an_output_folder_stays(ours: Jail, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    assert run(ours, shell("mkdir /out/a && echo x > /out/a/b && chmod 600 /out/a/b"), output=folder).status == "ok"
    assert (folder / "a" / "b").read_text() == "x\n"


@pytest.mark.parametrize(
    ("code", "bounds", "status", "said"),
    [
        ("sleep 100", Bounds(seconds=0.7), "timeout", "stopped after 0.7 s"),
        ("yes", Bounds(output_bytes=5_000), "failed", "it wrote more than 5000 bytes"),
        ("kill -9 $$", Bounds(), "failed", ""),
        ("no-such-command", Bounds(), "failed", "not found"),
    ],
)
def test_statuses(ours: Jail, code: str, bounds: Bounds, status: str, said: str) -> None:
    outcome = run(ours, shell(f"echo begun; {code}"), bounds=bounds)
    assert outcome.status == status
    assert outcome.stdout.startswith("begun\n") or status == "timeout"
    assert said in outcome.stderr
    assert len(outcome.stdout) <= bounds.output_bytes


def test_memory_runs_out(ours: Jail) -> None:
    bounds = Bounds(memory_mb=128, seconds=30)
    hungry = run(ours, python("held = [bytearray(8 << 20) for _ in range(200)]"), bounds=bounds)
    assert hungry.status == "memory"
    said = run(ours, python("raise MemoryError"), bounds=bounds)
    assert (said.status, said.exit_code) == ("memory", 1)


def test_processor_time_runs_out(ours: Jail) -> None:
    outcome = run(ours, python("while True: pass"), bounds=Bounds(cpu_seconds=1, seconds=60))
    assert outcome.status == "timeout"
    assert outcome.seconds < 50


def test_a_job_that_is_killed_says_what_it_said(ours: Jail) -> None:
    running = ours.start(Job(argv=shell("echo begun; sleep 100 & sleep 100")))
    while not running.said()[0]:
        time.sleep(0.01)
    assert running.alive
    outcome = running.kill()
    assert (outcome.status, outcome.stdout) == ("failed", "begun\n")
    assert not running.alive
    assert running.kill() is outcome
    assert running.wait() is outcome


def test_what_cannot_be_made_is_unavailable_or_an_error(ours: Jail, tmp_path: Path) -> None:
    outcome = run(ours, shell("true"), binds=(Bind(outside=tmp_path / "none", inside="/given"),))
    assert outcome.status == "unavailable"
    assert "none" in outcome.stderr
    for path in ("../a", "/etc/a", "a//b", "a/../b", ".", ""):
        with pytest.raises(SandboxError):
            ours.start(Job(argv=shell("true"), files={path: b""}))
    for given in ({"variables": {"A": "x\0--bind\0/\0/host"}}, {"argv": ("/bin/sh", "-c\0")}):
        with pytest.raises(SandboxError, match=r"NUL|null"):
            ours.start(Job(**{"argv": shell("true"), **given}))  # type: ignore[arg-type]
    with pytest.raises(SandboxError, match="cannot be written"):
        ours.start(Job(argv=shell("true"), files={"big": bytes(3 << 20)}, bounds=Bounds(disk_mb=2)))
    with pytest.raises(SandboxError, match="gate"):
        ours.start(Job(argv=shell("true"), gate=Gate(socket=tmp_path / "none", port=80, direction="out")))


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user reaches its own sockets")
def test_a_gate_that_the_job_may_not_open_is_an_error(ours: Jail, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(tmp_path / "gate"))
        os.chmod(tmp_path / "gate", 0o700)
        with pytest.raises(SandboxError, match="0666"):
            ours.start(Job(argv=shell("true"), gate=Gate(socket=tmp_path / "gate", port=80, direction="out")))


def test_it_outlives_the_thread_that_started_it(ours: Jail) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ours.start, Job(argv=shell("sleep 0.3; echo alive"))).result()
    outcome = running.wait()
    assert (outcome.status, outcome.stdout) == ("ok", "alive\n")


def test_jobs_at_the_same_time_know_nothing_of_each_other(ours: Jail) -> None:
    code = "id -u; echo /tmp/* /work/*; echo x > /tmp/mine; sleep 0.4; echo /proc/[0-9]* | wc -w"
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(run, ours, shell(code)) for _ in range(3)]
        said = [one.result().stdout.split() for one in waiting]
    assert all(int(words[-1]) < 8 for words in said)
    assert all(words[1:-1] == ["/tmp/*", "/work/*"] for words in said)
    if os.geteuid() == 0:
        assert len({words[0] for words in said}) == 3


@pytest.fixture(scope="module")
def echo(ours: Jail) -> Iterator[Inlet]:
    """A server inside that says everything back, and ``end`` when we have ended."""
    inlet = Inlet()
    running = ours.start(Job(argv=python(ECHO), gate=inlet.gate(8000), bounds=Bounds(seconds=60)))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), inlet.dial_now(5) as end:
            end.sendall(b"?")
            if end.recv(1) == b"?":
                break
    yield inlet
    outcome = running.kill()
    inlet.close()
    assert "Traceback" not in outcome.stderr


def spoken(inlet: Inlet, content: bytes) -> bytes:
    with inlet.dial_now(20) as end:
        writer = threading.Thread(target=lambda: (end.sendall(content), end.shutdown(socket.SHUT_WR)))
        writer.start()
        heard = b"".join(iter(lambda: end.recv(1 << 16), b""))
        writer.join()
    return heard


def test_a_gate_carries_everything_both_ways(echo: Inlet) -> None:
    """More than all buffers hold together, and the end of one direction before that of the other."""
    content = os.urandom(1 << 20) * 6
    assert spoken(echo, content) == content + b"end"


def test_a_gate_carries_many_at_once(echo: Inlet) -> None:
    contents = [os.urandom(1000) for _ in range(40)]
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(spoken, [echo] * 40, contents)) == [one + b"end" for one in contents]


def test_a_gate_out_reaches_its_socket_and_no_other(ours: Jail, tmp_path: Path) -> None:
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "gate"))
        os.chmod(tmp_path / "gate", 0o666)
        listener.listen()

        def answer() -> None:
            for _ in range(2):
                end = listener.accept()[0]
                heard.append(end.recv(100))
                end.sendall(b"hello inside")
                end.close()

        thread = threading.Thread(target=answer)
        thread.start()
        code = (
            "import socket\n"
            "for text in (b'one', b'two'):\n"
            "    s = socket.create_connection(('127.0.0.1', 9000)); s.sendall(text); print(s.recv(100).decode())\n"
            "try: socket.create_connection(('127.0.0.1', 9001))\n"
            "except OSError: print('nobody')"
        )
        gate = Gate(socket=tmp_path / "gate", port=9000, direction="out")
        outcome = run(ours, python(code), gate=gate, bounds=Bounds(seconds=30))
        assert outcome.stdout == "hello inside\nhello inside\nnobody\n", outcome.stderr
        thread.join(10)
    assert heard == [b"one", b"two"]


def test_a_gated_job_keeps_its_exit_code_and_its_end_is_seen(ours: Jail) -> None:
    inlet = Inlet()
    outcome = run(ours, shell("sleep 0.1; exit 7"), gate=inlet.gate(8000), bounds=Bounds(seconds=30))
    assert (outcome.status, outcome.exit_code) == ("failed", 7)
    with pytest.raises(TimeoutError):
        inlet.dial_now(0.2)
    inlet.close()


def test_a_job_that_abuses_its_gate_harms_itself_alone(ours: Jail) -> None:
    most = 3000 if ours.name == "bubblewrap" else 40  # under gVisor a connection too many waits, and with it the job
    code = (
        "import os, socket\n"
        "held = []\n"
        f"for _ in range({most}):\n"
        "    s = socket.socket(socket.AF_UNIX); s.setblocking(False)\n"
        "    try: s.connect('/run/gate'); s.send(b'x' * 1000); held.append(s)\n"
        "    except OSError: break\n"
        "gate = '/run/gate'\n"
        "for change in (lambda: os.unlink(gate), lambda: os.chmod(gate, 0), lambda: os.rename(gate, '/work/g')):\n"
        "    try: change(); print('ESCAPED')\n"
        "    except OSError: pass\n"
        "print(0 < len(held) < 3000)"
    )
    inlet = Inlet()
    outcome = run(ours, python(code), gate=inlet.gate(8000), bounds=Bounds(seconds=30))
    assert outcome.stdout == "True\n", outcome.stderr
    dialled = 0
    with contextlib.suppress(TimeoutError):
        while dialled < 200:
            inlet.dial_now(0.2).close()  # what the dead have said can still be heard, then nobody is left
            dialled += 1
    assert dialled < 100
    assert inlet.socket.stat().st_mode & 0o777 == 0o666
    inlet.close()


ORPHAN = """
import os, sys, time
from homespun.sandbox.jail import jail
from homespun.sandbox.jail.types import Job
running = jail("bubblewrap").start(Job(argv=("/bin/sh", "-c", "echo $$; setsid sleep 200 & sleep 200")))
while not running.said()[0]:
    time.sleep(0.01)
print("up", flush=True)
if sys.argv[1] == "wait":
    time.sleep(100)
"""


@pytest.mark.parametrize("how", ["wait", "end"])
def test_jobs_die_with_whoever_started_them(how: str) -> None:
    """However that one dies: by SIGKILL, or by coming to its end."""
    token = f"HOMESPUN_ORPHAN={os.urandom(6).hex()}"
    code = ORPHAN.replace("Job(", f"Job(variables=dict([{token.split('=')!r}]), ")
    with subprocess.Popen([sys.executable, "-c", code, how], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        if how == "wait":
            assert marked(token)
            starter.kill()
        starter.wait(30)
    deadline = time.monotonic() + 10
    while marked(token) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not marked(token)
    if how == "end":
        left = [one for p in groups.parents().values() for one in p.folder.glob(f"homespun-{starter.pid}-*")]
        assert left == []


def marked(token: str) -> list[str]:
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if token.encode() in path.read_bytes():
                found.append(str(path))
    return found
