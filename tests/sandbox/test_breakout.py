"""Real attempts to break out. Each is shown twice where it can be: refused by the sandbox, and possible without the
protection that refuses it, so that a protection that is gone shows as a failing test."""

import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homespun.sandbox import Limits, Pool, Program, bubblewrap, seccomp

REPOSITORY = Path(__file__).resolve().parents[2]

BOMB = """
import signal
answer = 0
while answer < 50:
    if os.fork() == 0:
        signal.pause()
    answer += 1
"""
LEFT_ALIVE = """
answer = []
for pid in range(2, 400):
    try:
        os.kill(pid, 0)
        answer.append(pid)
    except OSError:
        continue
answer.remove(os.getpid())
"""
FORGE = """
import json, struct
fields = {"status": "ok", "exit_code": 0, "value": "forged", "stdout": "", "stderr": "", "seconds": 0}
body = json.dumps(fields).encode()
for fd in range(256):
    for _ in range(4):
        try:
            os.write(fd, struct.pack("<I", len(body)) + body)
        except OSError:
            break
os._exit(0)
"""
OPEN = """
answer = []
for fd in range(256):
    try:
        os.fstat(fd)
        answer.append(fd)
    except OSError:
        continue
"""
RAISE_LIMITS = """
import resource as r
answer = []
for kind in (r.RLIMIT_CPU, r.RLIMIT_AS, r.RLIMIT_FSIZE, r.RLIMIT_NPROC):
    try:
        r.setrlimit(kind, (r.RLIM_INFINITY, r.RLIM_INFINITY))
        answer.append(kind)
    except (ValueError, OSError):
        continue
"""
STUBBORN = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        continue
while True:
    try:
        while True:
            pass
    except BaseException:
        continue
"""
POOL_SCRIPT = """
import time
from homespun.sandbox import Limits, Pool, Program
channel = Pool(workers=1, limits=Limits(seconds=60)).take(False)
channel.send(Program(id="p", source="import time; time.sleep(50)"))
print(channel.pid, flush=True)
time.sleep(50)
"""


def run(pool: Pool, source: str):
    return pool.run(Program(id="p", source="import os\n" + source))


@pytest.fixture
def unfiltered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A sandbox whose programs are not filtered: only namespaces, mounts and limits are left."""
    monkeypatch.setattr(bubblewrap, "program_filter", lambda: _allow_all())
    with Pool(workers=1, limits=Limits(seconds=4, cpu_seconds=1, memory_mb=256, file_mb=2)) as ours:
        yield ours


def _allow_all() -> bytes:
    return (6).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little")  # BPF_RET | BPF_K, ALLOW


@pytest.mark.parametrize(
    "path",
    ["/etc/shadow", "/etc/passwd", "/etc/hosts", "/root", "/home", "/proc/self/environ", "/proc/1/mem", "/sys",
     "/tmp", "/dev/mem", "/usr/bin", str(REPOSITORY), str(REPOSITORY / "pyproject.toml")],
)  # fmt: skip
def test_nothing_of_the_machine_is_there(pool: Pool, path: str) -> None:
    done = run(pool, f"answer = os.path.lexists({path!r})")
    assert done.value == "False"


def test_what_is_there_is_little_and_cannot_be_written(pool: Pool) -> None:
    done = run(pool, "answer = sorted(os.listdir('/')), sorted(os.listdir('/packages')), sorted(os.listdir('/dev'))")
    assert done.value is not None
    folders, packages, devices = eval(done.value)
    assert set(folders) <= {"dev", "lib", "lib64", "usr", "packages", "python", "sandbox", "work"}
    site = f"/python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    assert run(pool, f"answer = os.path.exists({site!r}) and os.listdir({site!r}) or []").value == "[]"
    assert (packages, devices) == (["dateutil", "mpmath", "sympy"], ["null"])
    for path in ("/x", "/python/x", "/packages/dateutil/x", "/sandbox/worker.py", "/dev/x", "/lib/x"):
        assert (
            "Read-only" in run(pool, f"open({path!r}, 'w')").stderr
            or "Permission" in run(pool, f"open({path!r}, 'w')").stderr
        )


def test_a_mounted_secret_would_be_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    places = (*bubblewrap.mounts(), (str(tmp_path), "/home"))
    monkeypatch.setattr(bubblewrap, "mounts", lambda: places)
    with Pool(workers=1) as weak:
        assert run(weak, "answer = open('/home/secret').read()").value == "hunter2"


