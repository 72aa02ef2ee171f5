"""Serves a Gradio program, wherever it launches to: ``python -m inside.gradio_app PORT [--preload]``."""

import functools
import importlib
import inspect
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

from . import program
from .hand_over import SERVING, HandOver, preload
from .hooks import Hooks

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_TEMP_DIR": "/tmp/gradio",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
LEFT_OUT = (
    "ssl_keyfile",
    "ssl_certfile",
    "ssl_keyfile_password",
    "share_server_address",
    "share_server_protocol",
    "root_path",
    "ssr_mode",
    "node_port",
    "node_server_name",
)


def main() -> int:
    """Loads Gradio, waits for the program, serves it until the jail is closed."""
    port = int(sys.argv[1])
    os.environ.update(QUIET)
    Hooks({"gradio.component_meta": _without_stubs}).install()
    gradio: Any = importlib.import_module("gradio")
    if "--preload" in sys.argv:
        preload((*SERVING, "gradio.http_server", "pydantic.v1"))
    hand_over = HandOver(port)
    launched = _patch(gradio.Blocks, port, hand_over)
    code = program.run(hand_over.path)
    if code == 0 and not launched.is_set():
        app = _app_of(vars(sys.modules["__main__"]), gradio.Blocks)
        if app is None:
            sys.stderr.write("the program makes no Gradio app: it launches nothing, and has no Blocks or Interface\n")
            return 1
        hand_over.notes["gradio"] = "the program does not launch its app: done for it"
        app.launch()
    if code == 0:
        _for_ever()
    return code


def _without_stubs(module: Any) -> None:
    """Gradio reads and parses the source of each component to write a stub for editors: a good part of its start."""

    def leave(*_: Any) -> None:
        """Nobody edits here."""

    module.create_or_modify_pyi = leave


def _patch(blocks: Any, port: int, hand_over: HandOver) -> threading.Event:
    """Has every launch listen at our port and open nothing else."""
    launched = threading.Event()
    launch = blocks.launch
    known = inspect.signature(launch)

    @functools.wraps(launch)
    def launch_here(self: Any, *args: Any, **options: Any) -> Any:
        if launched.is_set():
            sys.stderr.write("the program launches more than one app: the first one is shown\n")
            return None, "", ""
        given = {"show_error": True, **known.bind_partial(self, *args, **options).arguments}
        goes_on = given.get("prevent_thread_lock", False)
        for name in ("self", *LEFT_OUT):
            given.pop(name, None)
        given.update(server_name="127.0.0.1", server_port=port, quiet=True, prevent_thread_lock=True)
        given.update(inline=False, inbrowser=False, share=False, debug=False)
        answer = launch(self, **given)
        launched.set()
        hand_over.ready()
        if not goes_on:
            _for_ever()
        return answer

    blocks.launch = launch_here
    blocks.block_thread = lambda self: _for_ever()  # pyright: ignore[reportUnknownLambdaType]
    return launched


def _for_ever() -> None:
    sys.stdout.flush()
    threading.Event().wait()


def _app_of(names: Mapping[str, Any], blocks: type) -> Any:
    """The app that a program has made: what is called ``demo`` or the like, else what was made last."""
    made = {name: value for name, value in names.items() if isinstance(value, blocks)}
    for name in ("demo", "app", "interface", "iface"):
        if name in made:
            return made[name]
    return next(reversed(made.values()), None)


if __name__ == "__main__":
    sys.exit(main())
