from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from homespun.errors import ConfigError
from homespun.sandbox.apps import headers, policy
from homespun.sandbox.apps.origins import checked_origin

ORIGIN = "http://a1.localhost:8123"


def test_an_app_sees_a_browser_at_its_own_machine_and_no_visitor() -> None:
    given_ = CIMultiDict(
        {
            "Host": "a1.localhost:8123",
            "Origin": ORIGIN,
            "Referer": "http://arena/battle/7",
            "Authorization": "Bearer secret",
            "Cookie": "mine=1; arena=secret; other=2",
            "X-Forwarded-For": "203.0.113.9",
            "Forwarded": "for=203.0.113.9",
            "X-Real-IP": "203.0.113.9",
            "X-Original-URL": "/admin",
            "Connection": "keep-alive, X-Own",
            "Transfer-Encoding": "chunked",
            "Accept-Encoding": "gzip, br",
            "Accept": "text/html",
            "X-Own": "yes",
        }
    )
    assert dict(headers.to_app(given_, ORIGIN, {"mine"})) == {
        "Host": "localhost",
        "Origin": "http://localhost",
        "X-Forwarded-Host": "a1.localhost:8123",
        "X-Forwarded-Proto": "http",
        "Accept-Encoding": "identity",
        "Accept": "text/html",
        "Cookie": "mine=1",
        "X-Own": "yes",
    }


def test_what_describes_content_passes_and_what_rules_does_not() -> None:
    given_ = {"Content-Type": "text/css", "ETag": '"1"', "Server": "x", "Content-Security-Policy": "x"}
    given_ |= {"Strict-Transport-Security": "max-age=9", "Clear-Site-Data": '"*"', "Alt-Svc": 'h3=":1"', "Link": "</x>"}
    given_ |= {"Refresh": "0;url=//x", "Access-Control-Allow-Origin": "*", "Service-Worker-Allowed": "/", "NEL": "{}"}
    given_ |= {
        "X-Accel-Redirect": "/etc/passwd",
        "Report-To": "{}",
        "Content-Disposition": "attachment; filename=\udcff",
    }
    assert dict(headers.from_app(given_)) == {"Content-Type": "text/css", "ETag": '"1"', "Cache-Control": "no-store"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", "a=1; Path=/; SameSite=None; Secure; Partitioned"),
        ("a=1; Domain=localhost; Path=/x; HttpOnly", "a=1; HttpOnly; Path=/x; SameSite=None; Secure; Partitioned"),
        ("a=1; path=/x%0d%0a\ty; samesite=none", "a=1; Path=/; SameSite=None; Secure; Partitioned"),
        ("a=; Max-Age=0", "a=; Max-Age=0; Path=/; SameSite=None; Secure; Partitioned"),
        ("a=1; Max-Age=99999999", "a=1; Path=/; SameSite=None; Secure; Partitioned"),
        ("a=; expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=; Max-Age=0; Path=/; SameSite=None; Secure; Partitioned"),
    ],
)
def test_a_cookie_stays_with_its_app(text: str, expected: str) -> None:
    assert headers.cookie(text, trustworthy=True) == ("a", expected)


@pytest.mark.parametrize("text", ["", "a", "=1", "a b=1", "a=\x01", "a=ä", "a=" + "x" * 5000])
def test_a_cookie_that_is_none_is_dropped(text: str) -> None:
    assert headers.cookie(text, trustworthy=True) is None


@given(st.text(alphabet=st.characters(max_codepoint=0x17F), max_size=60))
def test_no_cookie_ever_has_a_domain_or_a_second_line(text: str) -> None:
    cleaned = headers.cookie(text, trustworthy=False)
    assert cleaned is None or ("domain" not in cleaned[1].partition(";")[2].lower() and cleaned[1].isprintable())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/next", "/next"),
        ("next?a=1#b", "/dir/next?a=1#b"),
        ("http://localhost/next", "/next"),
        ("http://127.0.0.1:7860/next", "/next"),
        (ORIGIN + "/next", "/next"),
        ("?a", "/dir/page?a"),
    ],
)
def test_a_redirect_within_the_app_is_passed_on(text: str, expected: str) -> None:
    assert headers.location(text, "/dir/page?q", ORIGIN) == ORIGIN + expected


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/",
        "//example.org/",
        "/\\example.org",
        "\\\\example.org",
        "http:\\\\example.org",
        "http://localhost@example.org/",
        "http://a@localhost/",
        "file:///etc/passwd",
        "data:text/html,x",
        "javascript:alert(1)",
        "http://a2.localhost:8123/",
        "http://[::1",
        "/x\r\nSet-Cookie: a=1",
        "/ä",
    ],
)
def test_a_redirect_to_elsewhere_is_not(text: str) -> None:
    assert headers.location(text, "/dir/page", ORIGIN) is None


@given(st.text(max_size=40))
def test_whatever_a_redirect_says_it_stays_on_the_origin(text: str) -> None:
    place = headers.location(text, "/dir/page", ORIGIN)
    assert place is None or (place.startswith(ORIGIN + "/") and place.isprintable())


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year >= 2001))
def test_a_cookie_of_the_future_is_one_of_the_session(moment: datetime) -> None:
    cleaned = headers.cookie(f"a=1; Expires={format_datetime(moment, usegmt=True)}", trustworthy=True)
    assert cleaned is not None
    assert "Max-Age" not in cleaned[1]


def test_the_policy_names_the_parents_and_its_own_origin_alone() -> None:
    told = policy.headers(ORIGIN, ("http://127.0.0.1:8400",))["Content-Security-Policy"].split("; ")
    assert "frame-ancestors http://127.0.0.1:8400" in told
    assert "connect-src 'self' ws://a1.localhost:8123 data: blob:" in told
    assert "frame-ancestors 'none'" in policy.headers(ORIGIN, ())["Content-Security-Policy"]


@pytest.mark.parametrize("text", ["*", "'self'", "http://a; script-src *", "http://a/b", "http://a b", "HTTP://a", ""])
def test_a_parent_that_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        checked_origin(text)
