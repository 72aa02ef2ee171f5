"""Which model is better, by the votes of people who saw both: whom to pair next, and what the votes say.

`leaderboard` (module) makes the table that `homespun rank` prints; the maths lies in `rank`, `ties`, `style` and
`intervals`, one page each; `pairing` draws the next battle.
"""

from homespun.arena.leaderboard import Config, Leaderboard, leaderboard
from homespun.arena.votes_table import read_votes

__all__ = ["Config", "Leaderboard", "leaderboard", "read_votes"]
