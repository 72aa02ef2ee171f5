"""Where packages come from: what the user told pip and npm, never a host of somebody else's choice."""

import pytest

from homespun.errors import ConfigError
from homespun.sandbox.build import Registries


@pytest.mark.slow
def test_the_users_own_settings_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple")
    monkeypatch.setenv("npm_config_registry", "https://npm.invalid/")
    assert Registries.configured() == Registries(pypi="https://index.invalid/simple", npm="https://npm.invalid/")


@pytest.mark.parametrize("url", ["ftp://x.invalid", "file:///srv/simple", "https:///simple", "x.invalid/simple"])
def test_an_address_must_be_an_http_one_and_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Registries(pypi=url)
    assert "x.invalid" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://pypi.org/simple/a/", True),
        ("https://files.pythonhosted.org/a.whl", True),
        ("https://registry.npmjs.org/a", True),
        ("http://pypi.org/simple/a/", False),
        ("https://pypi.org:8443/simple/a/", False),
        ("https://pypi.org.evil.invalid/", False),
        ("https://pypi.org@evil.invalid/", False),
        ("https://evil.invalid/pypi.org", False),
    ],
)
def test_only_the_named_origins_are_trusted(url: str, trusted: bool) -> None:
    assert Registries().trusted(url) is trusted


def test_another_index_does_not_bring_the_public_file_host_along() -> None:
    assert not Registries(pypi="https://index.invalid/simple").trusted("https://files.pythonhosted.org/a.whl")