def test_environment_and_identity(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    with Pool(workers=1) as fresh:
        done = run(fresh, "answer = dict(os.environ), os.getuid(), os.getgid(), os.uname().nodename, os.getppid()")
    assert done.value == "({}, 65534, 65534, 'sandbox', 1)"


def test_no_network(pool: Pool, unfiltered: Pool) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        source = f"import socket\ns = socket.socket()\ns.settimeout(1)\ns.connect(('127.0.0.1', {port}))"
        assert "PermissionError" in run(pool, source).stderr  # the filter
        assert run(unfiltered, source).status == "failed"  # the namespace alone
        with pytest.raises(TimeoutError):
            listener.accept()


def test_fork_bomb(pool: Pool, unfiltered: Pool) -> None:
    done = run(pool, BOMB)
    assert (done.status, "PermissionError" in done.stderr) == ("failed", True)
    assert "can't start new thread" in run(pool, "import threading\nthreading.Thread(target=print).start()").stderr
    if os.geteuid() == 0:  # the kernel counts no processes for root: without the filter the bomb goes off …
        assert run(unfiltered, BOMB).value == "50"
    assert run(unfiltered, LEFT_ALIVE).value == "[]"  # … but nothing of it is left for the next program


@pytest.mark.parametrize(
    "source",
    [
        "os.kill(1, 9)",
        "os.kill(-1, 9)",
        "os.execv('/python/bin/python3.11', ['python', '-c', ''])",
        "os.setuid(0)",
        "import socket\nsocket.socketpair()",
        "import resource\nresource.prlimit(1, resource.RLIMIT_CPU, (1, 1))",
        "os.sched_setaffinity(1, {0})",
        "os.setpriority(os.PRIO_PROCESS, 1, 19)",
        "os.pidfd_open(1)",
        "os.memfd_create('x')",
        "os.setsid()",
    ],
)
def test_calls_that_reach_others_are_refused(pool: Pool, source: str) -> None:
    done = run(pool, source)
    assert (done.status, "PermissionError" in done.stderr) == ("failed", True)


@pytest.mark.parametrize(
    "call",
    ["ptrace", "process_vm_writev", "mount", "umount2", "unshare", "setns", "bpf", "keyctl", "userfaultfd",
     "perf_event_open", "kexec_load", "io_uring_setup", "shmget", "msgget", "semget", "init_module", "pidfd_getfd",
     "chroot", "pivot_root", "seccomp", "vmsplice", "clone"],
)  # fmt: skip
def test_system_calls_are_refused(pool: Pool, call: str) -> None:
    number = __import__("pyseccomp").resolve_syscall(0, call)
    source = "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\n"
    source += f"answer = c.syscall({number}, 0, 0, 0, 0, 0, 0), ctypes.get_errno()"
    assert run(pool, source).value == "(-1, 1)"  # EPERM


@pytest.mark.skipif(platform.machine() != "x86_64", reason="another architecture has no x32 numbers")
def test_the_other_numbering_of_calls_is_deadly(pool: Pool) -> None:
    done = run(pool, "import ctypes\nctypes.CDLL(None).syscall(0x40000000 + 39)")
    assert f"killed by signal {signal.SIGSYS.value}" in done.stderr


def test_process_one_survives_even_an_unfiltered_kill(unfiltered: Pool) -> None:
    worker = unfiltered.take(symbolic=False)
    unfiltered.give_back(worker, symbolic=False)
    assert (
        run(unfiltered, "os.kill(1, 9)\nos.kill(1, 15)\nos.kill(1, 2)\nos.kill(1, 19)\nanswer = 'sent'").value == "sent"
    )
    assert run(unfiltered, "answer = 'alive'").value == "alive"
    same = unfiltered.take(symbolic=False)
    unfiltered.give_back(same, symbolic=False)
    assert same is worker


def test_a_forged_result_reaches_nobody_else(pool: Pool) -> None:
    done = pool.run_many(
        [Program(id=str(n), source="import os\n" + (FORGE if n % 2 else f"answer = {n}")) for n in range(6)]
    )
    assert [item.value for item in done if int(item.sample_id) % 2 == 0] == ["0", "2", "4"]
    assert all(item.status == "failed" for item in done if int(item.sample_id) % 2)


def test_open_descriptors_are_its_own(pool: Pool) -> None:
    assert run(pool, OPEN).value == "[0, 1, 2, 100]"


def test_what_a_program_changes_is_gone_for_the_next(pool: Pool) -> None:
    run(pool, "import builtins, json, math\nbuiltins.str = math.floor = json.dumps = None\nos.environ['x'] = 'y'")
    run(pool, "open('note', 'w').write('hello')\nos.makedirs('a/b/c')\nos.symlink('/', 'a/link')\nos.chmod('a/b', 0)")
    run(pool, "for _ in range(60):\n    os.mkdir('d' * 100)\n    os.chdir('d' * 100)")
    done = run(pool, "import math\nanswer = str(math.floor(2.5)), os.listdir('.'), os.getcwd(), dict(os.environ)")
    assert done.value == "('2', [], '/work', {})"


def test_the_work_folder_is_capped(pool: Pool) -> None:
    assert "File too large" in run(pool, "open('x', 'wb').write(bytes(3 << 20))").stderr
    fill = "for n in range(9):\n    with open(str(n), 'wb') as f:\n        f.write(bytes(1 << 20))"
    assert "No space left" in run(pool, fill).stderr
    assert run(pool, "answer = os.listdir()").value == "[]"


def test_limits_cannot_be_raised(pool: Pool) -> None:
    assert run(pool, RAISE_LIMITS).value == "[]"


def test_a_stubborn_loop_ends(pool: Pool) -> None:
    done = run(pool, STUBBORN)
    assert done.status == "timeout"


def test_the_sandbox_dies_with_us(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", POOL_SCRIPT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        if (Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]) == "Z":
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]


def test_filters_name_what_they_must() -> None:
    for name in (
        "ptrace",
        "mount",
        "bpf",
        "keyctl",
        "userfaultfd",
        "unshare",
        "perf_event_open",
        "kexec_load",
        "io_uring_setup",
    ):
        assert name in seccomp.KERNEL
    assert len(seccomp.program_filter()) > len(seccomp.worker_filter()) > 8 * len(seccomp.KERNEL) / 2
