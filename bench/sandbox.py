"""Claim: bubblewrap adds under 15 ms (median) to the command that it jails; gVisor's price stands beside it.

Each command runs bare (a process with its output in pipes, as a jail has it) and in a jail of each kind, interleaved,
so that whatever else this machine does falls on all alike. Medians over the repeats, after one that does not count;
`added_ms` is the median of the differences within a repeat, `ratio` that of the medians.

Run with `--repeats 21`; prints JSON. A kind of jail that cannot be had here is left out, and said so.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from homespun.errors import SandboxError
from homespun.sandbox.jail import NAMES, jail, system
from homespun.sandbox.jail.types import Jail, Job

COMMANDS = {
    "true": ("/bin/true",),
    "python": (system.PYTHON, "-I", "-S", "-c", "print('hello')"),
    "node": (system.NODE, "-e", "console.log('hello')"),
}
"""Name → command inside."""


def bare(command: tuple[str, ...]) -> tuple[str, ...]:
    """The same command outside."""
    outside = {
        system.PYTHON: str(Path(sys.base_prefix).resolve() / "bin" / Path(system.PYTHON).name),
        system.NODE: str(system.node_folder() / "bin" / "node"),
    }
    return (outside.get(command[0], command[0]), *command[1:])


def timed(run: Callable[[], object]) -> float:
    """Milliseconds that one call takes."""
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1e3


def in_jail(kind: Jail, command: tuple[str, ...]) -> None:
    """Runs a command in a jail."""
    outcome = kind.start(Job(argv=command)).wait()
    if outcome.status != "ok":
        raise SandboxError(f"{command[0]} came to {outcome.status}: {outcome.stderr[-200:]}", kind.name)


def jails() -> tuple[list[Jail], list[str]]:
    """The jails that can be had here, and why others cannot."""
    found: list[Jail] = []
    missing: list[str] = []
    for name in NAMES:
        try:
            found.append(jail(name))
        except SandboxError as error:
            missing.append(str(error))
    return found, missing


def measure(command: tuple[str, ...], kinds: list[Jail], repeats: int) -> dict[str, object]:
    """Medians of one command, bare and in each jail."""
    runs: dict[str, Callable[[], object]] = {
        "bare": lambda: subprocess.run(bare(command), capture_output=True, check=True)
    }
    for kind in kinds:
        runs[kind.name] = lambda kind=kind: in_jail(kind, command)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            took = timed(run)
            if repeat:
                taken[name].append(took)
    middle = {name: statistics.median(values) for name, values in taken.items()}
    return {
        name: {
            "ms": round(middle[name], 2),
            "added_ms": round(statistics.median(a - b for a, b in zip(values, taken["bare"], strict=True)), 2),
            "ratio": round(middle[name] / middle["bare"], 2),
            "fastest_ms": round(min(values), 2),
        }
        for name, values in taken.items()
    }


def main() -> None:
    """Measures all commands and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=21, help="of each command in each way")
    given = parser.parse_args()
    kinds, missing = jails()
    result = {name: measure(command, kinds, given.repeats) for name, command in COMMANDS.items()}
    print(json.dumps({"repeats": given.repeats, "missing": missing, "start": result}, indent=2))


if __name__ == "__main__":
    main()
