"""Who may look, and what the browser is told."""

import asyncio
from typing import Any

import aiohttp
import pytest

API = ("session", "overview", "confidence", "state", "requests", "requests/req-1")
pytestmark = pytest.mark.slow


def fetch(url: str, *paths: str, token: str | None = None) -> list[tuple[int, dict[str, str], bytes]]:
    async def ask() -> list[tuple[int, dict[str, str], bytes]]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answers = []
        async with aiohttp.ClientSession(headers=headers) as session:
            for path in paths:
                async with session.get(url + path) as response:
                    answers.append((response.status, dict(response.headers), await response.read()))
        return answers

    return asyncio.run(ask())


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("hs-wrong", 401), ("hs-plain", 403)])
def test_nothing_is_told_without_an_admins_key(served: Any, token: str | None, status: int) -> None:
    answers = fetch(served.url, *(f"/dashboard/api/{name}" for name in API), token=token)
    assert [answer[0] for answer in answers] == [status] * len(API)
    assert all(b"Ada" not in body and b"req-" not in body for _, _, body in answers)
    assert all(headers["Cache-Control"] == "no-store" for _, headers, _ in answers)


def test_a_key_in_the_address_opens_nothing(served: Any) -> None:
    paths = [f"/dashboard/api/state?{name}=hs-admin" for name in ("key", "token", "authorization", "api_key")]
    assert [status for status, _, _ in fetch(served.url, *paths)] == [401] * 4


def test_an_admin_sees_and_no_answer_is_kept(served: Any) -> None:
    answers = fetch(served.url, *(f"/dashboard/api/{name}" for name in API), token="hs-admin")
    assert [status for status, _, _ in answers] == [200, 200, 200, 200, 200, 404]
    assert all(headers["Cache-Control"] == "no-store" for _, headers, _ in answers)


def test_without_keys_none_is_asked_for(busy: Any, served: Any) -> None:
    busy.auth = False
    assert fetch(served.url, "/dashboard/api/session")[0][2] == b'{"name":null}'


def test_only_the_pages_own_files_are_served_under_a_strict_policy(served: Any) -> None:
    good = ["/dashboard", "/dashboard/app.js", "/dashboard/style.css", "/dashboard/icon.svg"]
    for status, headers, body in fetch(served.url, *good):
        assert status == 200
        assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"")
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
        assert policy["frame-ancestors"] == "'none'"
        assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
    bad = ["/dashboard/routes.py", "/dashboard/..%2froutes.py", "/dashboard/%2e%2e/__init__.py", "/dashboard/nothing"]
    assert [status for status, _, _ in fetch(served.url, *bad)] == [404] * 4


@pytest.mark.parametrize(
    "query", ["overview?window=year", "requests?before_time=x&before_id=y", "requests?text=" + "x" * 300]
)
def test_what_makes_no_sense_is_refused(served: Any, query: str) -> None:
    assert fetch(served.url, f"/dashboard/api/{query}", token="hs-admin")[0][0] == 422
