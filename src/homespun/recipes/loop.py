"""One whole turn of the loop: recorded answers → verdicts → confidence → outcomes → router → battles → corpus → report.

Every stage is a run of its own, so a turn that was killed goes on by the same call, and a finished one
returns at once. A recipe is a function that returns a `Turn`; vary it with `dataclasses.replace`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl

from homespun import data
from homespun.confidence import calibrate as confidence
from homespun.corpus.plan import Corpus
from homespun.errors import DataError
from homespun.evals import grade as grading
from homespun.recipes import corpora
from homespun.recipes.battles import Battled, Battles, battle
from homespun.records import Decision
from homespun.router import explain, outcomes_from
from homespun.router import fit as routing
from homespun.runs.run import open_run, root_folder
from homespun.runs.tables import Kind, read_table

Progress = Callable[[int, int], None]
Watch = Callable[[str], Any]
"""Called with the name of a stage; gives a context manager whose value is a Progress callback."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What `homespun calibrate` does: samples, with verdicts or with problems to grade them by."""

    samples: Path
    """Table of samples: dataset, id, model, completion or answer."""
    problems: Path | None = None
    """Gold answers; the samples are graded by them first."""
    verdicts: Path | None = None
    """Rows of an earlier grading of the same samples."""
    measures: tuple[confidence.Measure | Literal["all"], ...] = ("all",)
    """agreement, entropy, fsd; or all."""
    by: tuple[str, ...] = ()
    """Columns to report by."""
    mode: Literal["strict", "paper"] = "strict"
    """How failed extractions count (calibration from sample consistency, §2)."""
    bins: int = 10
    """Equal-width bins of the calibration error; the paper's repository uses 10."""
    grader: str | None = None
    """Grader for data sets without one."""

    def settings(self) -> dict[str, Any]:
        """The resolved configuration without the tables, as JSON."""
        return {key: value for key, value in asdict(self).items() if key not in ("samples", "problems", "verdicts")}

    def run(self, *, root: Path | None = None, progress: Progress | None = None) -> confidence.CalibrateResult:
        """Grades where needed, then measures.

        Raises:
            DataError: a table is wrong.
        """
        samples, verdicts = self.samples, self.verdicts
        if self.problems is not None:
            samples = gradeable(samples, root=root)
            graded = grading.grade(
                self.problems, samples, mode=self.mode, grader=self.grader, root=root, progress=progress
            )
            verdicts = graded.folder / "verdicts.parquet"
        return confidence.calibrate(
            samples,
            verdicts=verdicts,
            measures=self.measures,
            by=self.by,
            mode=self.mode,
            bins=self.bins,
            root=root,
        )


def gradeable(samples: Path, *, root: Path | None = None) -> Path:
    """Completes a table of samples with what grading needs: a strategy, a completion, a number for each sample.

    Samples that hold only an answer are read as if they said "The answer is …"; without a strategy they are read as
    chains of thought. A table that has all columns is taken as it is.

    Raises:
        DataError: the table is wrong, or has neither completions nor answers.
    """
    apart = ("strategy", "variant", "sample")
    optional: dict[str, Kind] = dict.fromkeys((*apart, "completion", "answer"), "text")
    table = read_table(samples, {"dataset": "text", "id": "text", "model": "text"}, optional)
    there = set(table.columns)
    if not there & {"completion", "answer"}:
        raise DataError(
            "neither a column 'completion' nor 'answer'", str(samples), f"columns there: {', '.join(there)}"
        )
    if {"completion", "strategy"} <= there:
        return samples
    said = pl.format("The answer is {}.", pl.col("answer").str.strip_chars().str.strip_suffix("."))
    added = {
        "strategy": pl.lit("cot"),
        "completion": said.fill_null("") if "answer" in there else pl.lit(""),
        "sample": pl.int_range(pl.len()).over("dataset", "id", "model").cast(pl.String),
    }
    if there & set(apart[1:]):
        del added["sample"]
    with open_run("samples", samples.stem, config={}, inputs={"samples": samples}, root=root) as run:
        if not run.done:
            run.write("samples", table.with_columns(**{k: v for k, v in added.items() if k not in there}))
            run.finish(metrics={"rows": table.height})
        return run.path / "samples.parquet"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn on recorded answers."""

    name: str
    """A word for the run's folder."""
    problems: Path
    """Problems with gold answers."""
    greedy: Path
    """One completion per problem, model and strategy: what is routed."""
    variations: Path
    """Several completions per problem of one model: what confidence is measured on."""
    datasets: tuple[str, ...] = ("gsm8k", "svamp", "strategyqa", "date", "sports")
    """Data sets that are routed together; SayCan's plans are graded but have too few usable cells to route."""
    battles: Battles | None = None
    """Battles between recorded programs; none: the stage is left out."""
    corpus: Corpus | None = None
    """A corpus to be built; none: the stage is left out."""
    seed: int = 0
    """Random seed of every stage."""

    def plan(self) -> dict[str, Any]:
        """The resolved configuration and a forecast, as JSON; recorded answers cost nothing again."""
        corpus = self.corpus.described() if self.corpus else None
        config = {
            key: str(value) if isinstance(value, Path) else value
            for key, value in (asdict(replace(self, corpus=None)) | {"corpus": corpus}).items()
        }
        rows = sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in (self.greedy, self.variations))
        return {"config": config, "forecast": {"completions": rows, "dollars": 0.0}}


