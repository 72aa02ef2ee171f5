"""Which run an address means: ``<run>.<domain>``, compared to the letter, so that no other name reaches an app."""

import re
from urllib.parse import urlsplit

from homespun.errors import ConfigError

LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A run's id, which is one label of a DNS name."""
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def checked_origin(text: str) -> str:
    """``text`` if it is an origin (scheme, host, port, nothing more) that may stand in a header.

    Raises:
        ConfigError: it is not one.
    """
    if not _ORIGIN.fullmatch(text):
        raise ConfigError(f"not an origin: {text!r}", "apps", "http://127.0.0.1:8400, lower case, without a path")
    return text


class Origins:
    """The origins of one host.

    Args:
        pattern: An origin with ``{run}`` as its first label, and ``{port}`` where the listener's port belongs.
        port: The listener's port.

    Raises:
        ConfigError: the pattern is no such thing.
    """

    def __init__(self, pattern: str, port: int) -> None:
        example = pattern.replace("{port}", str(port)).replace("{run}", "run")
        parts = urlsplit(example)
        if not _ORIGIN.fullmatch(example) or not parts.netloc.startswith("run.") or pattern.count("{run}") != 1:
            raise ConfigError(f"not a pattern of origins: {pattern!r}", "apps", "http://{run}.localhost:{port}")
        self.scheme, self.port = parts.scheme, port
        self._domain = parts.netloc.removeprefix("run")
        bare = self._domain.removesuffix(_DEFAULT_PORTS[self.scheme])
        spellings = (bare, bare + _DEFAULT_PORTS[self.scheme]) if ":" not in bare else (bare,)
        self._known = re.compile(f"({LABEL.pattern})(?:{'|'.join(map(re.escape, spellings))})")
        self.trustworthy = self.scheme == "https" or str(parts.hostname).endswith(".localhost")
        """Whether browsers treat these origins as secure, so that cookies may be Secure and Partitioned."""

    def of(self, run: str) -> str:
        """The origin of a run.

        Raises:
            ConfigError: the id is not one label of a DNS name in lower case.
        """
        if not LABEL.fullmatch(run):
            raise ConfigError(f"a run's id must be a DNS label, not {run!r}", "apps", "lower-case letters and digits")
        return f"{self.scheme}://{run}{self._domain}"

    def source(self) -> str:
        """All these origins, for the ``frame-src`` of the page that frames them."""
        return f"{self.scheme}://*{self._domain}"

    def run(self, authority: str) -> str | None:
        """The run that a Host header names; None if it names none of ours."""
        match = self._known.fullmatch(authority.lower())
        return match[1] if match else None
