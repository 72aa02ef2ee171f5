"""The battle room: two programs from one prompt, both run, played with, and voted on."""
