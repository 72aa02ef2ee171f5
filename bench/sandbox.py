"""Claim: bubblewrap adds under 15 ms (median) to the command that it jails; gVisor's price stands beside it.

Then each language's hello, compiled and run, by the very line that the sandbox uses.

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
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from homespun.errors import SandboxError
from homespun.sandbox.environments import languages
from homespun.sandbox.environments.types import Layers, Work
from homespun.sandbox.jail import NAMES, jail, system
from homespun.sandbox.jail.types import Jail, Job
from homespun.sandbox.reply import Found, read_source

COMMANDS = {
    "true": ("/bin/true",),
    "python": (system.PYTHON, "-I", "-S", "-c", "print('hello')"),
    "node": (system.NODE, "-e", "console.log('hello')"),
}
"""Name → command inside."""


HELLO = {
    "c": '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }',
    "c++": '#include <iostream>\nint main() { std::cout << "hello\\n"; }',
    "go": 'package main\nimport "fmt"\nfunc main() { fmt.Println("hello") }',
    "rust": 'fn main() { println!("hello"); }',
    "java": 'public class Main { public static void main(String[] a) { System.out.println("hello"); } }',
    "javascript": "console.log('hello')",
    "typescript": "const word: string = 'hello';\nconsole.log(word)",
}
"""Language → program."""
FILES = {"c": "main.c", "c++": "main.cpp", "go": "main.go", "rust": "main.rs", "java": "Main.java"} | {
    "javascript": "main.js",
    "typescript": "main.ts",
}


def hello(language: str) -> Job:
    """The job that compiles and runs a language's hello."""
    found = read_source(FILES[language], HELLO[language])
    assert isinstance(found, Found)
    nowhere = Layers(python=Path("/usr/share"), node=Path("/usr/share"))
    return languages.job(Work(id=language, found=found, layers=nowhere))


def outside(job: Job) -> None:
    """The same line, bare, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in job.files.items():
            Path(folder, name).write_bytes(content)
        line = job.argv[2].replace(system.NODE, str(system.node_folder() / "bin" / "node"))
        line = line.replace("/tmp/", f"{folder}/")
        settings = {name: value.replace("/tmp/", f"{folder}/") for name, value in job.variables.items()}
        environment = {"PATH": languages.INSIDE, "HOME": folder, **settings}
        subprocess.run(["/bin/sh", "-c", line], cwd=folder, env=environment, capture_output=True, check=True)


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


def in_jail(kind: Jail, job: Job) -> None:
    """Runs a job in a jail."""
    outcome = kind.start(job).wait()
    if outcome.status != "ok":
        raise SandboxError(f"{job.argv[-1]} came to {outcome.status}: {outcome.stderr[-200:]}", kind.name)


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


def measure(job: Job, alone: Callable[[], object], kinds: list[Jail], repeats: int) -> dict[str, object]:
    """Medians of one job, bare and in each jail."""
    runs: dict[str, Callable[[], object]] = {"bare": alone}
    for kind in kinds:
        runs[kind.name] = lambda kind=kind: in_jail(kind, job)
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
    parser.add_argument("--hello-repeats", type=int, default=5, help="of each language in each way")
    given = parser.parse_args()
    kinds, missing = jails()
    start: dict[str, object] = {}
    for name, command in COMMANDS.items():
        alone = lambda command=command: subprocess.run(bare(command), capture_output=True, check=True)  # noqa: E731
        start[name] = measure(Job(argv=command), alone, kinds, given.repeats)
    said: dict[str, object] = {}
    for name in HELLO:
        job = hello(name)
        said[name] = measure(job, lambda job=job: outside(job), kinds, given.hello_repeats)
    print(json.dumps({"repeats": given.repeats, "missing": missing, "start": start, "hello": said}, indent=2))


if __name__ == "__main__":
    main()
