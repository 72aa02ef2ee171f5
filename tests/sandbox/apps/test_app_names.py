"""What a request may be called, and who may ask: Host, Fetch Metadata, the ways to say both wrongly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.errors import ConfigError
from homespun.sandbox.apps.origins import Origins


def test_a_run_is_one_label_before_the_domain() -> None:
    origins = Origins("http://{run}.localhost:{port}", 8123)
    assert origins.of("a1") == "http://a1.localhost:8123"
    assert origins.source() == "http://*.localhost:8123"
    assert origins.run("a1.localhost:8123") == "a1"
    assert origins.run("A1.LOCALHOST:8123") == "a1"


@pytest.mark.parametrize(
    "authority",
    [
        "localhost:8123",
        "127.0.0.1:8123",
        "a1.localhost",
        "a1.localhost:80",
        "a1.localhost:8124",
        "a1.localhost.:8123",
        "b.a1.localhost:8123",
        ".localhost:8123",
        "-a.localhost:8123",
        "a1.localhost:8123:8123",
        "a1.localhost:08123",
        "user@a1.localhost:8123",
        "a1.localhost:8123/x",
        "a1.localhost.example.org:8123",
        "a1.example.org",
        "a_1.localhost:8123",
        "ä1.localhost:8123",
        "a1。localhost:8123",
        "a1.localhost:8123 ",
        "a1.localhost:8123\n",
        "",
    ],
)
def test_any_other_name_is_nobodys(authority: str) -> None:
    assert Origins("http://{run}.localhost:{port}", 8123).run(authority) is None


def test_the_default_port_may_be_left_out() -> None:
    origins = Origins("https://{run}.apps.example.org", 9000)
    assert origins.run("a1.apps.example.org") == origins.run("a1.apps.example.org:443") == "a1"
    assert origins.run("a1.apps.example.org:9000") is None
    assert origins.trustworthy
    assert not Origins("http://{run}.apps.example.org", 80).trustworthy


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True))
def test_the_origin_of_a_run_names_that_run(run: str) -> None:
    origins = Origins("http://{run}.localhost:{port}", 8123)
    assert origins.run(origins.of(run).removeprefix("http://")) == run


@pytest.mark.parametrize(
    "pattern", ["http://{run}", "http://x.{run}.localhost", "{run}.localhost", "http://{run}.{run}.x", "ftp://{run}.x"]
)
def test_a_pattern_must_put_the_run_first(pattern: str) -> None:
    with pytest.raises(ConfigError):
        Origins(pattern, 1)


@pytest.mark.parametrize("run", ["", "A", "a.b", "a_b", "-a", "a" * 64, "a b", "a\n"])
def test_an_id_that_is_no_label_is_refused(run: str) -> None:
    with pytest.raises(ConfigError):
        Origins("http://{run}.localhost:{port}", 1).of(run)
