"""The eight environments in which generated programs run."""
