"""Corpora as recipes: `tiny` from what ships, `fineweb` as Apertus was filtered, for those who have its data.

A recipe is a function that returns a `Corpus`; vary it with `dataclasses.replace`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from homespun import data
from homespun.corpus.dedup import Dedup
from homespun.corpus.filters.cut import Cut
from homespun.corpus.filters.extract import Extract
from homespun.corpus.filters.language import Language
from homespun.corpus.filters.licence import PERMISSIVE, Licence
from homespun.corpus.filters.pii import Pii
from homespun.corpus.filters.robots import Robots
from homespun.corpus.filters.robots_table import RobotsTable
from homespun.corpus.filters.scores import PUBLISHED_LANGUAGES, Quality, Toxicity
from homespun.corpus.pack import Pack
from homespun.corpus.pipeline import build
from homespun.corpus.plan import Corpus
from homespun.corpus.read.source import Source
from homespun.corpus.report import ANY, Report, report
from homespun.corpus.robots import MODES, Decider, Policy
from homespun.errors import ConfigError
from homespun.recipes.corpus_cost import forecast

__all__ = ["RECIPES", "Made", "fineweb", "forecast", "make", "tiny"]

Row = dict[str, Any]
DECLARED = (("id", "id"), ("text", "text"), ("lang", "declared"))
QUALITY_LANGUAGES = frozenset(
    "ar cs da de el es fa fr hu id it ja nl pl pt ru sv tr vi zh".split()  # noqa: SIM905
)
"""Languages of FineWeb2-HQ's quality heads (systems page, section 1.5)."""
FINEWEB = (("id", "id"), ("text", "text"), ("url", "url"), ("lang", "language"), ("fetched", "date"))
"""Columns of FineWeb and FineWeb-2."""


def tiny(quality: Path | str | None = None, toxicity: Path | str | None = None) -> Corpus:
    """Some 25 MB of help pages, declarations, plays and a small planted web, in 80 languages; a minute on two cores.

    Args:
        quality: A head of quality; with it the best third of each language stays. None ships.
        toxicity: The same for toxicity; with it the worst twentieth leaves.
    """
    folder = data.path("corpus")
    tokenizer = folder / "tokenizer" / "tokenizer.json"
    scores: list[Quality | Toxicity] = []
    cuts: list[Cut] = []
    if quality:
        scores.append(Quality(head=Path(quality)))
        cuts.append(Cut(column="quality", keep="highest", fraction=0.33))
    if toxicity:
        scores.append(Toxicity(head=Path(toxicity)))
        cuts.append(Cut(column="toxicity", keep="lowest", fraction=0.95))
    return Corpus(
        name="tiny",
        sources=(
            Source(name="help", paths=(folder / "help.parquet",), columns=DECLARED, licence="MPL-2.0"),
            Source(name="declarations", paths=(folder / "declarations.parquet",), columns=DECLARED, licence="MIT"),
            Source(name="drama", paths=(folder / "drama.parquet",), columns=DECLARED, licence="CC-BY-2.5"),
            Source(name="desktop", paths=(folder / "desktop.parquet",), columns=DECLARED, licence="CC-BY-SA-3.0"),
            Source(
                name="notes",
                paths=(folder / "notes.jsonl",),
                columns=(
                    ("licence", "licence"),
                    ("upstream", "upstream"),
                    ("id", "id"),
                    ("text", "text"),
                    ("url", "url"),
                ),
            ),
            Source(name="web", paths=(folder / "web.warc.gz",), licence="MPL-2.0 AND Apache-2.0"),
        ),
        gather=(
            Extract(),
            Robots(table=folder / "robots.parquet"),
            Licence(allow=(*PERMISSIVE, "MPL-2.0")),  # whose duties concern the file alone
            Language(),
            *scores,
        ),
        dedup=Dedup(),
        cuts=tuple(cuts),
        refine=(Pii(),),
        pack=Pack(tokenizer=tokenizer),
    )


