"""The store of the battle room, and its rows."""

from homespun.serve.store.arena.store import ArenaStore
from homespun.serve.store.arena.types import (
    Blob,
    Event,
    Interaction,
    Receipt,
    RunRow,
    SessionRow,
    Vote,
    VoteRefused,
)

__all__ = ["ArenaStore", "Blob", "Event", "Interaction", "Receipt", "RunRow", "SessionRow", "Vote", "VoteRefused"]
