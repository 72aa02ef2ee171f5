"""The report's numbers: against sums by hand, and against the law that what came is what stayed and what left."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.corpus.report import report
from homespun.corpus.report_plot import save_plot
from homespun.errors import ConfigError

STAGES = ["read", "robots", "licence", "language", "dedup", "quality", "pii"]


def by(rows: Sequence[Any], *keys: str) -> dict[Any, Any]:
    return {row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): row for row in rows}


def test_numbers_are_those_of_the_documents(corpus: Path) -> None:
    said = report(corpus)
    assert said.run == f"corpus/{corpus.name}"
    assert said.totals["read"]["documents"] == 11
    assert [row["filter"] for row in said.filters] == STAGES
    removed = {row["filter"]: row["removed"] for row in said.filters}
    assert removed == {"read": 1, "robots": 2, "licence": 1, "language": 0, "dedup": 2, "quality": 1, "pii": 0}
    robots = by(said.filters, "filter")["robots"]
    assert (robots["before"], robots["after"]) == (10, 8)
    assert robots["share"] == pytest.approx(2 / 11)
    assert robots["share_of_before"] == pytest.approx(2 / 10)
    assert robots["bytes_removed"] == len("Refused.") + len("Refused too, by more.")
    languages = by(said.languages, "lang")
    assert list(languages) == ["en", "fr", "ru", "unknown"]
    assert (languages["en"]["read"], languages["en"]["kept"], languages["en"]["excluded"]) == (8, 3, 5)
    assert (languages["ru"]["read"], languages["ru"]["kept"], languages["ru"]["tokens_after"]) == (1, 0, 0)
    french = len("Gardé en français.".encode())
    assert languages["fr"]["tokens_after"] == languages["fr"]["tokens_before"] == french + 2
    reasons = by(said.reasons, "filter", "reason")
    assert next(iter(reasons)) == ("read", "not_utf8")
    assert reasons["dedup", "near"]["documents"] == 1
    assert by(said.filters_by_language, "filter", "lang")["licence", "ru"]["bytes"] == len("Чужое".encode())


def test_tokens_of_what_left_are_estimated_by_language(corpus: Path) -> None:
    said = report(corpus)
    bytes_ = len("Kept in English.") + len("Kept as well.") + len("Last.")
    rate = (bytes_ + 6) / bytes_  # a token per byte, and a beginning and an end for each of three documents
    quality = by(said.filters, "filter")["quality"]
    assert quality["tokens_removed"] == round(rate * len("Poor."))
    french = len("Gardé en français.".encode())
    overall = (bytes_ + french + 8) / (bytes_ + french)
    licence = by(said.filters, "filter")["licence"]
    assert licence["tokens_removed"] == round(overall * len("Чужое".encode()))  # nothing of that language stayed


def test_agents_and_modes(corpus: Path) -> None:
    said = report(corpus)
    agents = {row["agent"]: (row["documents"], row["alone"]) for row in said.agents}
    assert list(agents) == ["any", "GPTBot", "CCBot"]
    assert agents == {"any": (2, None), "GPTBot": (2, 1), "CCBot": (1, 0)}
    assert said.agents[0]["share"] == pytest.approx(2 / 10)  # of what came to the filter
    modes = {row["mode"]: (row["documents"], row["share"], row["whole"]) for row in said.modes}
    # The corpus decided by rfc: what only the others refuse was never asked about.
    assert modes == {"paper": (1, 0.1, False), "rfc": (2, 0.2, True), "lenient": (2, 0.2, False)}
    assert {(row["lang"], row["agent"]): row["documents"] for row in said.agents_by_language} == {
        ("en", "any"): 2,
        ("en", "GPTBot"): 2,
        ("en", "CCBot"): 1,
    }


def test_without_tokens_nothing_is_made_up(make: Any, doc: Any) -> None:
    folder = make([[doc("a"), doc("b", left=("quality", "below_threshold", None))]], packed=False)
    said = report(folder)
    assert said.totals["kept"]["tokens"] is None
    assert said.totals["excluded"]["tokens_estimated"] is None
    assert {row["tokens_before"] for row in said.filters} == {None}
    assert {row["tokens_after"] for row in said.languages} == {None}
    assert said.agents == said.modes == []


def test_filters_that_the_recipe_does_not_name_come_last(make: Any, doc: Any) -> None:
    folder = make([[doc("a", left=("zeal", "x", None)), doc("b", left=("pii", "y", None))]])
    assert [row["filter"] for row in report(folder).filters] == [*STAGES, "zeal"]
    folder = make([[doc("a", left=("zeal", "x", None)), doc("b", left=("age", "y", None))]], config={"name": "bare"})
    said = report(folder)
    assert [row["filter"] for row in said.filters] == ["age", "zeal"]
    assert said.filters[-1]["after"] == 0
    assert said.totals["excluded"]["tokens_estimated"] is None  # nothing stayed that could tell


EVIDENCE = json.dumps({"agents": ["GPTBot", "*"], "modes": ["lenient"]})
FATES = st.sampled_from(
    [
        None,
        ("robots", "agent", EVIDENCE),
        ("robots", "agent", "no JSON"),
        ("robots", "signal", '{"signal": "tdm", "rule": "tdm-reservation: 1"}'),
        ("dedup", "near", "x"),
        ("opt_out", "everyone", EVIDENCE),
    ]
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    docs=st.lists(st.tuples(FATES, st.sampled_from(["en", "de", None]), st.text(max_size=12)), max_size=14),
    cut=st.integers(0, 14),
)
def test_before_is_after_and_what_left(docs: list[Any], cut: int, make: Any, doc: Any, tmp_path: Path) -> None:
    rows = [doc(f"#{n}", text, None, lang, fate) for n, (fate, lang, text) in enumerate(docs)]
    said = report(make([rows[:cut], rows[cut:]], root=tmp_path))
    assert said.filters[0]["before"] == said.totals["read"]["documents"] == len(docs)
    assert said.filters[-1]["after"] == said.totals["kept"]["documents"]
    for row in said.filters:
        for what in ("", "bytes_", "tokens_"):
            before, removed, after = (row[f"{what}{when}"] for when in ("before", "removed", "after"))
            if after is not None:
                assert before == after + removed
    for earlier, later in zip(said.filters, said.filters[1:], strict=False):
        for what in ("", "bytes_", "tokens_"):
            assert earlier[f"{what}after"] == later[f"{what}before"]
    left = said.totals["excluded"]["documents"]
    assert sum(row["documents"] for row in said.reasons) == left
    assert sum(row["documents"] for row in said.filters_by_language) == left
    assert sum(row["excluded"] for row in said.languages) == left
    assert sum(row["read"] for row in said.languages) == len(docs)
    refused = sum(1 for fate, _, _ in docs if fate and fate[0] in ("robots", "opt_out") and fate[1] != "signal")
    assert (said.agents[0]["documents"] if said.agents else 0) == refused
    assert all(row["documents"] <= refused for row in said.agents)
    assert sum(row["documents"] for row in said.agents_by_language if row["agent"] == "any") == refused


def test_the_picture_is_a_picture_and_always_the_same(corpus: Path, tmp_path: Path) -> None:
    said = report(corpus)
    first = save_plot(tmp_path / "a.png", said).read_bytes()
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert save_plot(tmp_path / "b.png", said).read_bytes() == first
    with pytest.raises(ConfigError, match="picture format"):
        save_plot(tmp_path / "a.pdf", said)


def test_hostile_names_are_drawn_as_they_stand(make: Any, doc: Any, tmp_path: Path) -> None:
    evidence = json.dumps({"agents": ["$\\frac{$", "\x00\n" + "x" * 5000], "modes": []})
    folder = make([[doc("a", lang="$_{^"), doc("b", left=("robots", "agent", evidence))]])
    assert save_plot(tmp_path / "a.png", report(folder)).stat().st_size > 1000
