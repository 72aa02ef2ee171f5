"""What apps may use of the host that serves them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of an `AppHost`."""

    apps: int = 32
    """Apps open at once; one more closes the one that was used least recently."""
    idle_seconds: float = 300.0
    """An app that nobody has asked anything for so long is closed."""
    connections: int = 64
    """Requests under way at once, WebSockets included, for one app."""
    header_seconds: float = 30.0
    """How long a visitor's connection may idle, or take over the headers of a request."""
    request_bytes: int = 64 << 20
    """Largest body of a request."""
    answer_bytes: int = 256 << 20
    """Largest body of an answer."""
    message_bytes: int = 16 << 20
    """Largest message of a WebSocket."""
    dial_seconds: float = 10.0
    """How long the app's job may take to offer a connection."""
    answer_seconds: float = 60.0
    """How long an app may take until its headers are complete."""
    quiet_seconds: float = 120.0
    """How long an answer may pause on its way."""
