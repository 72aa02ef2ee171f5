"""npm's versions: against node-semver itself, and by the laws of an order."""

import itertools
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.sandbox.build.semver import parse, satisfies
from homespun.sandbox.jail.system import node_folder

NUMBERS = st.integers(0, 12)
RELEASES = st.builds("{}.{}.{}".format, NUMBERS, NUMBERS, NUMBERS)
VERSIONS = [
    "0.0.0",
    "0.0.1",
    "0.1.0",
    "0.1.9",
    "0.2.0",
    "1.0.0",
    "1.2.3",
    "1.2.4",
    "1.3.0",
    "1.10.0",
    "2.0.0",
    "18.3.1",
]
VERSIONS += ["1.2.3-alpha", "1.2.3-alpha.1", "1.2.3-alpha.beta", "1.2.3-1", "1.3.0-rc.1", "1.2.3+build.5", "2.0.0-0"]
PARTS = [
    "*",
    "x",
    "0",
    "1",
    "18",
    "1.x",
    "1.2",
    "0.1",
    "0.0",
    "1.2.x",
    "1.2.3",
    "0.0.0",
    "0.0.1",
    "0.1.0",
    "1.2.3-alpha",
]
PARTS += ["1.2.3-alpha.1", "v1.2.3", "1.2.3-rc.2", "2.0.0-0", "1.2.3+build"]
SIGNS = ["", "=", "^", "~", ">", ">=", "<", "<="]


@pytest.mark.slow
def test_every_range_means_what_npm_means() -> None:
    pairs = [(version, sign + part) for version, sign, part in itertools.product(VERSIONS, SIGNS, PARTS)]
    node = node_folder()
    semver = node / "lib/node_modules/npm/node_modules/semver"
    program = f"const s = require({json.dumps(str(semver))});"
    program += "const pairs = JSON.parse(require('fs').readFileSync(0));"
    program += "console.log(JSON.stringify(pairs.map(([v, r]) => s.satisfies(v, r))))"
    done = subprocess.run(
        [node / "bin/node", "-e", program], input=json.dumps(pairs), capture_output=True, text=True, check=True
    )
    theirs = dict(zip(pairs, json.loads(done.stdout), strict=True))
    assert sum(theirs.values()) > 500
    assert {pair for pair, told in theirs.items() if satisfies(*pair) != told} == set()


@given(RELEASES, RELEASES)
def test_above_below_and_equal_divide_all_versions(version: str, other: str) -> None:
    told = [satisfies(version, sign + other) for sign in ("<", "=", ">")]
    assert sum(told) == 1
    assert satisfies(version, ">=" + other) == (told[1] or told[2])
    assert satisfies(version, "<=" + other) == (told[0] or told[1])


@given(RELEASES, RELEASES)
def test_tilde_is_within_caret_is_within_at_least(version: str, other: str) -> None:
    if satisfies(version, "~" + other) and not other.startswith("0."):
        assert satisfies(version, "^" + other)
    if satisfies(version, "^" + other):
        assert satisfies(version, ">=" + other)


@pytest.mark.parametrize("text", ["", "1", "latest", "1.2", "1.2.3.4", "-1.2.3", "1.2.3-", "a.b.c", "9" * 20 + ".0.0"])
def test_what_is_no_version_is_none(text: str) -> None:
    assert parse(text) is None
    assert not satisfies(text, "*")


@pytest.mark.parametrize("wanted", ["next", "1 || 2", "", "https://x", "1.2.3.4"])
def test_what_is_no_single_range_is_never_met(wanted: str) -> None:
    assert not satisfies("1.2.3", wanted)