def fineweb(
    folder: Path | str,
    robots: Path | str,
    quality: Path | str,
    toxicity: Path | str,
    *,
    encoder: Path | str | None = None,
    glotlid: Path | str | None = None,
    tokenizer: Path | str | None = None,
    keep: float | str = 0.33,
) -> Corpus:
    """FineWeb and FineWeb-2 filtered as Apertus filtered them (arXiv:2509.14233; systems page, sections 1.1 to 1.5).

    The order is theirs: robots files with hindsight, quality, toxicity, sampling at the same share of what has no
    classifier, personal data. Where we differ: languages are told again, which puts their names into one form (the
    data sets' own label wins unless the detector is sure); near-duplicates are looked for once more, per language,
    with FineWeb-2's setting, since FineWeb itself is deduplicated only within a dump.

    Args:
        folder: Holds ``fineweb`` and ``fineweb-2``, each with the Parquet files of the published data set.
        robots: Table of robots files: host, content, status, fetched.
        quality: Heads of quality, one per language, on XLM-R.
        toxicity: The same for toxicity.
        encoder: Folder of XLM-R, if the heads were trained on it.
        glotlid: The fastText file of GlotLID; without it fastText's small model tells languages.
        tokenizer: Packs tokens with it.
        keep: Share of the best of each language: .33, for the later stages .10.

    Raises:
        ConfigError: a folder is missing.
    """
    root = Path(folder)
    for name in ("fineweb", "fineweb-2"):
        if not (root / name).is_dir():
            raise ConfigError(f"no folder {name!r}", str(root), "the Parquet files of the published data set")
    share, encoder = float(keep), Path(encoder) if encoder else None
    told = Language(backend="glotlid", model=Path(glotlid)) if glotlid else Language()
    return Corpus(
        name="fineweb",
        sources=(
            Source(name="fineweb", paths=(root / "fineweb",), columns=FINEWEB, licence="ODC-By-1.0"),
            Source(name="fineweb-2", paths=(root / "fineweb-2",), columns=FINEWEB, licence="ODC-By-1.0"),
        ),
        gather=(
            Robots(table=Path(robots), policy=Policy(mode="paper")),
            told,
            Quality(head=Path(quality), languages=QUALITY_LANGUAGES | {"en"}, encoder=encoder),
            Toxicity(head=Path(toxicity), languages=PUBLISHED_LANGUAGES, encoder=encoder),
        ),
        dedup=Dedup(exact=True, minhash=True, ngram=5, bands=14, rows=8, per_language=True),
        cuts=(
            Cut(column="quality", keep="highest", fraction=share),
            Cut(column="toxicity", keep="lowest", fraction=0.95),
        ),
        refine=(Pii(),),
        pack=Pack(tokenizer=Path(tokenizer)) if tokenizer else None,
    )


RECIPES: dict[str, Callable[..., Corpus]] = {"tiny": tiny, "fineweb": fineweb}
"""By the name that `homespun corpus build` takes."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A corpus with what its page shows."""

    folder: Path
    run_id: str
    report: Report
    shown: list[Row]
    """Documents that left: filter, reason, id, lang, evidence; one of each kind."""
    refused: list[Row]
    """Documents that robots files refuse, by mode and agent; without a table of them none."""


def make(corpus: Corpus, *, progress: Callable[[int, int], None], root: Path | None = None) -> Made:
    """Builds a corpus and counts what left it; a finished one returns at once.

    Args:
        corpus: The recipe.
        progress: Called with (tasks done, tasks in all) of each phase.
        root: Folder of runs.

    Raises:
        DataError: an input is missing.
        RunError: a stage failed, or the run's files are damaged.
    """
    done = build(corpus, root=root, progress=lambda phase, at, total: progress(at, total))
    tables = [stage.table for stage in corpus.gather if isinstance(stage, Robots)]
    return made(done.folder, tables[0] if tables else None)


def made(folder: Path, robots: Path | None = None) -> Made:
    """A finished corpus, counted.

    Args:
        folder: The run's.
        robots: The table of robots files that it was filtered by.

    Raises:
        DataError: the table cannot be read.
        RunError: the run's files are damaged.
    """
    said = report(folder)
    rows = refused(folder, robots) if robots else []
    return Made(folder=folder, run_id=said.run, report=said, shown=shown(folder, said), refused=rows)


def refused(folder: Path, robots: Path) -> list[Row]:
    """How many of a corpus's addresses each agent is refused, in each way of reading robots files.

    All documents count that have an address and a text, also those that another filter took.
    """
    files = RobotsTable.read(robots)
    kept = pl.scan_parquet(folder / "documents" / "*.parquet").select("url")
    left = pl.scan_parquet(folder / "excluded" / "*.parquet").filter(~pl.col("filter").is_in(("read", "extract")))
    urls = pl.concat([kept, left.select("url")]).drop_nulls().collect()["url"]
    rows: list[Row] = []
    for mode in MODES:
        policy = Policy(mode=mode)
        masks = Decider(files, policy).masks(urls)
        hits = {agent: int((masks.to_numpy() >> at & 1).sum()) for at, agent in enumerate(policy.agents)}
        rows.extend({"mode": mode, "agent": agent, "documents": hit} for agent, hit in hits.items())
        rows.append({"mode": mode, "agent": ANY, "documents": int((masks != 0).sum())})
    return [{**row, "asked": len(urls)} for row in rows]


def shown(folder: Path, said: Report) -> list[Row]:
    """A document of each filter and reason, the first by its place in the corpus."""
    rows = pl.scan_parquet(folder / "excluded" / "*.parquet")
    keys = ["filter", "reason"]
    some = rows.sort("shard", "row").group_by(keys, maintain_order=True).head(1)
    found = some.select(*keys, "id", "lang", "evidence").collect().to_dicts()
    places = {row["filter"]: at for at, row in enumerate(said.filters)}
    return sorted(found, key=lambda row: (places.get(row["filter"], len(places)), row["reason"]))
