"""Answers that are sent as they are made, because nobody should hold them whole.

What holds something open while it makes its chunks - a cursor, a file - lets go of it in its `finally`: the chunks are
closed when all were sent, when the client has gone, stalls or takes too long, and when making them fails. A body that
broke off is never ended properly, so that nobody takes it for the whole.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import structlog

from .operations import ClientGone

STALLED_SECONDS = 20.0  # within which a client takes the next chunk
PIECE_BYTES = 64 * 1024
LONGEST_SECONDS = 600.0

log = structlog.get_logger()


class Stream:
    """A body in chunks."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks
        self._first = b""
        self._leaving: asyncio.Task[None] | None = None

    async def begin(self, receive: Any) -> None:
        """Make the first chunk, as long as a failure can still be answered as one.

        Raises ClientGone, and what making it raises.
        """
        self._leaving = asyncio.create_task(_until_gone(receive), name="stream-client")
        beginning = asyncio.create_task(self._take_first(), name="stream")
        try:
            await self._race(beginning)
        except BaseException:
            await self.close()
            raise

    async def send(self, send: Any) -> None:
        """Send all of it, up to the message that ends it; less when it cannot be done."""
        try:
            await self._race(asyncio.create_task(self._send_chunks(send), name="stream"))
        except ClientGone:
            return
        except TimeoutError:
            log.warning("stream.stalled")
        except Exception as error:
            log.error("stream.broken", exc_info=error)

    async def _race(self, work: asyncio.Task[None]) -> None:
        """Wait for the work, as long as the client does. Raises ClientGone, TimeoutError, and what the work raises."""
        leaving = self._leaving
        assert leaving is not None  # noqa: S101 - for the type checker: `begin` comes first
        try:
            await asyncio.wait({work, leaving}, timeout=LONGEST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientGone if leaving.done() else TimeoutError
            work.result()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _take_first(self) -> None:
        self._first = await anext(self._chunks, b"")

    async def close(self) -> None:
        """Let go of what the chunks are made from."""
        if self._leaving is not None:
            self._leaving.cancel()
        await self._chunks.aclose()

    async def _send_chunks(self, send: Any) -> None:
        if self._first:
            await _send_chunk(send, self._first)
        async for chunk in self._chunks:
            if chunk:
                await _send_chunk(send, chunk)
        await send({"type": "http.response.body", "body": b""})


async def send_in_pieces(send: Any, body: bytes) -> None:
    """Send a body whose length was told, no faster than the client takes it; whoever takes nothing gets no more."""
    try:
        for start in range(0, len(body), PIECE_BYTES):
            await _send_chunk(send, body[start : start + PIECE_BYTES])
    except TimeoutError:
        log.warning("answer.stalled")
        return
    await send({"type": "http.response.body", "body": b""})


async def _send_chunk(send: Any, chunk: bytes) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _until_gone(receive: Any) -> None:
    """Return when the client has closed the connection; what it still sends is passed over."""
    while (await receive())["type"] != "http.disconnect":
        pass
