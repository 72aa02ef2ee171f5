"""Licences: expressions against packaging and Boolean algebra, names, constituents, providers, rules from a file."""

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from homespun.corpus.documents import documents, parted
from homespun.corpus.filters import licence_rules
from homespun.corpus.filters.licence import PERMISSIVE, WEAK_COPYLEFT, Licence
from homespun.corpus.filters.licence_expression import UnparsableError, failing, parse, unspecified
from homespun.errors import ConfigError, DataError

IDS = ["MIT", "Apache-2.0", "ISC", "GPL-3.0-only", "CC-BY-4.0", "CC-BY-SA-4.0", "LicenseRef-Own", "MPL-2.0"]
EXPRESSIONS = st.recursive(
    st.sampled_from([*IDS, "GPL-2.0-or-later WITH Classpath-exception-2.0"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join), inner.map(lambda text: f"({text})")
    ),
    max_leaves=8,
)
TOKENS = st.lists(
    st.sampled_from([*IDS[:3], "AND", "OR", "WITH", "(", ")", "Classpath-exception-2.0", "Nonsense"]), max_size=7
)


def judge(stage: Licence, *rows: dict[str, Any]) -> list[tuple[str | None, str | None, str | None]]:
    """(licence, reason, evidence) of documents."""
    names = ("source", "url", "licence", "licence_source", "upstream")
    columns = {name: [row.get(name, "s" if name == "source" else None) for row in rows] for name in names}
    ids = [str(n) for n in range(len(rows))]
    given_ = documents({"id": ids, "text": ids, **columns})
    done = stage.open()(given_)
    parts = parted(done, stage.name, len(rows))
    assert len(parts.kept) + len(parts.excluded) == len(rows)
    return list(zip(*(done[name].to_pylist() for name in ("licence", "reason", "evidence")), strict=True))


def verdict(licence: str | None, stage: Licence | None = None, **more: Any) -> str | None:
    return judge(stage or Licence(), {"licence": licence, **more})[0][1]


@given(EXPRESSIONS)
def test_expressions_are_canonical_as_packaging_writes_them(text: str) -> None:
    ours = str(parse(text.lower().replace("licenseref-own", "LicenseRef-Own")))
    assert canonicalize_license_expression(ours) == ours
    assert parse(ours) == parse(str(parse(ours)))


@settings(max_examples=300)
@given(TOKENS)
def test_what_packaging_refuses_is_refused(tokens: list[str]) -> None:
    text = " ".join(tokens)
    try:
        canonicalize_license_expression(text)
        theirs = True
    except InvalidLicenseExpression:
        theirs = False
    try:
        parse(text)
        ours = True
    except UnparsableError:
        ours = False
    assert ours == theirs


@given(EXPRESSIONS, st.sets(st.sampled_from(IDS)))
def test_an_expression_is_allowed_as_boolean_algebra_says(text: str, allowed: set[str]) -> None:
    plain = text.replace(" WITH Classpath-exception-2.0", "")
    python = plain.replace("AND", "and").replace("OR", "or")
    for name in sorted({*IDS, "GPL-2.0-or-later"}, key=len, reverse=True):
        python = python.replace(name, str(name in allowed))
    expected = eval(python)
    assert (failing(parse(text), lambda leaf: leaf.licence in allowed) is None) == expected


@given(EXPRESSIONS, st.sets(st.sampled_from(IDS)), st.sampled_from(IDS))
def test_allowing_more_refuses_nothing_new(text: str, allowed: set[str], more: str) -> None:
    rules, wider = (Licence(allow=("X", *sorted(names))) for names in (allowed, allowed | {more}))
    if verdict(text, rules) is None:
        assert verdict(text, wider) is None
    assert verdict(text, Licence(allow=("*",), deny=(more,))) in (None, "not_allowed")