def recorded() -> Turn:
    """The turn that `homespun demo` makes, on the answers that ship with the package."""
    folder = data.path("recorded")
    return Turn(
        name="recorded",
        problems=folder / "problems.parquet",
        greedy=folder / "greedy.parquet",
        variations=folder / "variations.parquet",
        battles=Battles(),
        corpus=corpora.tiny(),
    )


class Turned(NamedTuple):
    """What a turn leaves behind."""

    grades: list[dict[str, Any]]
    calibration: list[dict[str, Any]]
    reliability: pl.DataFrame
    routes: list[dict[str, Any]]
    n: int
    examples: list[str]
    folders: dict[str, Path]
    battles: Battled | None = None
    corpus: corpora.Made | None = None


def turn(config: Turn, *, watch: Watch, root: Path | None = None) -> Turned:
    """Makes the whole turn and returns its tables.

    Args:
        config: Which answers, which seed.
        watch: Shows the progress of each stage.
        root: Folder of runs.

    Raises:
        HomespunError: a stage could not work; finished stages stay and are not repeated.
    """
    with watch("grading recorded answers") as progress:
        greedy = grading.grade(config.problems, config.greedy, root=root, progress=progress)
    with watch("grading repeated samples") as progress:
        repeated = grading.grade(config.problems, config.variations, root=root, progress=progress)
    with watch("measuring confidence"):
        calibrated = confidence.calibrate(
            config.variations, verdicts=repeated.folder / "verdicts.parquet", by=("dataset",), root=root
        )
        across = confidence.calibrate(
            config.greedy, verdicts=greedy.folder / "verdicts.parquet", by=("model",), root=root
        )
    outcomes = _outcomes(config, greedy.folder / "verdicts.parquet", root)
    router = root_folder(root) / "routers" / outcomes.parent.name
    with watch("fitting the router") as progress:
        routing.fit(outcomes, router, seed=config.seed, progress=progress)
    with watch("replaying held-out questions") as progress:
        evaluated = routing.evaluate(router, outcomes, root=root, progress=progress)
    fought = None
    if config.battles is not None:
        with watch("running battles") as progress:
            fought = battle(config.battles, progress=progress, root=root)
    gathered = None
    if config.corpus is not None:
        with watch("gathering a corpus") as progress:
            gathered = corpora.make(config.corpus, progress=progress, root=root)
    folders = {"grade": greedy.folder, "calibrate": across.run, "router": router, "route": evaluated.run}
    return Turned(
        grades=greedy.rows,
        calibration=[*calibrated.rows, *across.rows],
        reliability=across.reliability,
        routes=evaluated.rows,
        n=evaluated.n,
        examples=_examples(evaluated),
        folders=folders
        | ({"battles": fought.folder} if fought is not None else {})
        | ({"corpus": gathered.folder} if gathered is not None else {}),
        battles=fought,
        corpus=gathered,
    )


def _examples(evaluated: routing.EvalResult) -> list[str]:
    """In words: a decision that stopped early, one of middling length and the longest, under the balanced preset."""
    chosen = evaluated.decisions.filter(pl.col("preset") == "balanced").sort("cost", "prompt_id")
    rows = [chosen.height // 10, chosen.height // 2, (99 * chosen.height) // 100]
    return [explain.in_words(Decision.model_validate_json(chosen["decision"][row])) for row in rows]


def make(
    config: Turn, *, watch: Watch, write: Callable[[Turned, Path], Path], root: Path | None = None
) -> tuple[Turned, Path]:
    """Makes the turn and its report; returns the tables and the folder that holds ``report.html``.

    Args:
        config: Which answers, which seed.
        watch: Shows the progress of each stage.
        write: Writes the report into a folder (see `homespun.recipes.page`).
        root: Folder of runs.
    """
    turned = turn(config, watch=watch, root=root)
    made = {"grade": "summary", "calibrate": "rows", "route": "rows"}
    if turned.battles is not None:
        made["battles"] = "ratings"
    if turned.corpus is not None:
        made["corpus"] = "shards"
    inputs = {stage: turned.folders[stage] / f"{table}.parquet" for stage, table in made.items()}
    tables = {"grades": turned.grades, "calibration": turned.calibration, "routes": turned.routes}
    with open_run("demo", config.name, config={"datasets": config.datasets}, inputs=inputs, root=root) as run:
        if not run.done:
            for name, rows in tables.items():
                run.write(name, pl.DataFrame(rows, infer_schema_length=None))
            write(turned, run.path)
            run.finish(metrics={"questions": turned.n})
        return turned, run.path


def _outcomes(config: Turn, verdicts: Path, root: Path | None) -> Path:
    inputs = {"verdicts": verdicts, "problems": config.problems, "completions": config.greedy}
    with open_run("outcomes", config.name, config={"datasets": config.datasets}, inputs=inputs, root=root) as run:
        if not run.done:
            chosen = pl.col("dataset").is_in(config.datasets)
            frame = outcomes_from(
                pl.read_parquet(verdicts).filter(chosen),
                pl.read_parquet(config.problems).filter(chosen),
                pl.read_parquet(config.greedy).filter(chosen),
            )
            run.write("outcomes", frame)
            run.finish(metrics={"rows": frame.height})
        return run.path / "outcomes.parquet"
