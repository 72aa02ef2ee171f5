"""The game's window: what it flips is kept as the newest frame, at a pace that a game without a clock can live with."""

import threading
import time
from dataclasses import dataclass
from typing import Any

FLIPS_PER_SECOND = 60.0
"""Pace of a game that never asks a clock to wait: in a browser it would be the screen's."""


@dataclass(frozen=True)
class Frame:
    """One picture as the game drew it: raw pixels, PIL's name for their order, and the length of a row."""

    size: tuple[int, int]
    pixels: bytes
    order: str
    pitch: int


class Screen:
    """Takes the place of pygame's display functions."""

    def __init__(self, pygame: Any) -> None:
        self._pygame = pygame
        self._changed = threading.Condition()
        self._paced = False
        self._last_flip = 0.0
        self.frame: Frame | None = None
        self.title = ""

    def wait_first(self, seconds: float) -> bool:
        """Blocks until there is a frame, or for so long; returns whether there is one."""
        with self._changed:
            return self._changed.wait_for(lambda: self.frame is not None, seconds)

    def keep(self) -> None:
        """Copies what is on the display now."""
        display = self._pygame.display
        surface = display.get_surface() if display.get_init() else None
        if surface is None:
            return
        if surface.get_bitsize() == 32 and surface.get_masks()[:3] == (0xFF0000, 0xFF00, 0xFF):
            frame = Frame(surface.get_size(), surface.get_buffer().raw, "BGRX", surface.get_pitch())
        else:
            size = surface.get_size()
            frame = Frame(size, self._pygame.image.tobytes(surface, "RGB"), "RGB", size[0] * 3)
        with self._changed:
            self.frame = frame
            self._changed.notify_all()

    def install(self) -> None:
        """Puts this in the place of pygame's own functions."""
        display, clock = self._pygame.display, self._pygame.time.Clock
        flip, update, set_mode, set_caption = display.flip, display.update, display.set_mode, display.set_caption
        screen = self

        def flipped() -> None:
            flip()
            screen._shown()

        def updated(*areas: Any, **named: Any) -> None:
            update(*areas, **named)
            screen._shown()

        def sized(size: Any = (0, 0), flags: int = 0, *_: Any, **__: Any) -> Any:
            pygame = screen._pygame
            if flags & pygame.OPENGL:
                raise pygame.error("there is no OpenGL here: draw on surfaces")
            return set_mode(size, flags & (pygame.RESIZABLE | pygame.NOFRAME))

        def titled(title: str, icontitle: str | None = None) -> None:
            set_caption(title, title if icontitle is None else icontitle)
            screen.title = str(title)[:200]

        class Clock:
            """pygame's clock; that it is asked to wait is noted."""

            def __init__(self) -> None:
                self._clock = clock()

            def tick(self, framerate: float = 0) -> int:
                screen._paced = framerate > 0
                return self._clock.tick(framerate)

            def tick_busy_loop(self, framerate: float = 0) -> int:
                return self.tick(framerate)  # the busy loop would keep frames from being sent

            def __getattr__(self, name: str) -> Any:
                return getattr(self._clock, name)

        display.flip, display.update, display.set_mode, display.set_caption = flipped, updated, sized, titled
        display.toggle_fullscreen = lambda: 1
        display.is_fullscreen = lambda: False
        self._pygame.time.Clock = Clock

    def _shown(self) -> None:
        self.keep()
        if not self._paced:
            left = self._last_flip + 1 / FLIPS_PER_SECOND - time.monotonic()
            if left > 0:
                time.sleep(left)
        self._last_flip = time.monotonic()
