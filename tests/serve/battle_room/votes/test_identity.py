"""Hashes for voters and addresses: stable, salted, and of an address for a day only."""

import stat
from pathlib import Path

import pytest

from homespun.errors import ConfigError
from homespun.serve.battle_room.limits import DAY, Identity

pytestmark = pytest.mark.slow


def test_the_salt_is_kept_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMESPUN_ARENA_SALT", raising=False)
    first = Identity.load(tmp_path / "state")
    path = tmp_path / "state" / "arena-salt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Identity.load(tmp_path / "state").voter("t") == first.voter("t")
    assert Identity.load(tmp_path / "other").voter("t") != first.voter("t")
    assert path.read_text() not in repr(first)
    path.write_text("short")
    with pytest.raises(ConfigError, match="too short"):
        Identity.load(tmp_path / "state")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="HOMESPUN_ARENA_SALT"):
        Identity.load(tmp_path / "file")


def test_the_salt_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMESPUN_ARENA_SALT", "a salt that is long enough")
    assert Identity.load(tmp_path).voter("t") == Identity(b"a salt that is long enough").voter("t")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("HOMESPUN_ARENA_SALT", "short")
    with pytest.raises(ConfigError, match="too short"):
        Identity.load(tmp_path)


def test_an_address_is_another_tomorrow() -> None:
    identity = Identity(b"salt")
    assert identity.address("192.0.2.1", 0.0) == identity.address("192.0.2.1", DAY - 1)
    assert identity.address("192.0.2.1", 0.0) != identity.address("192.0.2.1", DAY)
    assert identity.address("192.0.2.1", 0.0) != identity.address("192.0.2.2", 0.0)
    assert identity.address("::ffff:192.0.2.1", 0.0) == identity.address("192.0.2.1", 0.0)
    assert identity.address("2001:db8::1", 0.0) == identity.address("2001:db8::ffff:2", 0.0), "one household"
    assert identity.address("2001:db8::1", 0.0) != identity.address("2001:db8:0:1::1", 0.0)
    assert identity.address("unix", 0.0)
    assert "192.0.2.1" not in identity.address("192.0.2.1", 0.0)


def test_kinds_are_apart() -> None:
    identity = Identity(b"salt")
    assert identity.voter("x") != identity.prompt("x")
    assert identity.prompt("A  Snake\ngame") == identity.prompt("a snake game")
    assert len(Identity.new_token()) >= 32
    assert Identity.new_token() != Identity.new_token()
