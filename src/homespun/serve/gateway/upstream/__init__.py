"""Every model that the gateway can call, behind one door: `Fleet`."""

from homespun.serve.gateway.upstream.fleet import Fleet

__all__ = ["Fleet"]
