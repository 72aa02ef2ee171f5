"""The build phase: packages that programs want beyond the warm ones, by way of a proxy that only knows registries."""

from homespun.sandbox.build.builder import Builder, Built
from homespun.sandbox.build.registries import Registries

__all__ = ["Builder", "Built", "Registries"]
