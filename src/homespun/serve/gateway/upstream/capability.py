"""What a target can take: tools, JSON, images, sound, length."""

import re
from typing import Any, cast

from homespun.serve.gateway.config import Target
from homespun.serve.gateway.upstream.usage import estimated_input, is_image, most_output, parts

Body = dict[str, Any]

_NEW_STYLE = re.compile(r"(.*/)?(o\d|gpt-5)", re.IGNORECASE)
"""Models of OpenAI that refuse ``max_tokens``: its reasoning models, from o1 on."""


def objection(target: Target, body: Body) -> str | None:
    """Why a target cannot answer a request; ``None`` if it can.

    Length is judged by an estimate, since an upper bound would turn away most of what fits.
    """
    able = target.capabilities
    if (body.get("tools") or body.get("functions")) and "tools" not in able:
        return f"{target.name} does not call tools"
    form: Any = body.get("response_format")
    if isinstance(form, dict) and cast("Body", form).get("type", "text") != "text" and "json" not in able:
        return f"{target.name} does not keep to JSON"
    kinds = {str(part.get("type")) for part in parts(body)}
    if "vision" not in able and any(is_image({"type": kind}) for kind in kinds):
        return f"{target.name} does not see images"
    if "audio" not in able and ("input_audio" in kinds or "audio" in (body.get("modalities") or ())):
        return f"{target.name} does not hear or speak"
    needed = estimated_input(body) + (most_output(body) or 1)
    if needed > target.context:
        return f"about {needed} tokens are needed, {target.name} holds {target.context}"
    return None


def limit_field(target: Target, body: Body) -> str:
    """The field that limits an answer's length: it differs between endpoints and families of models."""
    if "messages" not in body and "input" in body:
        return "max_output_tokens"
    return "max_completion_tokens" if _NEW_STYLE.match(target.model) else "max_tokens"
