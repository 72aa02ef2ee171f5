"""From a model's reply to a program, by reading alone: nothing is executed, nothing is fetched."""

from homespun.sandbox.reply.names import check_edit
from homespun.sandbox.reply.placeholders import fill_placeholders, placeholder
from homespun.sandbox.reply.read import MAX_CHARACTERS, read_reply, read_source
from homespun.sandbox.reply.types import Dependency, Dropped, Found, NoProgram, Taken

__all__ = [
    "MAX_CHARACTERS",
    "Dependency",
    "Dropped",
    "Found",
    "NoProgram",
    "Taken",
    "check_edit",
    "fill_placeholders",
    "placeholder",
    "read_reply",
    "read_source",
]
