"""Jails: one hostile command, kept away from everything that matters."""
