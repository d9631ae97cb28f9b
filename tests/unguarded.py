"""The application with its guard taken away: what the scarcity test must be able to catch."""

import asyncio
from typing import Any

from ticketing.app import app
from ticketing.orders import placing

_write = placing._write


async def _write_late(*details: Any) -> None:
    """Between reading and writing, time passes: nothing is locked meanwhile."""
    await asyncio.sleep(0.05)
    await _write(*details)


placing.LOCK_SECTIONS = "SELECT $1::bigint[]"
placing._write = _write_late  # type: ignore[assignment]

__all__ = ["app"]
