"""Which registries packages come from: the user's own pip and npm settings, else the public ones."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from homespun.errors import ConfigError
from homespun.sandbox.jail.system import node_folder

PUBLIC_PYPI = "https://pypi.org/simple"
PUBLIC_FILES = "files.pythonhosted.org"
PUBLIC_NPM = "https://registry.npmjs.org"
_SECONDS = 20.0
_PIP_CONFIG = (sys.executable, "-m", "pip", "config", "get")


@dataclass(frozen=True, kw_only=True)
class Registries:
    """Addresses of one Python index (PEP 503 or 691) and one npm registry. They may carry a password: never show them.

    Raises:
        ConfigError: an address is neither https nor http.
    """

    pypi: str = PUBLIC_PYPI
    npm: str = PUBLIC_NPM

    def __post_init__(self) -> None:
        for kind, url in (("pip", self.pypi), ("npm", self.npm)):
            parts = urlsplit(url)
            if parts.scheme not in ("https", "http") or not parts.hostname:
                raise ConfigError("the registry's address is not an http one", kind, f"look at {kind} config")

    @classmethod
    def configured(cls) -> "Registries":
        """What pip and npm are set to here."""
        node = node_folder()
        npm = str(node / "lib/node_modules/npm/bin/npm-cli.js")
        with ThreadPoolExecutor(1) as pool:  # each takes half a second to start
            told = pool.submit(_ask, [str(node / "bin/node"), npm, "config", "get", "registry"])
            index = os.environ.get("PIP_INDEX_URL") or _ask([*_PIP_CONFIG, "global.index-url"])
            return cls(pypi=index or PUBLIC_PYPI, npm=told.result() or PUBLIC_NPM)

    def trusted(self, url: str) -> bool:
        """Whether ``url`` is at a place that the user named: a registry's own origin, or the public index's file host.

        Such a place may have a private address, and may be plain http if the user wrote it so.
        """
        here = _origin(url)
        if here in (_origin(self.pypi), _origin(self.npm)):
            return True
        return self.pypi.startswith("https://pypi.org/") and here == ("https", PUBLIC_FILES, 443)

    def password(self, url: str) -> tuple[str, str] | None:
        """User and password for ``url``, if the registry at that origin was configured with one."""
        for registry in (self.pypi, self.npm):
            parts = urlsplit(registry)
            if parts.username and _origin(registry) == _origin(url):
                return unquote(parts.username), unquote(parts.password or "")
        return None


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _ask(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, cwd="/")
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout.strip()
    return said if done.returncode == 0 and said.startswith(("https://", "http://")) else None
