"""The keys of one target, used in turn: a refused key sits on the bench, one that asked for quiet cools down."""

import os
import re
from collections.abc import Mapping
from math import inf

from homespun.errors import ConfigError
from homespun.serve.gateway.config import Target


class UpstreamKey:
    """One key. Its secret is in its headers and nowhere else; it is known by its variable."""

    __slots__ = ("benched", "cooling", "env", "headers", "strikes")

    def __init__(self, env: str, secret: str) -> None:
        self.env = env
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.benched = self.cooling = 0.0
        self.strikes = 0

    def __repr__(self) -> str:
        return f"UpstreamKey({self.env!r})"


class KeyRing:
    """Keys from the environment.

    Raises:
        ConfigError: a variable is not set, or holds what cannot stand in a header.
    """

    __slots__ = ("_next", "keys")

    def __init__(self, target: Target, environment: Mapping[str, str] = os.environ) -> None:
        self.keys = [UpstreamKey(env, _secret(target, env, environment)) for env in target.key_env]
        if not self.keys:
            self.keys.append(UpstreamKey("", ""))
        self._next = 0

    def pick(self, now: float) -> UpstreamKey | float:
        """The next key that may be used, else the time at which one may (infinity: only when a bench ends)."""
        keys, count = self.keys, len(self.keys)
        for step in range(count):
            place = (self._next + step) % count
            key = keys[place]
            if key.cooling <= now and key.benched <= now:
                self._next = (place + 1) % count
                return key
        return min((key.cooling for key in keys if key.benched <= now), default=inf)

    def bench(self, key: UpstreamKey, until: float) -> None:
        """The upstream refused the key."""
        key.benched = until

    def cool(self, key: UpstreamKey, now: float, until: float) -> None:
        """The upstream asked for fewer calls under this key; calls that were under way together are one strike."""
        key.strikes += key.cooling <= now
        key.cooling = max(key.cooling, until)

    def passed(self, key: UpstreamKey) -> None:
        """The key was used with success."""
        key.strikes = 0
        key.cooling = 0.0

    def secrets(self) -> list[str]:
        """What must not appear in any text."""
        return [value.removeprefix("Bearer ") for key in self.keys for value in key.headers.values()]

    def benched(self, now: float) -> list[str]:
        """Variables of the keys on the bench."""
        return [key.env for key in self.keys if key.benched > now]


def _secret(target: Target, env: str, environment: Mapping[str, str]) -> str:
    where = f"target {target.name!r}, key_env"
    secret = environment.get(env, "").strip()
    if not secret:
        raise ConfigError(f"${env} is not set", where, f"export {env}=… or another variable")
    if not re.fullmatch(r"[!-~]+", secret):  # what may stand in a header; never show the key itself
        raise ConfigError(f"${env} holds spaces, line ends or characters beyond ASCII", where, "the bare key in it")
    return secret
