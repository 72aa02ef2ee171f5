"""Question: does our MinHash find near copies as often as the law says, and what does a document cost by each way?

Hypothesis, before running: with 14 bands of 8 hashes a pair of Jaccard similarity J is found with probability
1 - (1 - J^8)^14 at every J, by ours as by rensa's; unrelated documents are never found; 32-bit permutations in numpy
cost less than rensa's signatures once those are turned into an array.

    python experiments/0009_minhash_curve.py --out minhash.json --figure docs/assets/corpus/s-curve.png

Pairs are planted: two documents of 104 words begin alike and have no word twice, so that their similarity is exact.
Intervals are Clopper and Pearson's, 95 %. Costs are processor time of this process, the least of several rounds in
which every way takes its turn, on the answers of language models that ship with homespun.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rensa import RMinHash, RMinHashLSH
from scipy.stats import binomtest

import homespun
from homespun.corpus.dedup import Dedup, keys, sign
from homespun.corpus.dedup.minhash import Shingles, shingles, signatures
from homespun.corpus.dedup.words import words
from homespun.corpus.documents import Batch, documents

WORDS = 104
SHARED = (48, 57, 67, 71, 75, 79, 82, 86, 89, 92, 95, 97)
"""Shingles in common, of 100."""
SETTINGS = Dedup(exact=False)
THRESHOLD = (1 / SETTINGS.bands) ** (1 / SETTINGS.rows)
"""Where the curve is steepest, about."""
ANSWERS = Path(homespun.__file__).parent / "data" / "recorded" / "greedy.parquet"


def planted(shared: int, count: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Texts of a pair: the first ``shared`` shingles are the same, all others occur once."""
    left: list[str] = []
    right: list[str] = []
    for _ in range(count):
        drawn = ["".join(map(chr, letters)) for letters in rng.integers(97, 123, (2 * WORDS - shared - 4, 10))]
        tail = WORDS - shared - 4
        left.append(" ".join(drawn[:WORDS]))
        right.append(" ".join(drawn[: shared + 4] + drawn[WORDS : WORDS + tail]))
    return left, right


def batch(texts: list[str]) -> Batch:
    """Documents without anything but a text."""
    return documents({"id": [str(at) for at in range(len(texts))], "text": texts})


def ours(left: list[str], right: list[str]) -> int:
    """Pairs found."""
    one, other = sign(batch(left), SETTINGS), sign(batch(right), SETTINGS)
    return int(np.any([one[key].to_numpy() == other[key].to_numpy() for key in keys(SETTINGS)], axis=0).sum())


def by_rensa(left: list[str], right: list[str]) -> int:
    """Pairs that rensa finds on the same shingles; no other two documents share any."""
    part = shingles(words([text for pair in zip(left, right, strict=True) for text in pair], 0), 5, 0)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(*flat(part), SETTINGS.hashes, 1)
    lsh = RMinHashLSH(0.7, SETTINGS.hashes, SETTINGS.bands)
    return sum(lsh.insert_matrix_and_query_duplicate_flags(matrix)) // 2


def flat(part: Shingles) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Shingles as rensa takes them."""
    hashes = part.hashes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return hashes, np.append(part.starts, len(hashes)).astype(np.uint64)


def point(shared: int, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Recall at one similarity."""
    left, right = planted(shared, count, rng)
    jaccard = shared / (2 * (WORDS - 4) - shared)
    law = 1 - (1 - jaccard**SETTINGS.rows) ** SETTINGS.bands
    found = ours(left, right)
    interval = binomtest(found, count).proportion_ci(0.95)
    return {
        "jaccard": jaccard,
        "law": law,
        "recall": found / count,
        "low": float(interval.low),
        "high": float(interval.high),
        "p": float(binomtest(found, count, law).pvalue),
        "rensa": by_rensa(left, right) / count,
    }


def precision(points: list[dict[str, Any]], name: str) -> float:
    """Share of the found pairs at or above the threshold, where every similarity is as frequent as every other."""
    above = sum(p[name] for p in points if p["jaccard"] >= THRESHOLD)
    return above / sum(p[name] for p in points)


def strangers(count: int, rng: np.random.Generator) -> int:
    """Pairs of unrelated documents that share a band, among all pairs of ``count`` documents."""
    signed = sign(batch(planted(0, count, rng)[0]), SETTINGS)
    return sum(count - len(np.unique(signed[key].to_numpy())) for key in keys(SETTINGS))


def wide(part: Shingles) -> NDArray[np.uint64]:
    """Signatures as ours, but of 64 bits."""
    x, _ = flat(part)
    factors = np.random.PCG64(0).random_raw(SETTINGS.hashes) | np.uint64(1)
    return np.stack([np.minimum.reduceat(x * factor, part.starts) for factor in factors])


def costs(documents_: int, rounds: int) -> dict[str, Any]:
    """Microseconds a document."""
    texts = pq.read_table(ANSWERS, columns=["completion"])["completion"].slice(0, documents_).to_pylist()
    table = batch(texts)
    part = shingles(words(texts, 0), 5, 0)
    hashes, offsets = flat(part)

    def matrix() -> Any:
        return RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, SETTINGS.hashes, 1)

    def rho() -> Any:
        return RMinHash.digest_matrix_from_flat_token_hashes_rho(hashes, offsets, SETTINGS.hashes, 1)

    ways: dict[str, Callable[[], Any]] = {
        "sign, exact and MinHash": lambda: sign(table, Dedup()),
        "signatures alone: ours, numpy of 32 bits": lambda: signatures(part, SETTINGS.hashes, 0),
        "signatures alone: numpy of 64 bits": lambda: wide(part),
        "signatures alone: rensa, not read": matrix,
        "signatures alone: rensa, as an array": lambda: np.array(matrix().to_rows(), np.uint32),
        "signatures alone: rensa's one-permutation kind, as an array": lambda: np.array(rho().to_rows(), np.uint32),
    }
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            least[name] = min(least[name], time.process_time() - start)
    said = {name: seconds / len(texts) * 1e6 for name, seconds in least.items()}
    return {"documents": len(texts), "characters": sum(map(len, texts)) / len(texts), "microseconds": said}


def draw(points: list[dict[str, Any]], path: Path) -> None:
    """The curve, and what was found."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    grid = np.linspace(0.25, 1, 200)
    axes.plot(grid, 1 - (1 - grid**SETTINGS.rows) ** SETTINGS.bands, color="0.6", label="1 - (1 - J⁸)¹⁴")
    x = np.array([p["jaccard"] for p in points])
    y, low, high = (np.array([p[name] for p in points]) for name in ("recall", "low", "high"))
    axes.errorbar(x, y, (y - low, high - y), fmt="o", ms=4, color="C0", capsize=2, label="homespun, 95 %")
    axes.plot(x, [p["rensa"] for p in points], "x", color="C1", label="rensa")
    axes.set(xlabel="Jaccard similarity of the shingles", ylabel="pairs found")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Draws, measures, prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4000, help="at each similarity")
    parser.add_argument("--documents", type=int, default=10_000, help="whose cost is measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    points = [point(shared, args.pairs, rng) for shared in SHARED]
    found = {
        "pairs": args.pairs,
        "seed": args.seed,
        "points": points,
        "threshold": THRESHOLD,
        "precision": {name: precision(points, name) for name in ("law", "recall", "rensa")},
        "strangers": {"documents": args.pairs, "pairs that share a band": strangers(args.pairs, rng)},
        "cost": costs(args.documents, args.rounds),
    }
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    if args.figure:
        draw(points, args.figure)


if __name__ == "__main__":
    main()
