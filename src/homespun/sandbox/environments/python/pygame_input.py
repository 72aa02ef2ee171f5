"""Keys and mouse from the page, as pygame tells them.

SDL has no window here, so what it knows of keyboard and mouse is nothing. The page's messages wait in a queue; when
the game asks for events, as every game must, they become pygame events and the state that ``pygame.key`` and
``pygame.mouse`` show. So state and events change together, in the game's own thread, as with a real window.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from . import pygame_keys

MOST_WAITING = 1000
TICK = 0.005
MODIFIERS = ("LSHIFT", "RSHIFT", "LCTRL", "RCTRL", "LALT", "RALT", "LGUI", "RGUI")
LOCKS = {"CapsLock": "KMOD_CAPS", "NumLock": "KMOD_NUM"}


class Pressed:
    """What ``pygame.key.get_pressed`` returns: true at the keys that are down."""

    def __init__(self, keys: set[int]) -> None:
        self._keys = frozenset(keys)

    def __getitem__(self, key: int) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return 512

    def __iter__(self) -> Any:
        down = {key & 511 for key in self._keys}
        return iter([number in down for number in range(512)])


class Input:
    """The page's keyboard and mouse, in place of SDL's."""

    def __init__(self, pygame: Any) -> None:
        self._pygame = pygame
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._down: dict[str, int] = {}
        self._just_down: set[int] = set()
        self._just_up: set[int] = set()
        self._locks = 0
        self._position = (0, 0)
        self._moved_from = (0, 0)
        self._buttons: set[int] = set()
        self._buttons_down: set[int] = set()
        self._buttons_up: set[int] = set()
        self._focus = False
        self._post = pygame.event.post
        self._size = (1, 1)

    def arrive(self, message: Mapping[str, Any]) -> None:
        """Takes a message of the page; called from any thread."""
        with self._lock:
            moves = message.get("type") == "mousemove"
            if moves and self._waiting and self._waiting[-1].get("type") == "mousemove":
                self._waiting.pop()  # the game wants to know where the mouse is, not where it was
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(message)
        self._arrived.set()

    def drain(self) -> None:
        """Turns what has arrived into events and state."""
        if not self._pygame.display.get_init():
            return
        self._arrived.clear()
        with self._lock:
            waiting, self._waiting = list(self._waiting), deque()
        for known in (self._just_down, self._just_up, self._buttons_down, self._buttons_up):
            known.clear()
        surface = self._pygame.display.get_surface()
        self._size = surface.get_size() if surface is not None else (1, 1)
        for message in waiting:
            take = getattr(self, f"_on_{message.get('type')}", None)
            if take is not None:
                try:
                    take(message)
                except (KeyError, TypeError, ValueError, OverflowError):
                    continue  # not what our page sends

    def install(self) -> None:
        """Puts this in the place of pygame's own functions."""
        pygame = self._pygame
        event, key, mouse = pygame.event, pygame.key, pygame.mouse
        for name in ("get", "poll", "peek", "clear", "pump"):
            setattr(event, name, self._after_drain(getattr(event, name)))
        poll, none = event.poll, pygame.NOEVENT

        def wait(timeout: int = 0) -> Any:
            deadline = time.monotonic() + timeout / 1000 if timeout else None
            while (found := poll()).type == none and (deadline is None or time.monotonic() < deadline):
                self._arrived.wait(TICK)
            return found

        event.wait = wait
        key.get_pressed = lambda: Pressed(set(self._down.values()))
        key.get_just_pressed = lambda: Pressed(self._just_down)
        key.get_just_released = lambda: Pressed(self._just_up)
        key.get_mods = self._modifiers
        key.get_focused = lambda: self._focus
        mouse.get_pos = self._mouse_position
        mouse.get_rel = self._relative
        mouse.get_pressed = self._mouse_pressed
        mouse.get_just_pressed = lambda: tuple(number in self._buttons_down for number in range(1, 6))
        mouse.get_just_released = lambda: tuple(number in self._buttons_up for number in range(1, 6))
        mouse.get_focused = lambda: self._focus
        mouse.set_pos = self._set_position

    def _after_drain(self, real: Any) -> Any:
        def drained(*args: Any, **options: Any) -> Any:
            self.drain()
            return real(*args, **options)

        return drained

    def _send(self, kind: int, **values: Any) -> None:
        with contextlib.suppress(self._pygame.error):  # a full queue: a game that never looks loses events
            self._post(self._pygame.event.Event(kind, window=None, **values))

    # keyboard

    def _on_keydown(self, message: Mapping[str, Any]) -> None:
        code, key = str(message["code"])[:40], str(message["key"])[:40]
        number = pygame_keys.keycode(self._pygame, code, key)
        again = (code or key) in self._down
        self._down[code or key] = number
        self._locks = sum(getattr(self._pygame, flag) for name, flag in LOCKS.items() if message.get(name) is True)
        if again and not self._repeats():
            return
        self._just_down.add(number)
        text = pygame_keys.written(code, key, bool(message.get("ctrl")))
        scancode = pygame_keys.scancode(self._pygame, code)
        self._send(self._pygame.KEYDOWN, key=number, mod=self._modifiers(), unicode=text, scancode=scancode)
        if len(key) == 1 and not message.get("ctrl") and not message.get("meta"):
            self._send(self._pygame.TEXTINPUT, text=key)

    def _on_keyup(self, message: Mapping[str, Any]) -> None:
        code, key = str(message["code"])[:40], str(message["key"])[:40]
        number = self._down.pop(code or key, None)
        if number is None:
            return
        self._just_up.add(number)
        scancode = pygame_keys.scancode(self._pygame, code)
        self._send(self._pygame.KEYUP, key=number, mod=self._modifiers(), unicode="", scancode=scancode)

    def _repeats(self) -> bool:
        try:
            return bool(self._pygame.key.get_repeat()[0])
        except self._pygame.error:
            return False

    def _modifiers(self) -> int:
        down = set(self._down.values())
        held = (name for name in MODIFIERS if getattr(self._pygame, f"K_{name}") in down)
        return sum(getattr(self._pygame, f"KMOD_{name}") for name in held) | self._locks

    # mouse

    def _point(self, message: Mapping[str, Any]) -> tuple[int, int]:
        x, y = (min(1.0, max(0.0, float(message[axis]))) for axis in ("x", "y"))  # shares of the picture
        return min(int(x * self._size[0]), self._size[0] - 1), min(int(y * self._size[1]), self._size[1] - 1)

    def _on_mousemove(self, message: Mapping[str, Any]) -> None:
        before, self._position = self._position, self._point(message)
        moved = (self._position[0] - before[0], self._position[1] - before[1])
        if moved != (0, 0):
            buttons = tuple(int(number in self._buttons) for number in (1, 2, 3))
            self._send(self._pygame.MOUSEMOTION, pos=self._position, rel=moved, buttons=buttons, touch=False)

    def _on_mousedown(self, message: Mapping[str, Any]) -> None:
        self._on_mousemove(message)
        button = _button(message)
        self._buttons.add(button)
        self._buttons_down.add(button)
        self._send(self._pygame.MOUSEBUTTONDOWN, pos=self._position, button=_old(button), touch=False)

    def _on_mouseup(self, message: Mapping[str, Any]) -> None:
        button = _button(message)
        self._on_mousemove(message)
        if button in self._buttons:
            self._release(button)

    def _release(self, button: int) -> None:
        self._buttons.discard(button)
        self._buttons_up.add(button)
        self._send(self._pygame.MOUSEBUTTONUP, pos=self._position, button=_old(button), touch=False)

    def _on_wheel(self, message: Mapping[str, Any]) -> None:
        self._on_mousemove(message)
        x, y = (max(-10, min(10, int(message[axis]))) for axis in ("dx", "dy"))
        precise = {"precise_x": float(x), "precise_y": float(y)}
        self._send(self._pygame.MOUSEWHEEL, x=x, y=y, flipped=False, touch=False, **precise)
        if y:  # as games of the first pygame know it
            for kind in (self._pygame.MOUSEBUTTONDOWN, self._pygame.MOUSEBUTTONUP):
                self._send(kind, pos=self._position, button=4 if y > 0 else 5, touch=False)

    def _on_focus(self, message: Mapping[str, Any]) -> None:
        if not self._focus:
            self._focus = True
            self._send(self._pygame.WINDOWFOCUSGAINED)

    def _on_blur(self, message: Mapping[str, Any]) -> None:
        """The page will not see the keys come up: they do so now."""
        for code in list(self._down):
            self._on_keyup({"code": code, "key": code})
        for button in sorted(self._buttons):
            self._release(button)
        if self._focus:
            self._focus = False
            self._send(self._pygame.WINDOWFOCUSLOST)

    def _mouse_position(self, desktop: bool = False) -> tuple[int, int]:
        return self._position

    def _relative(self) -> tuple[int, int]:
        before, self._moved_from = self._moved_from, self._position
        return self._position[0] - before[0], self._position[1] - before[1]

    def _mouse_pressed(self, num_buttons: int = 3, desktop: bool = False) -> tuple[bool, ...]:
        return tuple(number in self._buttons for number in range(1, num_buttons + 1))

    def _set_position(self, *place: Any) -> None:
        x, y = place if len(place) == 2 else place[0]
        self._position = (int(x), int(y))


def _button(message: Mapping[str, Any]) -> int:
    """The browser counts left, middle, right from 0; pygame from 1."""
    number = int(message["button"]) + 1
    if not 1 <= number <= 5:
        raise ValueError
    return number


def _old(button: int) -> int:
    """In events the wheel has 4 and 5, so the two further buttons are 6 and 7."""
    return button if button <= 3 else button + 2
