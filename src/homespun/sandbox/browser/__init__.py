"""A headless browser in a jail, which looks at apps as a visitor would. `Browser` is the way in."""

from homespun.sandbox.browser.browser import Browser
from homespun.sandbox.browser.shots import Action, Shot

__all__ = ["Action", "Browser", "Shot"]
