"""`homespun corpus`: text that may be used, and why."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from homespun.cli.output import Json, show_json, show_rows
from homespun.errors import DataError

app = App(
    name="corpus", help="Gather text that may be used, with a reason for every document.", help_format="plaintext"
)
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
