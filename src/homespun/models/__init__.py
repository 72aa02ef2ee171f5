"""Models: sources of completions behind one seam, named by a short text such as ``recorded:gpt-4``.

| name | what answers |
| --- | --- |
| ``recorded:gpt-4`` | real answers of 2023, replayed (six models) |
| ``scripted:echo``, ``scripted:FILE`` | what a script says |
| ``openai:MODEL`` | ``$OPENAI_BASE_URL`` with ``$OPENAI_API_KEY``, else OpenAI itself |
| ``http://host:8000/v1#MODEL`` | any endpoint that speaks OpenAI's chat completions |
| ``local:smollm2`` | SmolLM2-135M-Instruct on this machine |
"""

import difflib
import re
from typing import Any

from homespun.errors import ConfigError
from homespun.models.base import Bounded, Model, Reply

__all__ = ["Bounded", "Model", "Reply", "model", "names"]

KINDS = ("recorded", "scripted", "openai", "local")


def names() -> list[str]:
    """The names that work without a network; an ``openai:`` or ``http://…#`` name is made by its user."""
    from homespun.models.recorded import RECORDED_MODELS
    from homespun.models.scripted import BUILT_IN

    scripts = [f"scripted:{name}" for name in sorted(BUILT_IN)]
    return [*(f"recorded:{name}" for name in RECORDED_MODELS), *scripts, "local:smollm2"]


def model(spec: str, **options: Any) -> Model:
    """The model that a name stands for. Wrap it to price, limit, retry, cache or budget its calls.

    Args:
        spec: A name as in the table above.
        options: Passed to the model's class: ``Recorded``, ``OpenAI``, ``Local``.

    Raises:
        ConfigError: the name stands for nothing; the text names close ones.
    """
    if re.match(r"https?://", spec):
        url, _, name = spec.partition("#")
        if not name:
            raise ConfigError(f"{spec[:80]!r} names no model", "model", "the model after a #, as in URL/v1#llama-3")
        return _openai(name, options | {"base_url": url})
    kind, _, name = spec.partition(":")
    if kind not in KINDS or not name:
        raise ConfigError(f"unknown model {spec[:80]!r}", "model", _close(spec))
    if kind == "recorded":
        from homespun.models.recorded import Recorded

        return Recorded(name, **options)
    if kind == "scripted":
        from homespun.models.scripted import scripted

        return scripted(name, **options)
    if kind == "local":
        from homespun.models.local import Local

        return Local(name, **options)
    return _openai(name, options)


def _openai(name: str, options: dict[str, Any]) -> Model:
    from homespun.models.openai import OpenAI

    return OpenAI(name, **options)


def _close(spec: str) -> str:
    """Names like the one that was asked for: by the whole of it, else by what follows the colon."""
    known = names()
    bare = {name.partition(":")[2]: name for name in known}
    hits = difflib.get_close_matches(spec, known, n=3) or [
        bare[name] for name in difflib.get_close_matches(spec.rpartition(":")[2], bare, n=3)
    ]
    return ", ".join(hits or [*known, "openai:MODEL"])
