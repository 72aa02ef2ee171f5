"""Claim: on 1,000,000 votes, fit and intervals 5 times faster than arena-rank, 100 resamples 20 times than evalica.

    python bench/rank.py [--votes N] [--models M] [--rounds R] [--resamples B] [--fits F] [--peer PYTHON]

Simulated votes (seed 0, a third ties) on 100 models. In each round, one after the other, on the same table of names:
homespun from the table to ratings with sandwich intervals; arena-rank the same, warm (its first call is left out);
homespun with B resamples; a loop of B evalica fits, each on rows drawn anew (with --fits F only F of them, and their
time counted B / F times). Beside it, for fairness: evalica on our counts, with weights; and fit and intervals alone,
from votes already counted, for homespun and for arena-rank. Medians over the rounds, and the largest difference of a
rating and of an interval's end, as JSON.

arena-rank needs jax: it goes into an environment of its own, made at the first run; evalica is in ours.
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
from pathlib import Path
from typing import Any

import evalica
import numpy as np
import polars as pl

from homespun.arena import Config, leaderboard
from homespun.arena.intervals import sandwich, sandwich_interval
from homespun.arena.newton import FIRST, SECOND, TIE
from homespun.arena.rank import ELO, BradleyTerry, elo, fit
from homespun.arena.votes_table import Counts, count

HERE = Path(__file__).resolve().parent
ARENA_RANK = ["arena-rank==0.1.1", "pyarrow"]
CODES = {"model_a": evalica.Winner.X, "model_b": evalica.Winner.Y, "tie": evalica.Winner.Draw}
PEER = """
import json, sys, time
import jax, pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.utils.data_utils import PairDataset
votes = pd.read_parquet(sys.argv[1])
def counted():
    return PairDataset.from_pandas(votes)
def rated(data):
    found = BradleyTerry(data.n_competitors).compute_ratings_and_cis(data)
    return {name: found[name] if name == "competitors" else jax.block_until_ready(found[name]).tolist()
            for name in ("competitors", "ratings", "rating_lower", "rating_upper")}
rated(counted())
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter(); data = counted(); middle = time.perf_counter(); found = rated(data)
    end = time.perf_counter()
    print(json.dumps({"whole": end - start, "fit": end - middle, "found": found}), flush=True)
"""


def simulated(num_votes: int, num_models: int) -> pl.DataFrame:
    """Votes drawn from Bradley-Terry strengths with a standard deviation of 0.6, a third turned into ties."""
    generator = np.random.default_rng(0)
    strength = generator.normal(0, 0.6, num_models)
    a = generator.integers(0, num_models, num_votes)
    b = (a + generator.integers(1, num_models, num_votes)) % num_models
    won = generator.random(num_votes) < 1 / (1 + np.exp(strength[b] - strength[a]))
    winner = np.where(generator.random(num_votes) < 1 / 3, "tie", np.where(won, "model_a", "model_b"))
    names = np.array([f"model-{index:03d}" for index in range(num_models)])
    return pl.DataFrame({"model_a": names[a], "model_b": names[b], "winner": winner})


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds of a piece of work, and its result."""
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def alone(counts: Counts) -> None:
    """Fit and intervals of votes already counted."""
    found = fit(counts, BradleyTerry())
    sandwich_interval(elo(found.strength_M), sandwich(counts, BradleyTerry(), found), None)


