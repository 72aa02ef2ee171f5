"""Serves a Streamlit program: ``python -m inside.streamlit_app PORT [--preload]``."""

import importlib
import logging
import os
import sys
import threading
import time
import urllib.request
from typing import Any

from . import program
from .hand_over import SERVING, HandOver, preload
from .hooks import Hooks

PRELOADED = (
    "altair",
    "narwhals._pandas_like.namespace",
    "narwhals._pandas_like.series",
    "pandas",
    "pandas.io.formats.string",
    "pyarrow.pandas_compat",
    "streamlit.components.v2.manifest_scanner",
    "streamlit.runtime.agent.protocol",
    "streamlit.runtime.scriptrunner.magic_funcs",
    "streamlit.watcher.polling_path_watcher",
    "streamlit.web.server.starlette.starlette_app",
    "streamlit.web.server.starlette.starlette_agent_routes",
    "streamlit.web.server.starlette.starlette_server",
    "streamlit.web.skills",
    "itsdangerous",
    "narwhals.stable.v1._namespace",
    "starlette.applications",
    "starlette.middleware.sessions",
    "starlette.staticfiles",
    "websockets.sync.client",
)
"""What a first page with a chart loads."""
OPTIONS = {
    "server_address": "127.0.0.1",
    "server_headless": True,
    "server_enableCORS": False,
    "server_enableXsrfProtection": False,
    "server_fileWatcherType": "none",
    "server_runOnSave": False,
    "browser_gatherUsageStats": False,
    "global_developmentMode": False,
    "client_toolbarMode": "viewer",
    "logger_level": "error",
    "logger_messageFormat": "%(message)s",
    "logger_enableRich": False,
    "logger_hideWelcomeMessage": True,
}
OWN_PACKAGES = "/deps/python"
FIRST_RUN_SECONDS = 1.5
"""How long the first run of the script may delay the app: a script that takes longer goes on in the page."""


def main() -> int:
    """Loads Streamlit, waits for the program, serves it until the jail is closed."""
    port = int(sys.argv[1])
    Hooks({"streamlit.components.v2.manifest_scanner": _scan_own_packages}).install()
    bootstrap = importlib.import_module("streamlit.web.bootstrap")
    if "--preload" in sys.argv:
        preload((*SERVING, *PRELOADED))
    hand_over = HandOver(port)
    try:
        program.load(hand_over.path)
    except SyntaxError as error:
        sys.stderr.write(program.told(error))
        return 1
    options = {**OPTIONS, "server_port": port}
    sys.path[:] = [place for place in sys.path if place != "/sandbox"]
    threading.Thread(target=_tell_ready, args=(port, hand_over), daemon=True).start()
    logging.getLogger("streamlit.error_util").addFilter(_in_own_lines)
    bootstrap.load_config_options(options)
    bootstrap.run(hand_over.path, False, [], options)
    return 0


def _scan_own_packages(module: Any) -> None:
    """Streamlit reads what every installed package says of itself, in search of components: half of its start.

    The warm packages have none, so it may do so only for a program that brought packages of its own.
    """
    scan = module.scan_component_manifests

    def scan_if_any(max_workers: int | None = None) -> Any:
        return scan(max_workers) if os.path.isdir(OWN_PACKAGES) else []

    module.scan_component_manifests = scan_if_any


def _in_own_lines(record: logging.LogRecord) -> bool:
    """Cuts the traceback of an exception in the script down to the script's own lines."""
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args, record.exc_info = program.told(record.exc_info[1]).rstrip(), (), None
    return True


def _tell_ready(port: int, hand_over: HandOver) -> None:
    """Waits for the server, then has the script run once as a page would, so that its faults are known."""
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    break
        except OSError:
            time.sleep(0.02)
    first = threading.Thread(target=_run_once, args=(port,), daemon=True)
    first.start()
    first.join(FIRST_RUN_SECONDS)
    hand_over.ready()


def _run_once(port: int) -> None:
    connect: Any = importlib.import_module("websockets.sync.client").connect
    back: Any = importlib.import_module("streamlit.proto.BackMsg_pb2").BackMsg()
    forward: Any = importlib.import_module("streamlit.proto.ForwardMsg_pb2").ForwardMsg
    back.rerun_script.query_string = ""
    back.rerun_script.SetInParent()
    with connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None) as page:
        page.send(back.SerializeToString())
        while forward.FromString(page.recv()).WhichOneof("type") != "script_finished":
            pass


if __name__ == "__main__":
    sys.exit(main())
