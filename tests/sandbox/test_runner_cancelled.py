"""Whoever stops waiting for a run leaves no app behind."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

from homespun.sandbox import runner
from homespun.sandbox.environments.types import Layers, Ran, Service
from homespun.sandbox.jail.types import Bounds
from homespun.sandbox.reply import read_reply


def test_an_app_that_comes_up_after_its_run_was_stopped_is_ended(monkeypatch, tmp_path):
    started, go, killed = threading.Event(), threading.Event(), threading.Event()
    closed = threading.Event()
    app: Any = Service(inlet=SimpleNamespace(close=closed.set), running=SimpleNamespace(kill=killed.set))  # type: ignore[arg-type]

    def environment(work: Any, jail: Any, warm: Any) -> Ran:
        started.set()
        assert go.wait(10)
        return Ran(status="ok", app=app)

    monkeypatch.setattr(runner, "environment", lambda name: environment)
    made: Any = runner.Runner.__new__(runner.Runner)
    made._bounds, made._lasting, made._jail, made._warm = Bounds(), Bounds(), None, None
    made._layers = Layers(python=tmp_path, node=tmp_path)
    found = read_reply("```python\nimport streamlit as st\nst.write(1)\n```")

    async def play() -> None:
        waiting = asyncio.create_task(made._ran(found, "r1", SimpleNamespace(own_python=None, own_node=None)))
        await asyncio.to_thread(started.wait, 10)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        go.set()
        assert await asyncio.to_thread(killed.wait, 10)
        assert await asyncio.to_thread(closed.wait, 10)

    asyncio.run(play())
