"""Routes of the models ``homespun/…``: which targets to ask, in what order, and whose answer to give."""

from homespun.serve.gateway.routes.ask import Ask, RouterVersion
from homespun.serve.gateway.routes.switchboard import Switchboard

__all__ = ["Ask", "RouterVersion", "Switchboard"]
