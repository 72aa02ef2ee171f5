"""Robots files with hindsight: who may take what, in three modes, one URL or a batch at a time."""

from homespun.corpus.robots.decide import Decider, Fetched, Policy
from homespun.corpus.robots.robots import AGENTS, MODES, Mode, Verdict, blocked, verdict

__all__ = ["AGENTS", "MODES", "Decider", "Fetched", "Mode", "Policy", "Verdict", "blocked", "verdict"]
