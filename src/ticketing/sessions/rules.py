"""How long a session lasts, and how exactly that is known."""

LONGEST_RECHECK_SECONDS = 300.0  # clocks of machines drift apart, and stand still while a machine sleeps
SLACK = 20  # a session lasts up to a twentieth longer than it may lie idle, so that using it need not be written down


def idle_seconds(minutes: int) -> tuple[float | None, float | None]:
    """How long a session may lie idle, and what it is given when its use is written down; None: for ever."""
    return (minutes * 60.0, minutes * 60.0 * (SLACK + 1) / SLACK) if minutes else (None, None)


def recheck_seconds(idle_minutes: int) -> float:
    """How long a process may believe what the database said about a key, so that no use goes unnoticed for long."""
    return min(LONGEST_RECHECK_SECONDS, idle_minutes * 60.0 / SLACK) if idle_minutes else LONGEST_RECHECK_SECONDS
