"""The command `ticketing`."""

from .commands import main

__all__ = ["main"]
