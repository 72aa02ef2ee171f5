"""Self-optimisation: labels, shadows, refits through a gate, canaries, alarms. See docs/guide/learning.md."""

from homespun.serve.gateway.learning.feedback import feedback_routes
from homespun.serve.gateway.learning.learner import Learner

__all__ = ["Learner", "feedback_routes"]
