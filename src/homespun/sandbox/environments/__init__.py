"""The eight environments in which generated programs run. Each is a module with ``run(work, jail) -> Ran``."""

from importlib import import_module

from homespun.sandbox.environments.types import Environment

NAMES = ("react", "vue", "core_web", "gradio", "streamlit", "pygame", "mermaid", "interpreter")


def environment(name: str) -> Environment:
    """The environment of a name; its module is loaded on first use.

    Raises:
        KeyError: there is no such environment.
    """
    if name not in NAMES:
        raise KeyError(name)
    run: Environment = import_module(f"{__name__}.{name}").run
    return run
