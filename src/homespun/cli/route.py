"""`homespun route fit|eval|explain`: learn a router from outcomes, prove it on held-out prompts, ask it why."""

from pathlib import Path

from cyclopts import App

from homespun.cli.output import Dry, Json, Runs, progress, say, show_json, show_rows

app = App(name="route", help="Fit, evaluate and explain a router.", help_format="plaintext")

COLUMNS = {
    "name": "",
    "kind": "",
    "score": ".1%",
    "score_low": ".1%",
    "score_high": ".1%",
    "cost": "$",
    "aiq": ".4f",
    "apgr": ".3f",
    "cpt50": ".3f",
    "saving": ".1%",
}


@app.command
def fit(*, outcomes: Path, out: Path, seed: int = 0, dry: Dry = False, as_json: Json = False) -> None:
    """Fit a router on the training and validation prompts of a table of outcomes.

    Args:
        outcomes: Table in long format: prompt, model, score (0 to 1), cost (dollars) or input_tokens and
            output_tokens; optionally id, dataset, answer, strategy.
        out: Folder to write the router to.
        seed: Random seed.
        dry: Only say what would be done.
        as_json: Print one JSON object.
    """
    from homespun.router import fit as stage

    if dry:
        show_json(stage.plan(outcomes, seed=seed))
        return
    with progress("fitting") as advance:
        fitted = stage.fit(outcomes, out, seed=seed, progress=advance)
    if as_json:
        show_json(fitted.summary())
        return
    for key, value in fitted.summary().items():
        print(f"{key:<12} {value}")
    say(f"try: homespun route eval --router {out} --outcomes {outcomes}")


@app.command(name="eval")
def evaluate(*, router: Path, outcomes: Path, runs: Runs = None, as_json: Json = False) -> None:
    """Evaluate a router by replay: prompts it was fitted on are left out.

    Args:
        router: Folder that `route fit` wrote.
        outcomes: Table in long format, as for `route fit`.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        as_json: Print one JSON object.
    """
    from homespun.router import fit as stage

    with progress("replaying") as advance:
        result = stage.evaluate(router, outcomes, root=runs, progress=advance)
    if as_json:
        show_json({"rows": result.rows, "n": result.n, "run": str(result.run)})
        return
    show_rows(result.rows, COLUMNS)
    print(f"\n{result.n:,} held-out prompts; 95 % intervals by bootstrap over prompts; run: {result.run}")
    print("try: homespun route explain ID")


@app.command
def explain(
    decided: str,
    *,
    router: Path | None = None,
    runs: Runs = None,
    config: Path | None = None,
    as_json: Json = False,
) -> None:
    """Tell in words why a decision was made: taxonomy, predictor, each tier and judge.

    Args:
        decided: The id of a prompt that `route eval` or `demo` decided, or of a request that the gateway answered.
        router: Only decisions of this router; default: the newest evaluation.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        config: The gateway's settings, for a request; default homespun.toml here, else what ships.
        as_json: Print one JSON object.
    """
    from homespun.router import explain as explained

    if decided.startswith("req-"):
        from homespun.serve.gateway import config as settings
        from homespun.serve.gateway import explained as served

        decision = served.find(settings.load(config), decided)
    else:
        decision = explained.find(decided, router=router, root=runs)
    if as_json:
        show_json(decision.model_dump(mode="json"))
    else:
        print(explained.in_words(decision))
