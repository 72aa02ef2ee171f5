"""The dashboard: one page for those who run the gateway."""

from homespun.serve.gateway.dashboard.routes import dashboard_routes

__all__ = ["dashboard_routes"]
