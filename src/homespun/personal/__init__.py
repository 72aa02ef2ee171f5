"""Personal data in text: found by form, and wherever there is one by checksum. Used by the corpus and the arena.

A form is not a person. What belongs to nobody stays (private networks, names reserved for examples), names of people
are not looked for at all.
"""

from homespun.personal.accounts import iban, ibans
from homespun.personal.addresses import addresses, public
from homespun.personal.mail import emails
from homespun.personal.numbers import national_ids
from homespun.personal.redact import KINDS, MARKERS, Kind, Redacted, redact
from homespun.personal.spans import Finder, Span

__all__ = [
    "KINDS",
    "MARKERS",
    "Finder",
    "Kind",
    "Redacted",
    "Span",
    "addresses",
    "emails",
    "iban",
    "ibans",
    "national_ids",
    "public",
    "redact",
]
