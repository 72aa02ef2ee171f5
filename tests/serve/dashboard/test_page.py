"""The page in a real browser: signing in, true numbers, a decision's path, hostile data, dark and narrow."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect, sync_playwright

from homespun.serve.gateway.dashboard.windows import WINDOWS
from homespun.serve.store import tables

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]
HOSTILE = '<img src=x onerror="window.struck=1"><script>window.struck=1</script>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield started
        started.close()


class Visit:
    """A page, with everything that its console and its policy complained of."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.hear(message.type, message.text))
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.goto(f"{url}/dashboard")

    def hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "status of 401" not in text and "status of 403" not in text:
            self.complaints.append(text)

    def enter(self, key: str = "hs-admin") -> Page:
        self.page.fill("#key", key)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#recent table")
        self.page.wait_for_selector("#v-requests")
        expect(self.page.locator("#tiles")).not_to_contain_text("counting", timeout=20_000)
        return self.page


@pytest.fixture
def visit(browser: Browser, served: Any) -> Iterator[Visit]:
    made = Visit(browser, served.url)
    yield made
    assert made.complaints == []
    assert {address.split("/dashboard")[0] for address in made.addresses} == {served.url}
    assert not any("hs-" in address for address in made.addresses)
    made.context.close()


def number(page: Page, name: str) -> float:
    return float(re.sub(r"[^0-9.]", "", page.inner_text(f"#v-{name}")))


def test_numbers_are_those_of_the_database(visit: Visit, busy: Any) -> None:
    busy.fleet.open = {"medium-30b"}
    page = visit.enter()
    start = WINDOWS["day"].start(time.time())
    r = tables.requests.c
    rows = busy.database.run_now(lambda c: c.execute(sa.select(tables.requests).where(r.time >= start)).all())
    assert number(page, "requests") == len(rows)
    assert number(page, "failed") == pytest.approx(100 * sum(x.outcome != "ok" for x in rows) / len(rows), abs=0.05)
    assert number(page, "spent") == pytest.approx(sum(x.nanodollars for x in rows) / 1e9, abs=0.006)
    known = [x for x in rows if x.reference_nanodollars is not None]
    reference, spent = sum(x.reference_nanodollars for x in known), sum(x.nanodollars for x in known)
    assert number(page, "saved") == pytest.approx((reference - spent) / 1e9, abs=0.006)
    assert number(page, "share") == pytest.approx(100 * (1 - spent / reference), abs=0.05)
    shown = dict(
        re.findall(r"^(single|cascade|cache|none)\n([\d,]+)", page.inner_text("#mix"), re.M)
    )  # each bar: its name, then its number
    assert {name: int(value.replace(",", "")) for name, value in shown.items()} == {
        name: sum(x.route == name for x in rows) for name in {x.route for x in rows}
    }
    expect(page.locator("#upstreams")).to_contain_text("breaker open")
    expect(page.locator("#budgets")).to_contain_text("$212.00 spent, $5.00 reserved, $283.00 left")
    expect(page.locator("#confidence")).to_contain_text("expected calibration error")
    expect(page.locator("#alarms")).to_contain_text("escalation rate")
    expect(page.locator("#routers")).to_contain_text("canary")


def test_new_requests_appear_by_themselves(visit: Visit, busy: Any) -> None:
    page = visit.enter()
    before = number(page, "requests")
    summary = page.locator("#savings details summary")
    summary.click()
    row = busy.database.run_now(lambda c: c.execute(sa.select(tables.requests).limit(1)).mappings().one())
    fresh = dict(row) | {"id": "req-fresh", "time": time.time(), "model": "just-now", "outcome": "ok"}
    busy.database.run_now(lambda c: c.execute(tables.requests.insert(), fresh))
    expect(page.locator("#recent tbody tr").first).to_contain_text("just-now", timeout=60_000)
    expect(page.locator("#v-requests")).to_have_text(f"{before + 1:,.0f}", timeout=60_000)
    assert page.locator("#savings details").get_attribute("open") is not None  # what was open stays open


def test_a_decisions_path_opens_by_click(visit: Visit, busy: Any) -> None:
    page = visit.enter()
    page.select_option("[name=route]", "cascade")
    page.click("#filter button[type=submit]")
    expect(page.locator("#recent tbody tr").first).to_contain_text("cascade")
    expect(page.locator("#recent tbody tr", has_text="single")).to_have_count(0)
    page.locator("#recent tbody tr").first.click()
    wanted = page.inner_text("#decision header code")
    d = busy.database.run_now(
        lambda c: c.execute(sa.select(tables.decisions).where(tables.decisions.c.request_id == wanted)).one()
    )
    steps = page.locator("#path li")
    assert [text.lower() for text in steps.locator(".stage").all_inner_texts()] == [s["stage"] for s in d.path]
    body = page.inner_text("#decision")
    assert "Expected cost" in body
    assert "never shown" not in page.content()
    a = tables.attempts.c.request_id
    calls = busy.database.run_now(lambda c: c.scalar(sa.select(sa.func.count()).where(a == wanted)))
    expect(page.locator("#decision table[aria-label='Calls of upstreams'] tbody tr")).to_have_count(calls)


