"""Programs that models wrote run here and nowhere else."""

from homespun.sandbox.base import Limits, Program, Sandbox
from homespun.sandbox.pool import Pool

__all__ = ["Limits", "Pool", "Program", "Sandbox"]
