"""What the addresses of the battle room share."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from homespun.serve.battle_room.config import Arena
from homespun.serve.battle_room.guests import Door
from homespun.serve.battle_room.leaderboard import Board
from homespun.serve.battle_room.limits import Identity, Limits
from homespun.serve.battle_room.rooms import Rooms
from homespun.serve.battle_room.votes import Ballots
from homespun.serve.store.arena import ArenaStore

Picture = Callable[[str], Awaitable[bytes]]
"""Makes a PNG of a page of ours."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """All that they need."""

    arena: Arena
    rooms: Rooms
    store: ArenaStore
    ballots: Ballots
    limits: Limits
    identity: Identity
    board: Board
    door: Door
    apps_pattern: str
    """As in the settings, with the port filled in."""
    picture: Picture | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of every answer."""
