"""Does a blend of cheap regressors on text route better than TF-IDF ridge, on RouteLLM's own outcomes?

Hypothesis, before running: GSM8K's difficulty shows in countable things (length, numbers, rates), so scalars help a
ridge most there; MMLU's shows in the subject, so labels read off the prompt and nearest neighbours help there. Bars:
APGR ≥ .634 on GSM8K and ≥ .696 on MMLU, the difference to the floor in the same folds above zero on MMLU.

Five folds, equal prompts in one fold, seeds 0–4, APGR over the out-of-fold predictions of all prompts. Target: gain =
strong - weak. A subject is a label in training and never seen in a decision. Blends have equal weights. What was
chosen on which prompts stands in docs/papers/emafusion-learned.md.

    OMP_NUM_THREADS=1 python experiments/0004_routellm.py            all; parts that exist under runs/ are reused
    OMP_NUM_THREADS=1 python experiments/0004_routellm.py gsm8k 0 1  one set, some seeds
"""

import json
import sys
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from homespun.data import path
from homespun.models.embedding import embed, remember
from homespun.router.features import FeatureConfig
from homespun.router.frontier import apgr, cpt
from homespun.router.intervals import bootstrap
from homespun.router.learned import LearnedConfig, Predictor
from homespun.router.outcomes import normalise
from homespun.router.scalars import clip
from homespun.runs.run import root_folder

Floats = NDArray[np.float64]
KINDS = ("linear", "ridge", "neighbours", "boosting")
BLENDS = {"gsm8k": ("ridge",), "mmlu": ("linear", "neighbours", "boosting")}
"""What was chosen on the development part; `linear` alone is the floor."""
WEAK, STRONG = "mixtral-8x7b", "gpt-4-1106-preview"
FOLDS, SEEDS = 5, (0, 1, 2, 3, 4)
FOLDER = root_folder() / "experiments" / "0004_routellm"


class Table(NamedTuple):
    """One data set: n prompts with the two models' scores."""

    prompts: list[str]
    subjects: list[str]
    weak: Floats
    strong: Floats
    groups: NDArray[np.int64]


def read(name: str) -> Table:
    frame = pl.read_parquet(path("routellm/outcomes.parquet")).filter(pl.col("dataset") == name)
    wide = frame.pivot("model", index=["subject", "id", "prompt"], values="score", maintain_order=True)
    keys: dict[str, int] = {}
    groups = np.array([keys.setdefault(normalise(prompt), len(keys)) for prompt in wide["prompt"]])
    scores = (wide[model].to_numpy().astype(float) for model in (WEAK, STRONG))
    return Table(wide["prompt"].to_list(), wide["subject"].to_list(), *scores, groups)


def recall_embeddings(name: str, prompts: list[str]) -> None:
    """Embeds once; later runs read the file."""
    file, texts = FOLDER / f"embeddings-{name}.npy", [clip(prompt) for prompt in prompts]
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        np.save(file, embed(texts).astype(np.float32))
    remember(texts, np.load(file))


def folds_of(groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    return (np.random.default_rng(seed).permutation(groups.max() + 1) % FOLDS)[groups]


def predictions(name: str, table: Table, seed: int) -> dict[str, Floats]:
    """(n,) predicted gain of each regressor, out of fold."""
    fold, out = folds_of(table.groups, seed), np.zeros((len(KINDS), len(table.prompts)))
    for number in range(FOLDS):
        file, held = FOLDER / f"{name}-{seed}-{number}.npy", np.flatnonzero(fold == number)
        if not file.exists():
            np.save(file, held_out(table, np.flatnonzero(fold != number), held))
            print(f"{name} seed {seed} fold {number}", file=sys.stderr, flush=True)
        out[:, held] = np.load(file)
    return dict(zip(KINDS, out, strict=True))


def held_out(table: Table, rest: NDArray[np.int64], held: NDArray[np.int64]) -> Floats:
    """(m, h) gain that each regressor predicts for the held prompts, learned from the rest."""
    config = LearnedConfig(kinds=KINDS, features=FeatureConfig(embed=True), num_folds=0)
    target = (table.strong - table.weak + 1) / 2
    labels = [table.subjects[i] for i in rest]
    predictor = Predictor(config).fit([table.prompts[i] for i in rest], target[rest][:, None], labels=labels)
    return 2 * predictor.parts(predictor.features.see([table.prompts[i] for i in held]))[:, :, 0] - 1


def report(name: str, table: Table, runs: list[dict[str, Floats]]) -> dict[str, object]:
    """Mean APGR over seeds of every regressor and of the blend, and the blend's lead over the floor."""
    weak, strong = table.weak, table.strong
    blends = [sum(run[kind] for kind in BLENDS[name]) for run in runs]
    floors = [run["linear"] for run in runs]

    def lead(weights: Floats) -> Floats:
        pairs = [
            apgr(ours, weak, strong, weights) - apgr(floor, weak, strong, weights)
            for ours, floor in zip(blends, floors, strict=True)
        ]
        return np.mean(pairs, axis=0)

    level = bootstrap(
        lambda weights: np.mean([apgr(ours, weak, strong, weights) for ours in blends], axis=0),
        len(weak),
        num_resamples=1000,
        groups=table.groups,
    )
    gap = bootstrap(lead, len(weak), num_resamples=1000, groups=table.groups)
    alone = {kind: float(np.mean([apgr(run[kind], weak, strong) for run in runs])) for kind in KINDS}
    return {
        "dataset": name,
        "n": len(weak),
        "seeds": len(runs),
        "blend": BLENDS[name],
        "apgr": [round(value, 4) for value in level],
        "floor": round(alone["linear"], 4),
        "lead": [round(value, 4) for value in gap],
        "cpt50": round(float(np.mean([cpt(ours, weak, strong, 0.5) for ours in blends])), 4),
        "cpt50_floor": round(float(np.mean([cpt(floor, weak, strong, 0.5) for floor in floors])), 4),
        "by_seed": [round(float(apgr(ours, weak, strong)), 4) for ours in blends],
        "alone": {kind: round(value, 4) for kind, value in alone.items()},
    }


def main(names: list[str], seeds: list[int]) -> None:
    for name in names:
        table = read(name)
        recall_embeddings(name, table.prompts)
        runs = [predictions(name, table, seed) for seed in seeds]
        print(json.dumps(report(name, table, runs)), flush=True)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    main([wanted[0]] if wanted else list(BLENDS), [int(seed) for seed in wanted[1:]] or list(SEEDS))