class Peer:
    """arena-rank in its own environment, kept warm, asked over a pipe."""

    def __init__(self, python: Path, votes: Path) -> None:
        self.process = subprocess.Popen(
            [python, "-c", PEER, votes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self.answer().strip() != "ready":
            raise SystemExit("arena-rank did not start")

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def ask(self) -> dict[str, Any]:
        """One more time, timed on its side."""
        assert self.process.stdin is not None
        self.process.stdin.write("again\n")
        self.process.stdin.flush()
        return json.loads(self.answer())

    def close(self) -> None:
        """Ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def peer_python() -> Path:
    """A Python that has arena-rank, made if it isn't there."""
    folder = HERE / ".peers" / "arena-rank"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    if subprocess.run([python, "-c", "import arena_rank, pyarrow"], check=False, capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "-q", *ARENA_RANK], check=True, stdout=sys.stderr)
    return python


class Evalica:
    """Loops of evalica's fits, with its defaults; everything that can be made ready beforehand is."""

    def __init__(self, votes: pl.DataFrame, counts: Counts) -> None:
        shared = {name: name for name in counts.models}  # one object per name: looked up and compared fastest
        self.a, self.b = (
            np.array([shared[name] for name in votes[side]], dtype=object) for side in ("model_a", "model_b")
        )
        self.winner = np.array([CODES[winner] for winner in votes["winner"]], dtype=object)
        pair, outcome = counts.place_C % counts.num_pairs, counts.place_C // counts.num_pairs
        names = np.array(counts.models, dtype=object)
        first, second = counts.pairs.first_P[pair], counts.pairs.second_P[pair]
        self.cell_a, self.cell_b = names[first].tolist(), names[second].tolist()
        codes = {FIRST: evalica.Winner.X, SECOND: evalica.Winner.Y, TIE: evalica.Winner.Draw}
        self.cell_winner = [codes[int(each)] for each in outcome]
        self.number = counts.number_C

    def once(self) -> dict[str, float]:
        """Ratings of all votes."""
        return self._rated(evalica.bradley_terry(self.a.tolist(), self.b.tolist(), self.winner.tolist()))

    def by_rows(self, num: int) -> float:
        """Seconds inside `num` fits, each on rows drawn anew; the drawing is not counted."""
        generator, spent = np.random.default_rng(0), 0.0
        for _ in range(num):
            drawn = generator.integers(0, len(self.a), len(self.a))
            rows = self.a[drawn].tolist(), self.b[drawn].tolist(), self.winner[drawn].tolist()
            started = time.perf_counter()
            evalica.bradley_terry(*rows)
            spent += time.perf_counter() - started
        return spent

    def by_cells(self, num: int) -> float:
        """Seconds of the same on counted votes, drawn by a multinomial, with weights."""
        generator, chance = np.random.default_rng(0), self.number / self.number.sum()
        started = time.perf_counter()
        for _ in range(num):
            weights = generator.multinomial(int(self.number.sum()), chance).astype(float)
            evalica.bradley_terry(self.cell_a, self.cell_b, self.cell_winner, weights=weights)
        return time.perf_counter() - started

    @staticmethod
    def _rated(found: Any) -> dict[str, float]:
        strength = np.log(found.scores)
        return dict(zip(found.scores.index, 1000 + ELO * (strength - strength.mean()), strict=True))


def differences(votes: pl.DataFrame, theirs: dict[str, Any], evalicas: dict[str, float]) -> dict[str, float]:
    """Largest difference in points; arena-rank's ratings are centred first, as ours are."""
    rows = {row["model"]: row for row in leaderboard(votes).rows}
    shift = 1000 - statistics.fmean(theirs["ratings"])
    ends = {"rating": "ratings", "low": "rating_lower", "high": "rating_upper"}
    found = {
        f"arena_rank_{ours}": max(
            abs(rows[name][ours] - value - shift)
            for name, value in zip(theirs["competitors"], theirs[column], strict=True)
        )
        for ours, column in ends.items()
    }
    return found | {"evalica_rating": max(abs(rows[name]["rating"] - value) for name, value in evalicas.items())}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--fits", type=int, help="of evalica in a round; as many as resamples if not given")
    parser.add_argument("--peer", type=Path, help="a Python that has arena-rank and pyarrow")
    options = parser.parse_args()
    load, fits = os.getloadavg(), options.fits or options.resamples
    votes = simulated(options.votes, options.models)
    counts, times = count(votes), dict[str, list[float]]()
    theirs = Evalica(votes, counts)
    with tempfile.TemporaryDirectory() as folder:
        votes.write_parquet(Path(folder) / "votes.parquet")
        peer = Peer(options.peer or peer_python(), Path(folder) / "votes.parquet")
        leaderboard(votes)
        for _ in range(options.rounds):
            answer = peer.ask()
            one = {
                "arena_rank_fit_and_intervals": answer["whole"],
                "arena_rank_counted": answer["fit"],
                "homespun_fit_and_intervals": timed(lambda: leaderboard(votes))[0],
                "homespun_counted": timed(lambda: alone(counts))[0],
                "homespun_bootstrap": timed(lambda: leaderboard(votes, Config(bootstrap=options.resamples)))[0],
                "evalica_bootstrap": theirs.by_rows(fits) * options.resamples / fits,
                "evalica_bootstrap_counted": theirs.by_cells(options.resamples),
            }
            for name, seconds in one.items():
                times.setdefault(name, []).append(seconds)
            print({name: round(seconds, 3) for name, seconds in one.items()}, file=sys.stderr, flush=True)
        peer.close()
    seconds = {name: statistics.median(each) for name, each in times.items()}
    ratios = {
        "arena_rank": seconds["arena_rank_fit_and_intervals"] / seconds["homespun_fit_and_intervals"],
        "arena_rank_counted": seconds["arena_rank_counted"] / seconds["homespun_counted"],
        "evalica": seconds["evalica_bootstrap"] / seconds["homespun_bootstrap"],
        "evalica_counted": seconds["evalica_bootstrap_counted"] / seconds["homespun_bootstrap"],
    }
    report = {
        "votes": options.votes,
        "models": options.models,
        "rounds": options.rounds,
        "resamples": options.resamples,
        "evalica_fits_per_round": fits,
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "times_faster": {name: round(value, 1) for name, value in ratios.items()},
        "largest_difference": differences(votes, answer["found"], theirs.once()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": [round(value, 2) for value in load],
        "load_after": [round(value, 2) for value in os.getloadavg()],
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
