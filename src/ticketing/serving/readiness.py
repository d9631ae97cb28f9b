"""Whether the server answers."""

import asyncio
import time
from collections.abc import Callable

from .children import Child
from .errors import CannotServe
from .port import Port

PROBE_SECONDS = 0.02
ANSWER_SECONDS = 5
NOTE_SECONDS = 5
QUESTION = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def until_ready(port: Port, keeper: Child, progress: Callable[[str], None]) -> None:
    """Wait until the workers answer. Raises CannotServe when they end instead."""
    ended = asyncio.create_task(keeper.until_it_ends())
    answering = asyncio.create_task(_until_answered(port, progress))
    try:
        await asyncio.wait({ended, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise CannotServe("The workers could not start; the lines above say why.")
    finally:
        ended.cancel()
        answering.cancel()


async def _until_answered(port: Port, progress: Callable[[str], None]) -> None:
    began = noted = time.monotonic()
    while not await _is_ready(port):
        await asyncio.sleep(PROBE_SECONDS)
        if time.monotonic() - noted > NOTE_SECONDS:
            noted = time.monotonic()
            progress(f"Waiting for the workers ({noted - began:.0f} s so far).")


async def _is_ready(port: Port) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(port.reachable, port.number)
            try:
                writer.write(QUESTION)
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