def test_everything_can_be_reached_by_keyboard(visit: Visit) -> None:
    page = visit.enter()
    first = page.locator("#recent tbody button").first
    first.focus()
    name = first.get_attribute("data-focus")
    page.keyboard.press("Enter")
    expect(page.locator("#decision")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#decision")).to_be_hidden()
    assert page.evaluate("document.activeElement.dataset.focus") == name
    page.locator("input[value=day]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("input[value=week]")).to_be_checked()
    expect(page.locator("#v-requests")).to_have_text("600", timeout=20_000)
    page.locator("#requests-chart svg[role=img]").focus()
    page.keyboard.press("End")
    expect(page.locator("#tip")).to_be_visible()
    assert "answered: " in (page.text_content("#spoken") or "")


@pytest.mark.parametrize(("key", "said"), [("hs-wrong", "not valid"), ("hs-plain", "admin")])
def test_a_wrong_key_is_told_and_forgotten(visit: Visit, key: str, said: str) -> None:
    page = visit.page
    page.fill("#key", key)
    page.click("#door button")
    expect(page.locator("#problem")).to_contain_text(said)
    expect(page.locator("#main")).to_be_hidden()
    assert page.evaluate("sessionStorage.length + localStorage.length + document.cookie.length") == 0
    visit.enter()
    expect(page.locator("#problem")).to_be_hidden()


def test_the_key_lives_in_this_tab_only(visit: Visit) -> None:
    page = visit.enter()
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    page.reload()
    page.wait_for_selector("#recent table")
    other = visit.context.new_page()
    other.goto(page.url)
    expect(other.locator("#door")).to_be_visible()
    page.click("#leave")
    expect(page.locator("#door")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_hostile_names_and_errors_are_text(visit: Visit, busy: Any) -> None:
    def poison(c: sa.Connection) -> None:
        newest = c.execute(sa.select(tables.requests.c.id).order_by(tables.requests.c.time.desc()).limit(20)).scalars()
        for name in newest.all():
            change = {"model": HOSTILE, "target": HOSTILE, "error": HOSTILE, "route": "cascade"}
            c.execute(sa.update(tables.requests).where(tables.requests.c.id == name).values(change))
        path = [{"stage": HOSTILE, "subject": HOSTILE, "score": None, "cost": 0.0, "detail": HOSTILE}]
        c.execute(sa.update(tables.decisions).values(path=path, cell=HOSTILE, reading={HOSTILE: [HOSTILE]}))
        c.execute(sa.update(tables.attempts).values(error=HOSTILE))
        c.execute(sa.update(tables.alarms).values(kind=HOSTILE, detail=HOSTILE))
        c.execute(sa.update(tables.routers).values(version=sa.literal(HOSTILE) + tables.routers.c.version))
        c.execute(sa.update(tables.keys).values(name=HOSTILE))

    busy.database.run_now(poison)
    page = visit.enter()
    page.locator("#recent tbody tr").first.click()
    expect(page.locator("#decision")).to_contain_text("<img src=x")
    for place in ("#alarms", "#routers", "#budgets", "#recent"):
        assert "onerror" in page.inner_text(place)
    assert page.evaluate("window.struck") is None
    assert page.locator("main img, main script, dialog img, dialog script").count() == 0


def contrast(page: Page, front: str, back: str) -> float:
    """WCAG's ratio between two colours of the page."""
    script = """names => names.map(name => {
        const probe = document.body.appendChild(document.createElement('i'));
        probe.style.color = `var(${name})`;
        const rgb = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
        probe.remove();
        return rgb;
    })"""

    def luminance(rgb: list[float]) -> float:
        linear = [v / 3294.6 if v <= 10.3 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(luminance(rgb) for rgb in page.evaluate(script, [front, back]))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_can_be_read(browser: Browser, served: Any, scheme: Any) -> None:
    visit = Visit(browser, served.url, color_scheme=scheme)
    page = visit.enter()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = sum(int(v) for v in re.findall(r"\d+", ground)[:3])
    assert (shade < 200) == (scheme == "dark")
    for name in ("--ink", "--soft", "--good", "--bad", "--warn", "--accent"):
        assert contrast(page, name, "--card") >= 4.5, name
    for name in ("--one", "--two"):
        assert contrast(page, name, "--card") >= 3, name
    assert contrast(page, "--accent-ink", "--accent") >= 4.5
    visit.context.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1920])
def test_no_width_needs_scrolling_sideways(browser: Browser, served: Any, width: int) -> None:
    visit = Visit(browser, served.url, viewport={"width": width, "height": 800})
    page = visit.enter()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#recent tbody tr", has_text="cascade").first.click()
    expect(page.locator("#path")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('#decision').scrollWidth") <= width
    visit.context.close()


def test_an_empty_gateway_says_what_to_do(browser: Browser, watched: Any, served_empty: Any) -> None:
    watched.auth = False
    visit = Visit(browser, served_empty.url)
    page = visit.page
    expect(page.locator("#v-saved")).to_have_text("unknown")
    expect(page.locator("#requests-chart")).to_contain_text(f"{served_empty.url}/v1")
    expect(page.locator("#confidence")).to_contain_text("POST /v1/feedback")
    expect(page.locator("#door")).to_be_hidden()
    expect(page.locator("#leave")).to_be_hidden()
    assert visit.complaints == []
    visit.context.close()


def test_a_gateway_that_is_gone_is_told_in_a_line(browser: Browser, busy: Any, served: Any) -> None:
    visit = Visit(browser, served.url)
    page = visit.enter()
    served.close()
    expect(page.locator("#problem")).to_contain_text("cannot be reached", timeout=20_000)
    expect(page.locator("#recent table")).to_be_visible()
    visit.context.close()
