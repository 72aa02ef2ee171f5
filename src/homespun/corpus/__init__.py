"""Text that may be used: every document that stays or leaves has a reason that can be asked for."""
