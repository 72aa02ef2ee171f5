"""Programs built in the jail, and their sites opened in Chromium without any network."""

import mimetypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from homespun.sandbox import templates
from homespun.sandbox.environments.types import Layers, Ran, Site, Work
from homespun.sandbox.jail import jail
from homespun.sandbox.reply import Found, read_source

ORIGIN = "http://app.test/"
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'"

Run = Callable[..., Ran]
Look = Callable[[Ran], Page]


@pytest.fixture(scope="session")
def layers() -> Layers:
    return templates.layers()


@pytest.fixture(scope="session")
def run(layers: Layers) -> Run:
    """Runs a program's text in one environment, in a jail."""

    def run(environment: str, name: str, code: str, own: Path | None = None) -> Ran:
        asked = "interpreter" if environment == "console_page" else environment
        found = read_source(name, code, environment=asked)
        assert isinstance(found, Found), found
        layer = Layers(python=layers.python, node=layers.node, own_node=own)
        module = import_module(f"homespun.sandbox.environments.{environment}")
        return module.run(Work(id="test", found=found, layers=layer), jail("bubblewrap"))

    return run


@pytest.fixture(scope="module")  # while it stands, no other event loop can run in this process
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Served:
    """Answers from a site's files alone; remembers what was asked of anybody else."""

    site: Site
    strangers: list[str] = field(default_factory=list)

    def __call__(self, route: Route) -> None:
        address = route.request.url
        path = urlsplit(address).path.removeprefix("/") or self.site.start
        if not address.startswith(ORIGIN):
            self.strangers.append(address)
            route.abort()
        elif path in self.site.files:
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            headers = {"content-type": kind, "content-security-policy": POLICY}
            route.fulfill(status=200, body=self.site.files[path], headers=headers)
        else:
            route.fulfill(status=404, body="")


@pytest.fixture
def look(chromium: Browser) -> Iterator[Look]:
    """Opens a site; ``failures`` of the page are errors that nobody caught, ``strangers`` what it asked of others."""
    contexts = []

    def look(ran: Ran) -> Page:
        assert ran.status == "ok", ran.stderr
        assert isinstance(ran.app, Site)
        contexts.append(chromium.new_context(viewport={"width": 1024, "height": 768}))
        page = contexts[-1].new_page()
        served = Served(ran.app)
        failures: list[str] = []
        page.__dict__.update(failures=failures, strangers=served.strangers)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.route("**/*", served)
        page.goto(ORIGIN)
        return page

    yield look
    for context in contexts:
        context.close()
