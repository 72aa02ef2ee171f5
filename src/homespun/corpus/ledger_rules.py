"""What a reason of the ledger means, in words, and what the run's own configuration says about the filter.

A reason that is not listed here is told as it stands: a new filter needs no line here to be asked about.
"""

import json
from collections.abc import Mapping
from typing import Any

from homespun.records import Run

ROBOTS = ("robots", "opt_out")
"""Filters whose evidence names user agents: ``{"agents": [...], "modes": [...]}``."""
SIGNAL = "signal"
"""Their reason where something else than a rule for an agent refuses."""
OPT_OUT = "opt_out"
"""The filter of documents that were taken out of a finished run."""

RULES: Mapping[tuple[str, str], str] = {
    ("read", "bad_charset"): "its bytes are not of the charset that it names",
    ("read", "bad_compression"): "its file could not be unpacked from here on",
    ("read", "bad_json"): "its line is no JSON object",
    ("read", "bad_parquet"): "its file could not be read from here on",
    ("read", "bad_warc"): "its record breaks the format of WARC",
    ("read", "bomb"): "its file unpacks to far more than its size allows",
    ("read", "no_column"): "its table has no column of text",
    ("read", "not_text"): "its record is neither HTML nor plain text",
    ("read", "status"): "its server answered with an error instead of a page",
    ("read", "no_text"): "its record holds no text",
    ("read", "not_utf8"): "it holds bytes that are no UTF-8",
    ("read", "too_long"): "it is longer than a document may be",
    ("read", "truncated"): "its file ends in the middle of it",
    ("read", "unreadable"): "its file could not be read at all",
    ("extract", "extract_failed"): "its page could not be read",
    ("extract", "no_text"): "nothing was left of its page without menus and scripts",
    ("extract", "too_deep"): "its page is nested deeper than any page is",
    ("robots", "agent"): "its site's robots file refuses {agents}",
    ("robots", "everyone"): "its site's robots file refuses everyone",
    ("robots", SIGNAL): "its site or its page asks not to be trained on",
    ("licence", "constituent_not_allowed"): "what it was made from has a licence that is not allowed",
    ("licence", "not_allowed"): "its licence is not among those that are allowed",
    ("licence", "provider_excluded"): "its provider is left out by name",
    ("licence", "unparsable"): "its licence is no SPDX expression",
    ("licence", "unspecified"): "nothing says what its licence is",
    ("language", "no_letters"): "it has too few letters to tell a language",
    ("language", "not_wanted"): "its language is not among those that are gathered",
    ("language", "uncertain"): "its language could not be told with confidence",
    ("dedup", "exact"): "{keeper} has the same text",
    ("dedup", "near"): "{keeper} has nearly the same text",
    ("quality", "below_threshold"): "its quality is below the threshold of its language",
    ("quality", "sampled_out"): "its language has no score of quality, and the draw left it out",
    ("toxicity", "above_threshold"): "its toxicity is above the threshold of its language",
    ("toxicity", "sampled_out"): "its language has no score of toxicity, and the draw left it out",
    ("sample", "sampled_out"): "the draw left it out",
    (OPT_OUT, "agent"): "its site's newer robots file refuses {agents}",
    (OPT_OUT, "everyone"): "its site's newer robots file refuses everyone",
    (OPT_OUT, SIGNAL): "its site asks since not to be trained on",
}


def rule(filter_: str, reason: str, evidence: str | None) -> str:
    """Why a document left, as the end of a sentence."""
    words = RULES.get((filter_, reason))
    if words is None:
        return f"the filter {filter_} says {reason}"
    agents = ", ".join(robots_evidence(evidence)[0]) or "an agent"
    return words.format(agents=agents, keeper=evidence or "another document")


def robots_evidence(evidence: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Agents that a robots file refuses, and the modes in which it does; empty where the evidence says else."""
    try:
        said: Any = json.loads(evidence or "null")
    except ValueError:
        return (), ()
    if not isinstance(said, dict):
        return (), ()
    return _words(said.get("agents")), _words(said.get("modes"))


def shown(text: str) -> str:
    """A text from the web as a terminal may have it: without anything that steers it, and not too long."""
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:401])
    return printable if len(printable) <= 400 else f"{printable[:399]}…"


def settings(run: Run, filter_: str) -> Mapping[str, Any] | None:
    """What a run's record says of one filter; None where it says nothing."""
    config = run.config
    if filter_ == "read":
        return config.get("limits")
    if filter_ in ("dedup", OPT_OUT):
        return config.get(filter_)
    for phase, key in (("gather", "stage"), ("refine", "stage"), ("cuts", "column")):
        for said in config.get(phase) or ():
            if isinstance(said, dict) and said.get(key) == filter_:
                return said
    return None


def _words(value: Any) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()
