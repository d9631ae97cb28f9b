"""Streams that nobody reads any more."""

import os


def lead_nowhere(descriptor: int) -> None:
    """Let a stream lead nowhere from now on, for whatever writes to it, children to come included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
