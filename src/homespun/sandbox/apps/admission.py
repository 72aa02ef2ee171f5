"""Who may ask an app anything, decided before the app hears of it.

Browsers say where a request comes from (Fetch Metadata, and Origin); what they say cannot be forged by a page. A
program that is no browser can say anything, and learns nothing that the app would not tell its visitor.
"""

from collections.abc import Sequence

from aiohttp import web

Refusal = tuple[int, str]


def authority(request: web.BaseRequest) -> str | None:
    """The one Host that the request names; None where it names none, several, or another in its target."""
    hosts = request.headers.getall("Host", [])
    return hosts[0] if len(hosts) == 1 and request.raw_path.startswith("/") else None


def refusal(request: web.BaseRequest, origin: str, parents: Sequence[str], *, inner: bool) -> Refusal | None:
    """Why the app at ``origin`` is not asked; None if it is.

    Args:
        request: The request, already known to be for this origin.
        origin: The app's.
        parents: Origins that may frame it.
        inner: Whether it comes from our own browser, which shows apps without a frame.
    """
    given = request.headers
    if "Service-Worker" in given or given.get("Sec-Fetch-Dest") == "serviceworker":
        return 403, "No service workers here."
    site, navigates = given.get("Sec-Fetch-Site"), given.get("Sec-Fetch-Mode") == "navigate"
    asked_from = given.get("Origin")
    if asked_from is not None and asked_from != origin and not (asked_from == "null" and site == "same-origin"):
        return 403, "Another site asked for this."
    if site in ("cross-site", "same-site") and not navigates:
        return 403, "Another site asked for this."
    if site in ("cross-site", "same-site") and request.method not in ("GET", "HEAD"):
        return 403, "Another site asked for this."
    if parents and not inner and given.get("Sec-Fetch-Dest") == "document":
        return 403, "This is a model's program. It is shown only within the arena."
    return None
