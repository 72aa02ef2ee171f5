"""`homespun corpus`: text that may be used, and why."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from homespun.cli.output import Json, show_json, show_rows
from homespun.errors import DataError

app = App(
    name="corpus", help="Gather text that may be used, with a reason for every document.", help_format="plaintext"
)
for _name, (_place, _help) in {
    "build": ("corpus_build:build", "Build a corpus from a recipe: judge, deduplicate, redact, write, pack."),
    "why": ("corpus_ledger:why", "Say why a document stayed or left, and on what evidence."),
    "report": ("corpus_ledger:report", "Tell what a corpus lost where, by filter, language and user agent."),
    "opt-out": ("corpus_ledger:opt_out", "Take out what its owners have refused since, and name what was made of it."),
    "tokenizer": ("corpus_tokenizer:app", "Train a tokenizer; report how evenly it serves languages."),
    "train-head": ("corpus_heads:train_head", "Train a head that scores quality or toxicity, on your labels."),
}.items():
    app.command(f"homespun.cli.{_place}", name=_name, help=_help)

COLUMNS = {"url": "", "agent": "", "allowed": "", "rule": "", "reason": ""}


@app.command
def robots(
    cases: Annotated[Path, Parameter(name="CASES")],
    /,
    *,
    mode: Literal["paper", "rfc", "lenient"] = "lenient",
    as_json: Json = False,
) -> None:
    """Decide by robots files who may take what.

    Args:
        cases: Table with columns robots_txt (the file's text; empty where a site has none), url and agent.
        mode: rfc is the standard, RFC 9309; paper what Apertus did (the parser protego); lenient refuses whatever an
            owner may have meant to forbid, and is the default for data that will be released.
        as_json: Print one JSON object.
    """
    from homespun.corpus.robots.robots import verdict
    from homespun.runs.tables import read_table

    table = read_table(cases, {"url": "text", "agent": "text"}, {"robots_txt": "text"})
    if "robots_txt" not in table.columns:
        raise DataError("missing column 'robots_txt'", str(cases), "the text of each site's robots file, or null")
    rows: list[dict[str, Any]] = []
    for content, url, agent in table.select("robots_txt", "url", "agent").iter_rows():
        said = verdict(content, url, agent, mode)
        rows.append({"url": url, "agent": agent, "allowed": said.allowed, "rule": said.rule, "reason": said.reason})
    if as_json:
        show_json({"rows": rows})
        return
    refused = sum(not row["allowed"] for row in rows)
    show_rows(rows, COLUMNS, title=f"{refused} of {len(rows)} refused, mode {mode}")


RATES = {"mode": "", "agent": "", "refused": ",d", "documents": ",d", "share": ".1%"}


@app.command
def rates(
    urls: Annotated[Path, Parameter(name="URLS")],
    /,
    *,
    robots: Path,
    as_json: Json = False,
) -> None:
    """Compare what the three ways of reading robots files would remove, for any agent and each.

    Args:
        urls: Table with a column url.
        robots: Table of robots files: host, content; status where known.
        as_json: Print one JSON object.
    """
    from homespun.corpus.filters.robots import rates
    from homespun.corpus.filters.robots_table import RobotsTable
    from homespun.runs.tables import read_table

    found = rates(read_table(urls, {"url": "text"})["url"], RobotsTable.read(robots))
    rows = found.to_dicts()
    if as_json:
        show_json({"rows": rows})
        return
    show_rows([row for row in rows if row["refused"] or row["agent"] == "any"], RATES)
