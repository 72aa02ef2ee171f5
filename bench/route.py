"""Latency of one routing decision on one core: features, predicted score and cost of every arm, the choice.

    OMP_NUM_THREADS=1 python bench/route.py [--num 2000] [--embed] [--router DIR]

Prompts are real ones (RouteLLM's GSM8K and MMLU), one at a time, none of them seen in fitting. There are 30 arms, as in
the recorded answers; their scores are the two recorded models', repeated, since the time does not depend on the values.
Peers in the same run, on the same prompts: a scikit-learn pipeline of TF-IDF and ridge, called prompt by prompt as one
would naively; with --embed, a RouteLLM-style matrix factorisation, which has to embed the prompt first (by MiniLM on
the CPU; RouteLLM itself calls a paid embedding endpoint). With --router, also the whole decision of a fitted router
(taxonomy, predictor, blend, cascade and the words of the explanation), such as the one that the demo leaves. Rounds
alternate, so that a busy machine hurts all alike.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from homespun.data import path
from homespun.models.embedding import WIDTH, embed
from homespun.router.cost_predictor import CostPredictor
from homespun.router.decide import Router
from homespun.router.learned import LearnedConfig, Predictor

ARMS, FITTED, MU = 30, 2000, 0.5
Decide = Callable[[str], int]


def table() -> tuple[list[str], NDArray[np.float64]]:
    """All prompts in a fixed random order and their scores under 30 arms."""
    frame = pl.read_parquet(path("routellm/outcomes.parquet"))
    wide = frame.pivot("model", index=["dataset", "subject", "id", "prompt"], values="score", maintain_order=True)
    wide = wide.unique("prompt", keep="first", maintain_order=True).sample(fraction=1.0, shuffle=True, seed=0)
    scores = wide.select(pl.col("mixtral-8x7b"), pl.col("gpt-4-1106-preview")).to_numpy().astype(float)
    return wide["prompt"].to_list(), np.tile(scores, ARMS // 2)


def homespun_decision(prompts: list[str], scores: NDArray[np.float64], config: LearnedConfig) -> Decide:
    predictor = Predictor(config).fit(prompts, scores)
    lengths = np.array([len(prompt) for prompt in prompts], dtype=float)
    dollars = CostPredictor().fit(prompts, 1e-6 * lengths[:, None] * np.linspace(1, 30, ARMS))

    def decide(prompt: str) -> int:
        cost = dollars.predict([prompt])[0]
        return int(np.argmax(predictor.predict([prompt]).mean[0] - MU * cost / cost.max()))

    return decide


def pipeline_decision(prompts: list[str], scores: NDArray[np.float64]) -> Decide:
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2), Ridge(3.0, solver="sparse_cg")
    )
    model.fit(prompts, scores)
    return lambda prompt: int(np.argmax(model.predict([prompt])[0]))


def factorisation_decision() -> Decide:
    random = np.random.default_rng(0)
    project, arms = random.normal(size=(WIDTH, 128)), random.normal(size=(128, ARMS))
    return lambda prompt: int(np.argmax((embed([prompt])[0] @ project) @ arms))


def measure(deciders: dict[str, Decide], prompts: list[str], rounds: int = 20) -> dict[str, dict[str, float]]:
    """Milliseconds per decision, wall clock and this process's own, over all prompts."""
    wall: dict[str, list[float]] = {name: [] for name in deciders}
    own: dict[str, list[float]] = {name: [] for name in deciders}
    for part in np.array_split(np.arange(len(prompts)), rounds):
        for name, decide in deciders.items():
            for i in part:
                started, busy = time.perf_counter(), time.process_time()
                decide(prompts[i])
                wall[name].append(1000 * (time.perf_counter() - started))
                own[name].append(1000 * (time.process_time() - busy))
    return {name: summary(wall[name], own[name]) for name in deciders}


def summary(wall: list[float], own: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(wall, [50, 95, 99])
    cpu50, cpu95 = np.percentile(own, [50, 95])
    values = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "cpu_p50_ms": cpu50, "cpu_p95_ms": cpu95}
    return {name: round(float(value), 3) for name, value in values.items()}


def main(num: int, with_embedding: bool, router: str | None) -> None:
    prompts, scores = table()
    known, fresh = prompts[:FITTED], prompts[FITTED : FITTED + num]
    deciders = {
        "homespun ridge (default)": homespun_decision(known, scores[:FITTED], LearnedConfig()),
        "scikit-learn pipeline": pipeline_decision(known, scores[:FITTED]),
    }
    if with_embedding:
        deciders["MiniLM and factors (RouteLLM-style)"] = factorisation_decision()
    if router:
        whole = Router.load(router)
        deciders["homespun, a whole Router.decide"] = lambda prompt: len(whole.decide(prompt).path)
    for decide in deciders.values():
        decide(prompts[-1])  # loads what is loaded lazily
    load = os.getloadavg()[0]
    rows = [{"name": name} | row for name, row in measure(deciders, fresh).items()]
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "load": round(load, 1)}
    print(json.dumps({"what": "one routing decision", "n": len(fresh), "arms": ARMS} | machine | {"rows": rows}))


if __name__ == "__main__":
    wanted = sys.argv[1:]
    count = int(wanted[wanted.index("--num") + 1]) if "--num" in wanted else 2000
    main(count, "--embed" in wanted, wanted[wanted.index("--router") + 1] if "--router" in wanted else None)
