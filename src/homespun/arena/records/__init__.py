"""Sessions and votes in the shapes in which others publish them, and back: see `duel` for what they have in common."""

from homespun.arena.records.duel import Duel, Interaction, Judgement, Message, Run, Side

__all__ = ["Duel", "Interaction", "Judgement", "Message", "Run", "Side"]
