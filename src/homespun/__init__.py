"""homespun: own the whole thread of a language model, as one loop of stages that meet in files."""

__version__ = "0.1.0"
