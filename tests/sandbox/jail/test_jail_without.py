"""Bubblewrap where less can be had: no control group, no root, no bubblewrap at all."""

import os

import pytest

from homespun.errors import SandboxError
from homespun.sandbox.jail import command, groups, gvisor, jail, limits, system
from homespun.sandbox.jail.bubblewrap import Bubblewrap
from homespun.sandbox.jail.types import Bounds, Job, Outcome

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("jail")]


def run(*argv: str, **bounds: float) -> Outcome:
    return Bubblewrap().start(Job(argv=argv, bounds=Bounds(**bounds))).wait()  # type: ignore[arg-type]


def test_memory_is_bounded_for_each_process_without_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "parents", dict)
    outcome = run(system.PYTHON, "-c", "held = bytearray(1400 << 20)", memory_mb=1100)
    assert (outcome.status, outcome.exit_code, outcome.peak_mb) == ("memory", 1, None)
    assert run(system.PYTHON, "-c", "held = bytearray(700 << 20)", memory_mb=1100).status == "ok"
    assert run(system.NODE, "-e", "console.log(1)", memory_mb=100).stdout == "1\n"


def test_an_ordinary_user_gets_a_user_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (command, limits):
        monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    outcome = run(
        "/bin/sh", "-c", "id -u; id -un; grep -E '^Cap(Eff|Prm|Bnd)|^NoNew' /proc/self/status; unshare -Ur true"
    )
    assert outcome.stdout.split()[:2] == ["62000", "sandbox"]
    assert outcome.stdout.split()[3::2] == ["0" * 16, "0" * 16, "0" * 16, "1"]
    assert "not permitted" in outcome.stderr
    with pytest.raises(SandboxError, match="root"):
        jail("gvisor")


def test_nothing_stands_in_for_a_jail_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    command.binary.cache_clear()
    gvisor.binary.cache_clear()
    with pytest.raises(SandboxError, match="apt install bubblewrap"):
        jail("bubblewrap")
    with pytest.raises(SandboxError):
        jail("gvisor")
    monkeypatch.undo()
    with pytest.raises(SandboxError, match="bubblewrap or gvisor"):
        jail("docker")
    assert jail("bubblewrap").name == "bubblewrap"
    assert os.access(command.binary(), os.X_OK)


def test_gvisor_is_refused_where_memory_cannot_be_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "parents", dict)
    with pytest.raises(SandboxError, match="control group"):
        jail("gvisor")
