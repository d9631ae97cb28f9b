"""Why the server does not start."""


class CannotServe(Exception):
    """The server cannot start or go on; its text is one clear sentence for the person at the terminal."""
