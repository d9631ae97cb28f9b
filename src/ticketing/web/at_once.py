"""How many requests of one address are under way at once, in one process."""

from collections import Counter
from typing import Any

from .addresses import network
from .errors import TooManyRequests
from .protocol import refused, send_reply

WAIT_SECONDS = 1


class AtOnce:
    """An ASGI layer that tells an address with too many requests under way to come back.

    It stands where the client's address is known, behind `TrustedProxies`.
    """

    def __init__(self, app: Any, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = network(scope["client"][0]) if scope.get("client") else ""
        if self._under_way[address] >= self._limit:
            await send_reply(send, refused(TooManyRequests(WAIT_SECONDS, self._limit)), scope)
            return
        self._under_way[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[address] -= 1
            if not self._under_way[address]:
                del self._under_way[address]
