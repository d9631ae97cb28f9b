"""Overload: what is asked for would be done, but not now."""


class Overloaded(Exception):
    """Nothing was done, and it may be asked for again in `seconds`."""

    def __init__(self, seconds: int = 1) -> None:
        super().__init__(f"overloaded for {seconds} s")
        self.seconds = seconds
