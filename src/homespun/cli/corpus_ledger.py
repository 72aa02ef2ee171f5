"""`homespun corpus why|report|opt-out`: what became of a document, of all of them, and of those refused since."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from homespun.cli.output import Dry, Json, Runs, progress, say, show_json, show_plan, show_rows

if TYPE_CHECKING:
    from homespun.corpus.lineage import Made
    from homespun.corpus.report import Report

FILTERS = {"filter": "", "before": ",d", "removed": ",d", "share": ".1%", "after": ",d", "bytes after": ",d"}
REASONS = {"filter": "", "reason": "", "documents": ",d", "share": ".2%", "bytes": ",d"}
LANGUAGES = {"lang": "", "read": ",d", "kept": ",d", "share kept": ".1%", "bytes before": ",d", "bytes after": ",d"}
AGENTS = {"agent": "", "documents": ",d", "share": ".2%", "alone": ",d"}
MODES = {"mode": "", "documents": ",d", "share": ".2%", "": ""}
MADE = {"run": "", "stage": "", "status": "", "read": ""}
SHOWN = 20
"""Languages that are printed; all are in the JSON."""


def why(
    document: Annotated[str, Parameter(name="DOC")],
    /,
    *,
    run: str | None = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Tell what became of a document: which filter took it out and on what evidence, or where it is now.

    Args:
        document: Its id, its URL, or the beginning or end of either.
        run: A corpus by its id or the beginning of it; by default all that are finished are asked, the newest first.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        as_json: Print one JSON object.
    """
    from homespun.corpus.ledger import why
    from homespun.corpus.ledger_rules import shown

    answer = why(document, run=run, root=runs)
    if as_json:
        show_json(answer.plain())
        return
    print(f"{shown(answer.words)}\n")
    said = answer.plain()
    tokens = said.pop("tokens")
    if tokens:
        said["tokens"] = f"{tokens['file']}, {tokens['start']:,} to {tokens['stop']:,}"
    for key, value in said.items():
        if value is not None and key not in ("words", "settings"):
            print(f"{key.replace('_', ' '):<12} {shown(str(value))}")
    for key, value in (said["settings"] or {}).items():
        print(f"{'setting':<12} {key} = {shown(str(value))}")


def report(
    run: Annotated[str, Parameter(name="RUN")],
    /,
    *,
    plot: Path | None = None,
    runs: Runs = None,
    as_json: Json = False,
) -> None:
    """Tell what a corpus lost where: documents, bytes and tokens before and after, by filter, language, user agent.

    Args:
        run: A corpus, by its id or the beginning of it.
        plot: Where to draw it, a .png.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        as_json: Print one JSON object.
    """
    from homespun.corpus.ledger import corpus_folder
    from homespun.corpus.report import report
    from homespun.corpus.report_plot import check_place, save_plot

    if plot is not None:
        check_place(plot)
    said = report(corpus_folder(run, runs))
    if plot is not None:
        save_plot(plot, said)
    if as_json:
        show_json(said.plain())
        return
    _show(said)


def opt_out(
    run: Annotated[str, Parameter(name="RUN")],
    /,
    *,
    robots: Path,
    mode: Literal["paper", "rfc", "lenient"] | None = None,
    agents: str | None = None,
    unavailable: Literal["allow", "refuse"] | None = None,
    workers: int = 0,
    runs: Runs = None,
    dry: Dry = False,
    as_json: Json = False,
) -> None:
    """Take out of a finished corpus what newer robots files refuse, and name everything that was made from it.

    The result is a new run; the old one stays, and still holds the documents until its folder is deleted.

    Args:
        run: A corpus, by its id or the beginning of it.
        robots: Table (.parquet, .jsonl) with columns host and content (the file, or null), and where known status and
            fetched.
        mode: How files are read: paper, rfc or lenient; by default as the corpus itself did, else lenient.
        agents: User agents with commas; by default those of the corpus, else the 15 of Apertus.
        unavailable: What a file means that answers with a server error: allow or refuse.
        workers: Processes; 0: one per core.
        runs: Folder of runs; default $HOMESPUN_RUNS, else ./runs.
        dry: Only say what would be done.
        as_json: Print one JSON object.
    """
    import dataclasses

    from homespun.corpus import opt_out as work
    from homespun.corpus.executors import Local
    from homespun.corpus.ledger import corpus_folder
    from homespun.runs.run import read_run

    folder = corpus_folder(run, runs)
    given: dict[str, Any] = {"mode": mode, "agents": agents and _names(agents), "unavailable": unavailable}
    stage = work.stage_of(read_run(folder), robots)
    policy = dataclasses.replace(stage.policy, **{name: value for name, value in given.items() if value})
    if dry:
        stage = dataclasses.replace(stage, policy=policy)
        found = work.refused(folder, stage)
        config = {"run": f"corpus/{folder.name}", **work.described(stage)}
        show_plan(config, {"robots": robots}, documents=found.documents, shards=len(found.shards))
        return
    with progress("cutting shards") as advance:
        done = work.opt_out(run, robots, policy, root=runs, executor=Local(workers=workers), progress=advance)
    if as_json:
        made = [dataclasses.asdict(item) for item in done.made]
        said = {"run": done.run_id, "folder": str(done.folder), "before": done.before, **done.totals}
        show_json({**said, "again": done.again, "made": made})
        return
    print(f"{done.totals['opted_out']:,} documents left, {done.totals['kept']:,} stay: {done.run_id}")
    _show_made(done.made)
    say(f"{done.before} still holds what left; who may not keep it deletes that folder")


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _show_made(made: "list[Made] | tuple[Made, ...] | Any") -> None:
    if not made:
        print("nothing was made from what left")
        return
    rows = [
        {**vars(item), "read": ", ".join(item.through[:3]) + (" …" if len(item.through) > 3 else "")} for item in made
    ]
    print("")
    show_rows(rows, MADE, title="made with some of what left (by document in affected.parquet):")


def _show(said: "Report") -> None:
    read, kept = said.totals["read"], said.totals["kept"]
    tokens = f", {kept['tokens']:,} tokens" if kept["tokens"] is not None else ""
    title = f"{said.run}: {kept['documents']:,} of {read['documents']:,} documents{tokens}"
    packed = {"tokens after": ",d", "~tokens removed": ",d"} if kept["tokens"] is not None else {}
    filters = [_spaced(row) | {"~tokens removed": row["tokens_removed"]} for row in said.filters]
    show_rows(filters, FILTERS | packed, title=title)
    print("\nwhy:")
    show_rows([_spaced(row) for row in said.reasons], REASONS)
    count = (
        f"the largest {SHOWN} of {len(said.languages):,} languages" if len(said.languages) > SHOWN else "by language"
    )
    print(f"\n{count}:")
    packed = {"tokens after": ",d"} if packed else {}
    show_rows([_spaced(row) for row in said.languages[:SHOWN]], LANGUAGES | packed)
    if said.agents:
        print("\nrefused by robots files, of what came that far:")
        show_rows([_spaced(row) for row in said.agents], AGENTS)
        print("\nby the way of reading them:")
        show_rows([{**row, "": "" if row["whole"] else "at least"} for row in said.modes], MODES)


def _spaced(row: Any) -> dict[str, Any]:
    """A row under headings for people, its texts fit for a terminal."""
    from homespun.corpus.ledger_rules import shown

    said = {name.replace("_", " "): value for name, value in row.items()}
    return {name: shown(value) if isinstance(value, str) else value for name, value in said.items()}
