"""What an account knows of gates, which the packages above this one keep; `app.py` passes it in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ticketing.kit.database import Connection


@dataclass(frozen=True, slots=True)
class GateCodes:
    """The codes that whoever runs a host can read; they are renewed when his account is closed."""

    renew_known_to: Callable[[Connection, int], Awaitable[None]]
