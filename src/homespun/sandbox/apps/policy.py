"""The headers that go out with every answer of an app, errors too: what a browser lets the app do.

What holds, given that each run has an origin of its own and the page that frames it says
``frame-src`` for these origins alone:

- An app loads from, connects to and submits to its own origin only. A service worker cannot be registered (the host
  refuses to serve one).
- Only the arena may frame an app. The ``sandbox`` directive repeats the frame's attribute, so that a frame made
  without it is held all the same: no pop-up, no navigation of the page above.
- An app gets no camera, microphone, place, sensor, clipboard, USB or other device.

What does not: no directive limits where a document may navigate itself. Inside the arena its ``frame-src`` does;
as a page of its own an app could go anywhere, and so the host shows apps in frames only. ``rel=preconnect`` may
tell a foreign server that somebody is there, though no data. WebRTC is refused where a browser knows the directive;
Chromium (156) does not, so the logger takes the interface off the page, a hurdle that a determined program clears by
a frame of its own: what a visitor types into an app it could then send anywhere, by datagrams. A frame may draw
whatever it likes, a log-in form included: the arena marks it as a model's work.
"""

from collections.abc import Sequence

IFRAME_SANDBOX = "allow-scripts allow-same-origin allow-forms allow-modals allow-pointer-lock allow-downloads"
"""The ``sandbox`` attribute of the arena's frame. ``allow-same-origin`` is safe because the origin is the run's own."""
IFRAME_ALLOW = "autoplay; gamepad"
"""The ``allow`` attribute of the arena's frame."""

_DENIED = (
    *("accelerometer", "bluetooth", "browsing-topics", "camera", "clipboard-read", "clipboard-write"),
    *("compute-pressure", "display-capture", "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid"),
    *("identity-credentials-get", "idle-detection", "keyboard-map", "local-fonts", "magnetometer", "microphone"),
    *("midi", "otp-credentials", "payment", "picture-in-picture", "publickey-credentials-create"),
    *("publickey-credentials-get", "screen-wake-lock", "serial", "storage-access", "usb", "web-share"),
    *("window-management", "xr-spatial-tracking"),
)


def headers(origin: str, parents: Sequence[str]) -> dict[str, str]:
    """The headers for answers of the app at ``origin``, which ``parents`` (origins) may frame."""
    websocket = origin.replace("http", "ws", 1)
    above = " ".join(parents) or "'none'"
    directives = (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
        f"connect-src 'self' {websocket} data: blob:",
        f"frame-ancestors {above}",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "worker-src 'self' blob:",
        "webrtc 'block'",
        f"sandbox {IFRAME_SANDBOX}",
    )
    return {
        "Content-Security-Policy": "; ".join(directives),
        "Permissions-Policy": ", ".join(f"{name}=()" for name in _DENIED),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Origin-Agent-Cluster": "?1",
        "X-DNS-Prefetch-Control": "off",
        "X-Robots-Tag": "noindex",
        "Server": "homespun",
    }
