"""Who is at the door: origins, cookies, addresses.

What changes something must come from a page of ours: browsers say in ``Origin`` where a request comes from, and a
``Host`` that is none of our names is a name that somebody else has pointed at us. A guest is a random token in a cookie
that scripts cannot read and other sites cannot send; what is kept of it is a salted hash. It is set with the first
session, never with a page: a link from elsewhere comes without the cookie, and would overwrite it.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from homespun.serve.battle_room.limits import Identity
from homespun.serve.gateway.types import GatewayError

COOKIE = "room"
YEAR = 365 * 86_400
LONGEST_TOKEN = 200


class Door:
    """Lets guests in.

    Args:
        origins: Where the room is reached.
        identity: Makes hashes of tokens and addresses.
        forwarded: Whether a proxy in front tells the client's address.
    """

    def __init__(self, origins: Iterable[str], identity: Identity, *, forwarded: bool = False) -> None:
        self._origins = frozenset(origins)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in self._origins)
        self._identity, self._forwarded = identity, forwarded
        self._secure = all(origin.startswith("https:") for origin in self._origins)

    def check_host(self, request: Request) -> None:
        """Refuses names that are not ours.

        Raises:
            GatewayError: 421.
        """
        if request.headers.get("host", "") not in self._hosts:
            raise GatewayError(421, "This server does not go by that name.", code="wrong_host")

    def check_origin(self, request: Request) -> None:
        """Refuses what comes from another page, or from none, and what is not JSON.

        Raises:
            GatewayError: 403 or 415.
        """
        if request.headers.get("origin") not in self._origins:
            raise GatewayError(403, "This must come from the battle room's own page.", code="wrong_origin")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise GatewayError(415, "Content-Type must be application/json.", code="wrong_type")

    def token(self, request: Request) -> str | None:
        """The guest's token, if one came."""
        token = request.cookies.get(COOKIE, "")
        return token if 20 <= len(token) <= LONGEST_TOKEN and token.isascii() else None

    def voter(self, request: Request) -> str | None:
        """The hash by which a guest is known."""
        token = self.token(request)
        return None if token is None else self._identity.voter(token)

    def welcome(self, request: Request) -> tuple[str, str | None]:
        """The guest's hash, and a new token where none came."""
        if (voter := self.voter(request)) is not None:
            return voter, None
        token = self._identity.new_token()
        return self._identity.voter(token), token

    def remember(self, response: Response, token: str) -> None:
        """Sets the cookie."""
        response.set_cookie(
            COOKIE, token, max_age=YEAR, path="/", httponly=True, samesite="strict", secure=self._secure
        )

    def address(self, request: Request) -> str:
        """The salted hash of the guest's address."""
        told = request.client.host if request.client is not None else ""
        if self._forwarded:
            last = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            told = last if _is_address(last) else told
        return self._identity.address(told)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
