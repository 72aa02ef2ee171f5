"""Warm packages: what programs find installed, pinned by lock files, made once by ``homespun sandbox install``."""

from homespun.sandbox.templates.make import install
from homespun.sandbox.templates.warm import layers, state

__all__ = ["install", "layers", "state"]
