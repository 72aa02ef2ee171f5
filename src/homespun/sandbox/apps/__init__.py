"""Apps that a model wrote, each served at an origin of its own. `AppHost` is the way in."""

from homespun.sandbox.apps.host import AppHost
from homespun.sandbox.apps.limits import Limits
from homespun.sandbox.apps.policy import IFRAME_ALLOW, IFRAME_SANDBOX

__all__ = ["IFRAME_ALLOW", "IFRAME_SANDBOX", "AppHost", "Limits"]
