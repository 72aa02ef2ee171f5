"""``python -m homespun.serve.battle_room``: the room on this machine, for whoever works on it."""

import argparse
from pathlib import Path

from homespun.serve.battle_room.config import load
from homespun.serve.battle_room.server import serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--apps-port", type=int, default=8701)
    told = parser.parse_args()
    serve(load(told.config), host=told.host, port=told.port, apps_port=told.apps_port)
