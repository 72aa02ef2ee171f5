"""Files that the host serves in an app's place are, to the byte, what the app itself would send."""

import http.client
from collections.abc import Callable
from contextlib import closing

import pytest

from homespun.sandbox.apps.shipped import Shipped
from homespun.sandbox.apps.site import content_type
from homespun.sandbox.environments.types import Service, Work
from homespun.sandbox.environments.waiting import GRADIO, STREAMLIT, Kind, run_app
from homespun.sandbox.jail.types import Jail

pytestmark = pytest.mark.slow
PROGRAMS = {
    "streamlit": "import streamlit as st\nst.write(1)\n",
    "gradio": "import gradio as gr\ngr.Interface(lambda name: name, 'text', 'text').launch()\n",
}
ENDINGS = (".js", ".css", ".woff2", ".ttf", ".svg", ".png")


def sent(app: Service, path: str) -> tuple[int, str, bytes]:
    """Status, content type and body of the app's own answer."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = app.inlet.dial_now(5)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"].partition(";")[0], answer.read()


@pytest.mark.parametrize("kind", [STREAMLIT, GRADIO], ids=lambda kind: kind.name)
def test_what_ships_is_what_the_app_sends(work: Callable[..., Work], jail: Jail, kind: Kind) -> None:
    ran = run_app(kind, work(PROGRAMS[kind.name], kind.name), jail)
    assert isinstance(ran.app, Service), ran.stderr
    try:
        shipped = Shipped(ran.app.shipped)._files
        chosen = {(start, ending): name for name in sorted(shipped) for start in kind.shipped for ending in ENDINGS
                  if name.startswith(start) and name.endswith(ending)}  # fmt: skip
        assert len(chosen) >= 3
        for name in chosen.values():
            status, told, body = sent(ran.app, name)
            assert (status, body) == (200, shipped[name].read_bytes()), name
            ours = content_type(name).partition(";")[0]
            assert told in (ours, ours.replace("text/java", "application/java")), name
    finally:
        ran.app.running.kill()
        ran.app.inlet.close()
