"""Who votes, without knowing who they are, and how often they may.

A voter is the HMAC-SHA256 of the random token in their cookie; an address is kept only as such a hash with the day in
it, so that it can be counted for a day and never be told afterwards. The salt is HOMESPUN_ARENA_SALT, or a file with
mode 0600 in the state folder.
"""

import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from homespun.errors import ConfigError
from homespun.serve.store.arena import ArenaStore, VoteRefused

SALT = "HOMESPUN_ARENA_SALT"
_LEAST = 16
"""Characters of a salt."""
MINUTE, DAY = 60.0, 86_400.0


@dataclass(frozen=True)
class Identity:
    """Turns tokens and addresses into hashes."""

    salt: bytes = field(repr=False)

    @staticmethod
    def load(state: Path) -> "Identity":
        """The salt of the environment, or of the state folder, where one is made if there is none.

        Raises:
            ConfigError: the salt is too short, or the folder cannot be written.
        """
        if (text := os.environ.get(SALT)) is not None:
            if len(text) < _LEAST:
                raise ConfigError("the salt is too short", SALT, f"at least {_LEAST} random characters")
            return Identity(text.encode())
        path = state / "arena-salt"
        try:
            state.mkdir(parents=True, exist_ok=True)
            return Identity(_kept(path))
        except OSError as error:
            raise ConfigError(error.strerror or "cannot be written", str(path), f"set {SALT}") from None

    def voter(self, token: str) -> str:
        """Hash of a cookie's token."""
        return self._hash("voter", token)

    def address(self, address: str, now: float | None = None) -> str:
        """Hash of an address, another one every day (UTC); of IPv6 the /64, which is what one household has."""
        day = int((time.time() if now is None else now) // DAY)
        return self._hash(f"address {day}", _network(address))

    def prompt(self, text: str) -> str:
        """Hash of a prompt, to find the same one again: case and spaces don't count."""
        return self._hash("prompt", " ".join(text.lower().split()))

    @staticmethod
    def new_token() -> str:
        """A token for a cookie: 192 random bits."""
        return secrets.token_urlsafe(24)

    def _hash(self, kind: str, text: str) -> str:
        return hmac.new(self.salt, f"{kind}\0{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _kept(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        salt = path.read_bytes()
        if len(salt) < _LEAST:
            raise ConfigError("the salt is too short", str(path), "take the file away: a new one is made") from None
        return salt
    with os.fdopen(handle, "wb") as file:
        salt = secrets.token_hex(32).encode()
        file.write(salt)
    return salt


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """How often somebody may. An address is shared by many: a school, an office, a mobile network."""

    votes_per_minute: int = 10
    votes_per_day: int = 300
    address_votes_per_minute: int = 60
    address_votes_per_day: int = 3000
    sessions_per_minute: int = 20
    address_sessions_per_minute: int = 120
    least_seconds: float = 1.0
    """Between both answers being shown and the vote: nobody has looked at them sooner."""
    most_subjects: int = 200_000
    """Voters and addresses that are counted at once."""


class Limits:
    """Counts in sliding windows, in memory; `load` brings back the last day's votes after a restart."""

    def __init__(self, settings: LimitSettings = LimitSettings()) -> None:
        self.settings = settings
        self._votes: defaultdict[str, deque[float]] = defaultdict(deque)
        self._sessions: defaultdict[str, deque[float]] = defaultdict(deque)

    async def load(self, store: ArenaStore, now: float | None = None) -> None:
        """Counts the votes of the last day."""
        for vote in await store.votes(after=(time.time() if now is None else now) - DAY):
            self.voted(vote.voter, vote.address_hash, vote.time)

    def open_session(self, voter: str, address: str, now: float | None = None) -> None:
        """Counts a session.

        Raises:
            VoteRefused: too many.
        """
        now = time.time() if now is None else now
        settings = self.settings
        most = {voter: settings.sessions_per_minute, address: settings.address_sessions_per_minute}
        _check(self._sessions, most, MINUTE, now, "sessions")
        self._count(self._sessions, (voter, address), MINUTE, now)

    def admit_vote(self, voter: str, address: str, shown: float | None, now: float | None = None) -> None:
        """Counts a vote that is about to be given, so that many at once don't slip through together.

        Args:
            voter: Hash.
            address: Hash.
            shown: When both answers were to be seen.
            now: Seconds since 1970.

        Raises:
            VoteRefused: too soon after the answers, or too many.
        """
        now = time.time() if now is None else now
        settings = self.settings
        if shown is None or now - shown < settings.least_seconds:
            raise VoteRefused("too_soon", "the answers have only just appeared", "look at both first")
        minute = {voter: settings.votes_per_minute, address: settings.address_votes_per_minute}
        _check(self._votes, minute, MINUTE, now, "votes")
        _check(self._votes, {voter: settings.votes_per_day, address: settings.address_votes_per_day}, DAY, now, "votes")
        self.voted(voter, address, now)

    def withdraw_vote(self, voter: str, address: str, now: float) -> None:
        """Takes a count back: the vote was not taken after all."""
        for subject in (voter, address):
            with suppress(ValueError):
                self._votes[subject].remove(now)

    def voted(self, voter: str, address: str, now: float | None = None) -> None:
        """Counts a vote."""
        self._count(self._votes, (voter, address), DAY, time.time() if now is None else now)

    def _count(self, windows: defaultdict[str, deque[float]], subjects: tuple[str, ...], span: float,
               now: float) -> None:  # fmt: skip
        if len(windows) >= self.settings.most_subjects:
            for subject in [one for one, times in windows.items() if not times or times[-1] <= now - span]:
                del windows[subject]
        for subject in subjects:
            times = windows[subject]
            while times and times[0] <= now - span:
                times.popleft()
            times.append(now)


def _check(windows: Mapping[str, deque[float]], most: Mapping[str, int], span: float, now: float, what: str) -> None:
    """Refuses where a subject has had its number within the span."""
    for subject, limit in most.items():
        times = windows.get(subject)
        if times is not None and len(times) >= limit and times[-limit] > now - span:
            wait = max(1, round(times[-limit] + span - now))
            raise VoteRefused("too_many", f"too many {what} in a {'minute' if span == MINUTE else 'day'}",
                              f"again in {wait} s")  # fmt: skip
