"""Hostile programs, each in a jail of its own: contained, with the status they should have, and nothing left of them.

The programs are in the tables beside this file. `says` is what a contained program prints, `outside` what the same
program prints on the bare host: that shows that the attempt is a real one. No program names an address that is not a
listener of this file's own on loopback.
"""

import contextlib
import glob
import os
import socket
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from homespun.sandbox.jail import groups, jail, system, users
from homespun.sandbox.jail.types import Bounds, Job, Outcome

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("jail")]

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
TABLES = ("network", "resources", "host", "kernel", "workspace")
BOUNDS: dict[str, Any] = {
    "seconds": 20.0,
    "memory_mb": 256,
    "processes": 64,
    "disk_mb": 8,
    "output_bytes": 1 << 16,
}
LANGUAGES = {
    "python": ("main.py", (system.PYTHON, "main.py")),
    "javascript": ("main.js", (system.NODE, "main.js")),
    "shell": ("main.sh", ("/bin/bash", "main.sh")),
    "c": ("main.c", ("/bin/sh", "-c", "gcc -w -O1 -o /tmp/main main.c -lpthread && rm main.c && exec /tmp/main")),
    "c++": ("main.cc", ("/bin/sh", "-c", "g++ -std=c++17 -o /tmp/main main.cc && rm main.cc && exec /tmp/main")),
    "java": ("Main.java", ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx300m", "Main.java")),
}


@dataclass
class Host:
    """What there is to reach on this host; everything counts who reached it."""

    variables: dict[str, str]
    reached: list[str] = field(default_factory=list[str])


def table(name: str) -> list[dict[str, Any]]:
    return tomllib.loads((HERE / f"{name}.toml").read_text())["program"]


UNDER_GVISOR = (
    "fork bomb that sleeps",
    "memory, one object",
    "huge output",
    "ignores every signal and sleeps",
    "daemon that holds standard output",
    "disk: the workspace",
    "link to a file of the host",
    "pipes, sockets and devices to hang on",
)
"""What uses something up, or leaves something behind, on the other driver too."""
PROGRAMS = {f"{name}: {program['name']}": program for name in TABLES for program in table(name)}


def by_name(program: dict[str, Any]) -> str:
    return program["name"]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Listeners of every kind on loopback, and a file and a variable that a program should not see."""
    token = os.urandom(6).hex()
    with contextlib.ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="homespun-host-")))
        folder.chmod(0o755)
        (folder / "secret.txt").write_text("secret")
        (folder / "secret.txt").chmod(0o644)
        listeners = [
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_UNIX),
            socket.socket(socket.AF_UNIX),
        ]
        listeners[1].bind(str(folder / "socket"))
        os.chmod(folder / "socket", 0o666)
        listeners[2].bind(f"\0homespun-test-{token}")
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        ours = Host(
            {
                "HOST_PORT": str(listeners[0].getsockname()[1]),
                "HOST_UDP": str(datagrams.getsockname()[1]),
                "HOST_SOCKET": str(folder / "socket"),
                "HOST_ABSTRACT": f"homespun-test-{token}",
                "HOST_FILE": str(folder / "secret.txt"),
                "HOST_NAME": socket.gethostname(),
                "HOST_PID": str(os.getpid()),
                "HOST_REPOSITORY": str(REPOSITORY),
                "HOST_PREFIX": sys.base_prefix,
            }
        )
        for number, one in enumerate(listeners):
            one.listen()
            threading.Thread(target=_accept, args=(one, f"listener {number}", ours.reached), daemon=True).start()
        threading.Thread(target=_receive, args=(datagrams, ours.reached), daemon=True).start()
        os.environ["HOMESPUN_TEST_SECRET"] = token
        yield ours
        del os.environ["HOMESPUN_TEST_SECRET"]
        for one in (*listeners, datagrams):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _accept(listener: socket.socket, name: str, reached: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()
            reached.append(name)


def _receive(datagrams: socket.socket, reached: list[str]) -> None:
    with contextlib.suppress(OSError):
        while datagrams.recvfrom(100)[0]:
            reached.append("datagrams")


def attempt(driver: str, program: dict[str, Any], host: Host) -> Outcome:
    filename, argv = LANGUAGES[program["language"]]
    return (
        jail(driver)
        .start(
            Job(
                argv=argv,
                files={filename: program["code"].lstrip("\n").encode()},
                variables=host.variables,
                bounds=Bounds(**(BOUNDS | program.get("bounds", {}))),
                collect=("*",) if "collected" in program else (),
            )
        )
        .wait()
    )


def left_running(host: Host) -> list[str]:
    """Processes of a job's user with our token in their environment: other tests may run jobs at the same time."""
    found: list[str] = []
    for path in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            ours = host.variables["HOST_ABSTRACT"].encode() in Path(path, "environ").read_bytes()
            if ours and os.stat(path).st_uid in users.USERS:
                found.append(Path(path, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def left_groups() -> list[str]:
    return [str(path) for one in groups.parents().values() for path in one.folder.glob(f"homespun-{os.getpid()}-*")]


def check(program: dict[str, Any], outcome: Outcome, reached: list[str]) -> None:
    """Whether it was contained; on gVisor a program may end otherwise (``on_gvisor``)."""
    status = program.get("status", "ok")
    told = f"{outcome.status} {outcome.exit_code}\n{outcome.stdout[:1500]}\n{outcome.stderr[-1500:]}"
    assert outcome.status in ([status] if isinstance(status, str) else status), told
    assert "ESCAPED" not in outcome.stdout, told
    if "says" in program and outcome.status == "ok":
        assert outcome.stdout.strip() == program["says"], told
    if "exit_code" in program:
        assert outcome.exit_code == program["exit_code"], told
    assert len(outcome.stdout) <= BOUNDS["output_bytes"]
    assert len(outcome.stderr) <= BOUNDS["output_bytes"] + 200
    names = sorted(set(outcome.files) - {"main.py", "main.js", "main.sh"})
    expected = program.get("collected", [])
    assert (len(outcome.files) if isinstance(expected, int) else names) == expected
    assert reached == []


def mounts() -> int:
    return len(Path("/proc/self/mountinfo").read_text().splitlines())


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_bubblewrap_contains(program: dict[str, Any], host: Host) -> None:
    before, threads = mounts(), threading.active_count()
    check(program, attempt("bubblewrap", program, host), host.reached)
    assert left_running(host) == []
    assert left_groups() == []
    assert mounts() == before
    assert threading.active_count() <= threads + 1


@pytest.mark.parametrize("program", [p for p in PROGRAMS.values() if p["name"] in UNDER_GVISOR], ids=by_name)
def test_gvisor_contains(program: dict[str, Any], host: Host) -> None:
    otherwise = {"status": program["on_gvisor"]} if "on_gvisor" in program else {}
    check(program | otherwise, attempt("gvisor", program, host), host.reached)
    assert left_running(host) == []
    assert left_groups() == []


def test_gvisor_contains_the_rest_in_one_jail(host: Host) -> None:
    """Everything in Python and shell that uses nothing up; a jail for each would take a minute."""
    chosen: list[dict[str, Any]] = [
        program
        for name in ("network", "host", "kernel")
        for program in table(name)
        if program["language"] in ("python", "shell") and program.get("gvisor", True) and "says" in program
    ]
    files: dict[str, bytes] = {}
    for number, program in enumerate(chosen):
        files[f"{number}/{LANGUAGES[program['language']][0]}"] = program["code"].lstrip("\n").encode()
    files["all.sh"] = "\n".join(
        f"(cd {number}; timeout 20 {' '.join(LANGUAGES[program['language']][1])} 2>&1) > {number}.txt"
        for number, program in enumerate(chosen)
    ).encode()
    outcome = (
        jail("gvisor")
        .start(
            Job(
                argv=("/bin/sh", "all.sh"),
                files=files,
                variables=host.variables,
                bounds=Bounds(seconds=100.0),
                collect=("*.txt",),
            )
        )
        .wait()
    )
    said = {program["name"]: outcome.files[f"{n}.txt"].decode().strip() for n, program in enumerate(chosen)}
    assert said == {program["name"]: program["says"] for program in chosen}
    assert len(chosen) > 20
    assert host.reached == []


@pytest.mark.parametrize("program", [p for p in PROGRAMS.values() if "outside" in p], ids=by_name)
def test_the_attempt_is_a_real_one(program: dict[str, Any], host: Host, tmp_path: Path) -> None:
    """The same program on the bare host reaches what it aims at."""
    runs = {"python": sys.executable, "javascript": str(system.node_folder() / "bin" / "node")}
    file = tmp_path / LANGUAGES[program["language"]][0]
    file.write_text(program["code"].lstrip("\n"))
    done = subprocess.run(
        [runs[program["language"]], str(file)],
        env={**os.environ, **host.variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.strip() == program["outside"], done.stderr
    host.reached.clear()


def test_there_are_enough_of_them() -> None:
    assert len(PROGRAMS) >= 60
    assert len(PROGRAMS) == sum(len(table(name)) for name in TABLES)
    assert {program["language"] for program in PROGRAMS.values()} == set(LANGUAGES)
    assert {program["name"] for program in PROGRAMS.values()} >= set(UNDER_GVISOR)
