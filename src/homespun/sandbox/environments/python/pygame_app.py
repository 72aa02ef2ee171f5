"""Plays a PyGame program in a page: ``python -m inside.pygame_app PORT [--file PATH]``.

The game runs as it is, in the main thread, on SDL's dummy driver. The page outlives it: it keeps the last picture,
says how the program ended, and can start it again.
"""

import os
import sys
import threading

os.environ.update(SDL_VIDEODRIVER="dummy", SDL_AUDIODRIVER="dummy", PYGAME_HIDE_SUPPORT_PROMPT="1")

import importlib
from typing import Any

from . import program
from .hand_over import HandOver
from .pygame_input import Input
from .pygame_screen import Screen
from .pygame_stream import Stream, start_again

PORT = int(sys.argv[1])


def main() -> int:
    """Loads pygame, waits for the program, plays it, and stays until the jail is closed."""
    pygame: Any = importlib.import_module("pygame")
    for name in ("PIL.Image", "PIL.PngImagePlugin", "PIL.JpegImagePlugin", "websockets.asyncio.server"):
        importlib.import_module(name)
    hand_over = None
    if "--file" in sys.argv:
        path = sys.argv[sys.argv.index("--file") + 1]
    else:
        hand_over = HandOver(PORT)
        path = hand_over.path
    screen, keys = Screen(pygame), Input(pygame)
    stream = Stream(PORT, screen, keys.arrive, lambda: start_again(PORT, path))
    screen.install()
    keys.install()
    if hand_over is not None:
        threading.Thread(target=_tell_ready, args=(hand_over, screen, stream), daemon=True).start()
    quit_pygame = pygame.quit
    pygame.quit = lambda: (screen.keep(), quit_pygame())[1]
    code = program.run(path)
    screen.keep()
    sys.stdout.flush()
    sys.stderr.flush()
    if screen.frame is None and hand_over is not None:
        return code
    stream.ended = {"code": code, "shown": screen.frame is not None}
    threading.Event().wait()
    return code


def _tell_ready(hand_over: HandOver, screen: Screen, stream: Stream) -> None:
    stream.wait_up()
    while not screen.wait_first(60.0):
        pass
    hand_over.ready()


if __name__ == "__main__":
    sys.exit(main())
