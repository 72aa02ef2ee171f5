"""From a browser's ``KeyboardEvent`` to SDL's keys, which pygame shows as its own."""

from typing import Any

NAMED = {
    "ArrowLeft": "LEFT",
    "ArrowRight": "RIGHT",
    "ArrowUp": "UP",
    "ArrowDown": "DOWN",
    "Enter": "RETURN",
    "Escape": "ESCAPE",
    "Backspace": "BACKSPACE",
    "Tab": "TAB",
    "Space": "SPACE",
    "CapsLock": "CAPSLOCK",
    "PrintScreen": "PRINT",
    "ScrollLock": "SCROLLOCK",
    "Pause": "PAUSE",
    "Insert": "INSERT",
    "Home": "HOME",
    "PageUp": "PAGEUP",
    "Delete": "DELETE",
    "End": "END",
    "PageDown": "PAGEDOWN",
    "ContextMenu": "MENU",
    "ShiftLeft": "LSHIFT",
    "ShiftRight": "RSHIFT",
    "ControlLeft": "LCTRL",
    "ControlRight": "RCTRL",
    "AltLeft": "LALT",
    "AltRight": "RALT",
    "MetaLeft": "LGUI",
    "MetaRight": "RGUI",
    "NumLock": "NUMLOCKCLEAR",
    "NumpadDivide": "KP_DIVIDE",
    "NumpadMultiply": "KP_MULTIPLY",
    "NumpadSubtract": "KP_MINUS",
    "NumpadAdd": "KP_PLUS",
    "NumpadEnter": "KP_ENTER",
    "NumpadDecimal": "KP_PERIOD",
    "NumpadEqual": "KP_EQUALS",
    **{f"Numpad{digit}": f"KP_{digit}" for digit in range(10)},
    **{f"F{number}": f"F{number}" for number in range(1, 16)},
}
"""``code`` of the keys that write nothing of their own, or stand apart from those that do → pygame's name."""
PRINTED = {
    "Backquote": "`",
    "Minus": "-",
    "Equal": "=",
    "BracketLeft": "[",
    "BracketRight": "]",
    "Backslash": "\\",
    "IntlBackslash": "\\",
    "Semicolon": ";",
    "Quote": "'",
    "Comma": ",",
    "Period": ".",
    "Slash": "/",
    **{f"Digit{digit}": str(digit) for digit in range(10)},
    **{f"Key{letter}": letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
}
"""``code`` → what the key writes on a US keyboard without Shift, which is also SDL's number of it."""
SCANCODES = {
    "`": "GRAVE",
    "-": "MINUS",
    "=": "EQUALS",
    "[": "LEFTBRACKET",
    "]": "RIGHTBRACKET",
    "\\": "BACKSLASH",
    ";": "SEMICOLON",
    "'": "APOSTROPHE",
    ",": "COMMA",
    ".": "PERIOD",
    "/": "SLASH",
}
WRITES = {
    "Enter": "\r",
    "NumpadEnter": "\r",
    "Backspace": "\b",
    "Tab": "\t",
    "Escape": "\x1b",
    "Delete": "\x7f",
}


def keycode(pygame: Any, code: str, key: str) -> int:
    """SDL's key for one of the browser's; 0 (``K_UNKNOWN``) if there is none.

    Letters follow the layout (``key``), as they do in SDL; digits and punctuation the place of the key (``code``),
    because ``key`` may have Shift in it.
    """
    if name := NAMED.get(code):
        return int(getattr(pygame, f"K_{name}", 0))
    letter = key.lower()
    if len(letter) == 1 and letter.isalpha():
        return ord(letter)
    if printed := PRINTED.get(code):
        return ord(printed)
    if code:
        return 0
    return ord(letter) if len(letter) == 1 else int(getattr(pygame, f"K_{NAMED.get(key, key.upper())}", 0))


def scancode(pygame: Any, code: str) -> int:
    """SDL's number for the place of the key; 0 if it has none."""
    name = NAMED.get(code)
    if name is None:
        printed = PRINTED.get(code, "")
        name = SCANCODES.get(printed, printed.upper())
    return int(getattr(pygame, f"KSCAN_{name}", 0)) if name else 0


def written(code: str, key: str, control: bool) -> str:
    """The text of a key press, as pygame's ``unicode`` tells it."""
    if len(key) == 1:
        return chr(ord(key.lower()) - 96) if control and "a" <= key.lower() <= "z" else key
    return WRITES.get(code, WRITES.get(key, ""))