@pytest.mark.parametrize(
    ("name", "spdx"),
    [
        ("CC BY 4.0", "CC-BY-4.0"),
        ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "CC-BY-NC-SA-4.0"),
        ("https://creativecommons.org/licenses/by/4.0/legalcode", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by-nc-nd/2.5/", "CC-BY-NC-ND-2.5"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("apache 2", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("http://www.apache.org/licenses/LICENSE-2.0.txt", "Apache-2.0"),
        ("The MIT License", "MIT"),
        ("New BSD License", "BSD-3-Clause"),
        ("BSD-2-Clause-FreeBSD", "BSD-2-Clause"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("GNU General Public License v3 or later", "GPL-3.0-or-later"),
        ("AGPLv3", "AGPL-3.0-only"),
        ("GNU Lesser General Public License v2.1 only", "LGPL-2.1-only"),
        ("public domain", "LicenseRef-PublicDomain"),
        ("ODC-BY", "ODC-By-1.0"),
        ("MIT and Apache 2.0", "MIT AND Apache-2.0"),
        ("mit OR (isc and zlib)", "MIT OR ISC AND Zlib"),
        ("mit and (isc or zlib)", "MIT AND (ISC OR Zlib)"),
        ("MIT,", "MIT"),
    ],
)
def test_names_are_understood(name: str, spdx: str) -> None:
    assert str(parse(name)) == spdx


@pytest.mark.parametrize(
    "name",
    ["BSD", "CC BY", "cc", "GPL", "apache", "MIT/Apache-2.0", "free", "(" * 99 + "MIT", "MIT AND (ISC", "é", "\0"],
)
def test_ambiguous_names_are_refused(name: str) -> None:
    assert verdict(name) == "unparsable"


@pytest.mark.parametrize("text", [None, "", " ", "unknown", "Other", "NOASSERTION", "n/a", "None", "[unspecified]"])
def test_nothing_said_is_not_a_permission(text: str | None) -> None:
    assert unspecified(text)
    assert verdict(text) == "unspecified"


# Which licences pass by default: redistribution and commercial use without share-alike (Apertus, section 3.2).
@pytest.mark.parametrize(
    ("licence", "reason"),
    [
        (name, None)
        for name in ("CC0-1.0", "CC-BY-4.0", "CC-BY-3.0-DE", "CC-BY-2.5", "MIT", "Apache-2.0", "BSD-3-Clause")
    ]
    + [(name, None) for name in ("PDDL-1.0", "ODC-By-1.0", "Unlicense", "0BSD", "LicenseRef-PublicDomain", "ISC")]
    + [(name, None) for name in ("MIT OR GPL-3.0-only", "Apache-2.0 WITH LLVM-exception", "MIT AND ISC")]
    + [(name, "not_allowed") for name in ("CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "CC-BY-NC-SA-3.0-DE")]
    + [(name, "not_allowed") for name in ("GPL-3.0-only", "MPL-2.0", "ODbL-1.0", "MIT AND GPL-2.0-only", "proprietary")]
    + [(name, "not_allowed") for name in ("BSD-3-Clause-No-Nuclear-License", "LicenseRef-Own", "GFDL-1.3-or-later")],
)
def test_the_default_allows_use_without_share_alike(licence: str, reason: str | None) -> None:
    assert verdict(licence) == reason


def test_share_alike_of_files_is_an_option() -> None:
    wider = Licence(allow=(*PERMISSIVE, *WEAK_COPYLEFT))
    assert verdict("MPL-2.0", wider) is None
    assert verdict("LGPL-2.1-or-later", wider) is None
    assert verdict("GPL-2.0-only", wider) == "not_allowed"
    assert verdict("CC-BY-NC-4.0", Licence(allow=("CC-*",), deny=("*-NC-*",))) == "not_allowed"


def test_every_constituent_must_pass() -> None:
    found = judge(
        Licence(),
        {"licence": "MIT", "upstream": ["wiki=CC-BY-SA-4.0"]},
        {"licence": "MIT", "upstream": ["a=MIT", "b=CC0-1.0"]},
        {"licence": "MIT", "upstream": ["a=MIT", "b=unknown"]},
        {"licence": "MIT", "upstream": ["just a name"]},
        {"licence": "CC-BY-SA-4.0", "upstream": ["a=MIT"]},
        {"licence": "Apache-2.0", "upstream": ["https://x.example/?a=b=CC-BY-NC-4.0"]},
        {"licence": "MIT", "upstream": ["a=what"]},
    )
    assert [row[1] for row in found] == [
        *("constituent_not_allowed", None, "constituent_not_allowed", "constituent_not_allowed", "not_allowed"),
        *("constituent_not_allowed", "constituent_not_allowed"),
    ]
    assert found[0][2] == "wiki is CC-BY-SA-4.0, the whole says MIT"
    assert found[2][2] == "b is unspecified ('unknown'), the whole says MIT"
    assert found[5][2] == "https://x.example/?a=b is CC-BY-NC-4.0, the whole says Apache-2.0"
    assert verdict("MIT", Licence(named_only=True), upstream=["just a name"]) is None
    assert verdict("MIT", Licence(named_only=True), upstream=["a=GPL-3.0-only"]) == "constituent_not_allowed"


@pytest.mark.parametrize(
    ("row", "refused"),
    [
        ({"url": "https://www.reddit.com/r/x"}, True),
        ({"url": "https://old.Reddit.com./r/x"}, True),
        ({"url": "https://notreddit.com/"}, False),
        ({"url": "https://reddit.com.example/"}, False),
        ({"url": "https://blog.example/reddit.com"}, False),
        ({"source": "stack-exchange"}, True),
        ({"source": "eli5_reddit"}, True),
        ({"source": "accredditation"}, False),
        ({"upstream": ["StackExchange dump=CC0-1.0"]}, True),
        ({"upstream": ["dump of superuser.com=CC0-1.0"]}, True),
        ({"upstream": ["letters=CC0-1.0"]}, False),
    ],
)
def test_share_alike_providers_are_known_by_name_and_by_host(row: dict[str, Any], refused: bool) -> None:
    assert verdict("CC0-1.0", **row) == ("provider_excluded" if refused else None)
    assert verdict("CC0-1.0", Licence(providers=()), **row) is None


def test_a_source_that_somebody_looked_into_is_what_they_found() -> None:
    stage = Licence(sources=(("minutes", "public domain"),))
    found = judge(stage, {"source": "minutes", "licence": "unknown"}, {"source": "other", "licence": "unknown"})
    assert found == [("LicenseRef-PublicDomain", None, None), ("unknown", "unspecified", "'unknown'")]
    done = stage.open()(documents({"id": ["1"], "text": ["t"], "source": ["minutes"]}))
    assert done["licence_source"].to_pylist() == ["filter"]
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert stage.files == {}
    with pytest.raises(ConfigError, match="unknown or ambiguous"):
        Licence(sources=(("a", "BSD"),))
    with pytest.raises(ConfigError, match="no licence is allowed"):
        Licence(allow=())


def test_licences_are_written_canonically() -> None:
    assert judge(Licence(), {"licence": "apache 2 or gplv3"})[0] == ("Apache-2.0 OR GPL-3.0-only", None, None)


def test_rules_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('also_allow = ["MPL-2.0"]\ndeny = ["MIT"]\nproviders = []\n[sources]\na = "CC0-1.0"\n')
    rules = licence_rules.read(path)
    assert rules == Licence(allow=(*PERMISSIVE, "MPL-2.0"), deny=("MIT",), providers=(), sources=(("a", "CC0-1.0"),))
    assert verdict("MIT", rules) == "not_allowed"
    path.write_text("")
    assert licence_rules.read(path) == Licence()


@pytest.mark.parametrize("text", ["allow = 3", "permit = []", "allow = [", "allow = ['']", "\0"])
def test_a_file_that_holds_no_rules_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"rules\.toml"):
        licence_rules.read(path)
    with pytest.raises(DataError, match="cannot be read"):
        licence_rules.read(tmp_path / "gone.toml")
