"""How fast programs are graded: the warm pool beside a process per program, with and without bubblewrap.

    python bench/grade.py [--programs N] [--repeats R] [--full]

Takes N recorded programs of gsm8k, svamp, date and sports (every k-th, so that the mix is that of the whole), runs the
same ones three ways on the same cores, R times in turn, and prints one JSON object: median seconds of each, the ratio,
whether all three agree. ``--full`` also grades all recorded rows once, programs executed, in a fresh folder.
The peers get the benefit of the doubt: they run side by side on all cores, and import nothing that a program doesn't.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from homespun.data import path
from homespun.evals.grade import grade
from homespun.sandbox import Pool, Program
from homespun.sandbox.bubblewrap import binary
from homespun.strategies import strategy

SHOW = "\n_s.stdout.write('\\n\\0' + str(globals().get('answer')))\n"
BWRAP = ["--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--"]


def programs(count: int) -> list[Program]:
    """Every k-th recorded Python program, distinct texts only."""
    table = pl.read_parquet(path("recorded/greedy.parquet")).filter(
        pl.col("strategy").is_in(["pot", "fcot"]) & pl.col("dataset").is_in(["gsm8k", "svamp", "date", "sports"])
    )
    found: dict[str, Program] = {}
    for row in table.gather_every(max(1, table.height // (count + count // 3))).iter_rows(named=True):
        parsed = strategy(row["strategy"]).parse(row["completion"], row["dataset"])
        if parsed.program and parsed.language == "python":
            found[parsed.program] = Program(id=str(len(found)), source=parsed.program, prelude=parsed.prelude)
    return list(found.values())[:count]


def per_process(items: list[Program], wrap: list[str]) -> list[str | None]:
    """A Python per program, as many at a time as there are cores."""
    python = os.path.realpath(sys.executable)
    site = next(folder for folder in sys.path if folder.endswith("site-packages"))
    path_line = f"import sys as _s\n_s.path.append({site!r})\n"

    def one(item: Program) -> str | None:
        line = [*wrap, python, "-I", "-S", "-c", path_line + item.prelude + item.source + SHOW]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=10, env={}, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout.rsplit("\0", 1)[-1] if done.returncode == 0 else None

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return list(threads.map(one, items))


def timed(work: Callable[[], list[str | None]]) -> tuple[float, list[str | None]]:
    """Wall seconds of a piece of work, and its result."""
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser()
    options.add_argument("--programs", type=int, default=300)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--full", action="store_true")
    chosen = options.parse_args()
    items = programs(chosen.programs)
    seconds: dict[str, list[float]] = {"pool": [], "process": [], "process_bwrap": []}
    agree = True
    with Pool() as pool:
        pool.run_many([Program(id="warm", source="answer = [1]"), Program(id="s", source="x = Symbol")])
        for _ in range(chosen.repeats):
            found: dict[str, list[str | None]] = {}
            for name, work in (
                ("pool", lambda: [item.value if item.status == "ok" else None for item in pool.run_many(items)]),
                ("process", lambda: per_process(items, [])),
                ("process_bwrap", lambda: per_process(items, [binary(), *BWRAP])),
            ):
                spent, found[name] = timed(work)
                seconds[name].append(spent)
            agree = agree and _same(found)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    report = {
        "programs": len(items),
        "repeats": chosen.repeats,
        "seconds": {name: round(value, 3) for name, value in medians.items()},
        "milliseconds_per_program": {name: round(1000 * value / len(items), 2) for name, value in medians.items()},
        "times_faster_than_process": round(medians["process"] / medians["pool"], 1),
        "times_faster_than_process_bwrap": round(medians["process_bwrap"] / medians["pool"], 1),
        "same_results": agree,
        "machine": {"cores": len(os.sched_getaffinity(0)), "cpu": _cpu(), "load": os.getloadavg()[0]},
        "python": platform.python_version(),
    }
    if chosen.full:
        with tempfile.TemporaryDirectory() as root:
            spent, _ = timed(lambda: [str(_full(root))])
        report["full"] = {"rows": pl.read_parquet(path("recorded/greedy.parquet")).height, "seconds": round(spent, 1)}
    print(json.dumps(report, indent=2))


def _full(root: str) -> int:
    result = grade(path("recorded/problems.parquet"), path("recorded/greedy.parquet"), root=root)
    return result.verdicts.height


def _same(found: dict[str, list[str | None]]) -> bool:
    """Equal where both ran to an answer; the pool's clock stands still, so programs that read it may differ."""
    pairs = [pair for pair in zip(found["pool"], found["process"], strict=True) if None not in pair]
    return sum(left == right for left, right in pairs) >= 0.99 * len(pairs)


def _cpu() -> str:
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
