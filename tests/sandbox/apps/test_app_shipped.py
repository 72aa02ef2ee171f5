"""Files of an app's library, served without asking the app: which, with what, and nothing besides."""

import os
import string
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.sandbox.apps.shipped import Shipped
from homespun.sandbox.environments.types import Layers, Service
from homespun.sandbox.environments.waiting import GRADIO, PYGAME, STREAMLIT
from homespun.sandbox.templates import layers

SCRIPT = b"export const one = 1;"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a library, with a secret beside it and ways to it."""
    shipped = tmp_path / "library" / "static"
    (shipped / "js").mkdir(parents=True)
    (shipped / "js" / "index.Abc.js").write_bytes(SCRIPT)
    (shipped / "js" / "a name+.js").write_bytes(SCRIPT)
    (shipped / "page.html").write_text("<p>")
    (tmp_path / "secret.js").write_text("secret")
    (shipped / "link.js").symlink_to(tmp_path / "secret.js")
    (shipped / "folder").symlink_to(tmp_path)
    os.mkfifo(shipped / "pipe.js")
    return shipped


async def asked(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=f"the app: {request.method} {request.raw_path}")


def published(stage: Any, run: str, folder: Path) -> str:
    origin = stage.app(f"{run}-bare", asked)
    service = stage.host._shelf.get(f"{run}-bare").handler
    shipped = Service(inlet=service._inlet, running=service._running, shipped={"/static/": folder})
    assert origin
    return stage.publish(run, shipped)


def test_a_shipped_file_comes_with_the_policy_of_the_app(stage: Any, folder: Path) -> None:
    origin = published(stage, "shipped", folder)
    page, file = stage.ask(origin), stage.ask(origin, "/static/js/index.Abc.js?v=1")
    assert (file.status, file.body) == (200, SCRIPT)
    assert file.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in file.headers["Cache-Control"]
    assert stage.ask(origin, "/static/js/a%20name+.js").body == SCRIPT
    ours = {name: value for name, value in page.headers.items() if name not in ("Content-Length", "Date")}
    del ours["Content-Type"], ours["Cache-Control"]
    assert ours["Content-Security-Policy"]
    assert {name: file.headers[name] for name in ours if name in file.headers} == ours


@pytest.mark.parametrize(
    ("target", "method"),
    [
        ("/static/js/index.Abc.js", "POST"),
        ("/static/js/index.Abc.js", "HEAD"),
        ("/static/js/index.abc.js", "GET"),
        ("/static/js//index.Abc.js", "GET"),
        ("/static/js/", "GET"),
        ("/static/page.html", "GET"),
        ("/static/link.js", "GET"),
        ("/static/folder/secret.js", "GET"),
        ("/static/pipe.js", "GET"),
        ("/static/../../secret.js", "GET"),
        ("/static/%2e%2e/%2e%2e/secret.js", "GET"),
        ("/static/js/../js/index.Abc.js", "GET"),
        ("/static/js/index%2eAbc.js", "GET"),
        ("/static\\js\\index.Abc.js", "GET"),
    ],
)
def test_all_else_is_the_apps_to_answer(stage: Any, folder: Path, target: str, method: str) -> None:
    origin = published(stage, "asked", folder)
    answer = stage.ask(origin, target, method=method)
    assert answer.status == 200
    assert b"secret" not in answer.body.replace(b"secret.js", b"")
    if method != "HEAD":
        assert answer.body.startswith(b"the app: ")


def test_a_part_of_a_file_is_the_apps_to_answer(stage: Any, folder: Path) -> None:
    origin = published(stage, "part", folder)
    answer = stage.ask(origin, "/static/js/index.Abc.js", headers=[("Range", "bytes=0-3")])
    assert answer.body.startswith(b"the app: ")


def test_a_program_that_has_ended_ships_nothing(stage: Any, folder: Path) -> None:
    origin = published(stage, "ended", folder)
    stage.host._shelf.get("ended").handler._running.alive = False
    assert stage.ask(origin, "/static/js/index.Abc.js").status == 502


@given(st.text(string.ascii_letters + "./%\\?#\0", max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_no_target_means_anything_but_a_file_of_the_folder(folder: Path, rest: str) -> None:
    known = Shipped({"/static/": folder})._files
    path = known.get(f"/static/{rest}")
    assert set(known) == {"/static/js/index.Abc.js", "/static/js/a%20name+.js"}
    assert path is None or path.read_bytes() == SCRIPT


def test_only_the_warm_packages_ship(tmp_path: Path) -> None:
    warm = layers()
    for kind in (STREAMLIT, GRADIO):
        assert kind.shipped
        assert all(place.is_dir() and place.is_relative_to(warm.python) for place in kind.folders(warm).values())
        (tmp_path / kind.name).mkdir()
        assert kind.folders(Layers(python=warm.python, node=warm.node, own_python=tmp_path)) == {}
    assert PYGAME.folders(warm) == {}
    streamlit = Shipped(STREAMLIT.folders(warm))._files
    assert any(name.startswith("/static/js/index.") for name in streamlit)
