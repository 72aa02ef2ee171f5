"""`homespun corpus build`: a recipe in, a run out."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from homespun.cli.output import Dry, Json, Runs, progress, say, show_json, show_rows
from homespun.errors import ConfigError

if TYPE_CHECKING:
    from homespun.corpus.plan import Corpus

COLUMNS = {"what": "", "documents": ",d", "bytes": ",d", "share": ".1%"}
PHASES = {
    "gather": "reading and judging shards",
    "compare": "looking for what repeats",
    "refine": "cutting, sampling and writing shards",
}


def build(
    recipe: Annotated[str, Parameter(name="RECIPE")],
    /,
    *options: str,
    workers: int = 0,
    ray: bool = False,
    runs: Runs = None,
    dry: Dry = False,
    as_json: Json = False,
) -> None:
    """Build a corpus: read, judge, deduplicate, cut, redact, write and pack.

    Args:
        recipe: tiny (from what ships), fineweb (as published, for those who have the data), or a Python file with a
            function ``corpus`` that returns a Corpus.
        options: What the recipe asks for, as NAME=VALUE.
        workers: Processes; 0: one per core.
        ray: Work on Ray Data: on the cluster of $RAY_ADDRESS, else on one that is started here.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        dry: Only say what would be done, with a forecast of its cost.
        as_json: Print one JSON object.
    """
    from homespun.corpus.executors import Local, OnRay
    from homespun.corpus.pipeline import build
    from homespun.recipes.corpora import forecast

    corpus = named(recipe, options)
    if dry:
        show_json({"config": corpus.described(), "forecast": forecast(corpus)})
        return
    bars: dict[str, Any] = {}

    def tell(phase: str, done: int, total: int) -> None:
        if phase not in bars:
            _close(bars)
            bars[phase] = progress(PHASES[phase])
            bars["advance"] = bars[phase].__enter__()
        bars["advance"](done, total)

    executor = OnRay() if ray else Local(workers=workers)
    try:
        built = build(corpus, root=runs, executor=executor, progress=tell)
    finally:
        _close(bars)
    totals = built.totals
    rows = [
        {"what": what, "documents": totals[key], "bytes": totals[f"{key}_bytes"], "share": share}
        for what, key in (("read", "read"), ("excluded", "excluded"), ("kept", "kept"))
        for share in [totals[key] / max(totals["read"], 1)]
    ]
    if as_json:
        show_json({"run": built.run_id, "folder": str(built.folder), **totals})
        return
    show_rows(rows, COLUMNS, title=f"{built.run_id}, {totals.get('tokens', 0):,} tokens")
    say(f"homespun corpus report {built.run_id}")


def _close(bars: dict[str, Any]) -> None:
    bars.pop("advance", None)
    for name in list(bars):
        bars.pop(name).__exit__(None, None, None)


def named(recipe: str, options: tuple[str, ...]) -> "Corpus":
    """A recipe by its name, or by a file.

    Raises:
        ConfigError: no such recipe, an option that it doesn't take, or a file without ``corpus``.
    """
    from homespun.recipes.corpora import RECIPES

    pairs = [option.partition("=") for option in options]
    values: dict[str, str] = {name: value for name, _, value in pairs}
    if recipe.endswith(".py"):
        made = _from_file(Path(recipe))
    elif recipe in RECIPES:
        made = RECIPES[recipe]
    else:
        raise ConfigError(f"no recipe {recipe!r}", "corpus build", f"{', '.join(RECIPES)}, or a Python file")
    try:
        return made(**values)
    except TypeError as error:
        raise ConfigError(str(error), f"recipe {recipe}", "options as NAME=VALUE") from None


def _from_file(path: Path) -> Callable[..., "Corpus"]:
    """The function ``corpus`` of a Python file; its folder joins the path, so that workers find it too."""
    if not path.is_file():
        raise ConfigError("no such file", str(path), "check the path")
    sys.path.insert(0, str(path.resolve().parent))
    made = getattr(importlib.import_module(path.stem), "corpus", None)
    if not callable(made):
        raise ConfigError("defines no function 'corpus'", str(path), "def corpus() -> Corpus: …")
    return cast("Callable[..., Corpus]", made)
