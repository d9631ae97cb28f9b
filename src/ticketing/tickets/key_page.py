"""The public keys of tickets, for gates that verify codes without asking; outside /v3 and without a key."""

import time

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ticketing.kit.database import Database
from ticketing.kit.database_errors import UNREACHABLE
from ticketing.kit.vault import Vault
from ticketing.web.errors import Busy
from ticketing.web.operations import Services

from .keys import read_key_set

PATH = "/.well-known/ticketing-keys.json"
REMEMBERED_SECONDS = 5.0  # anybody may ask, as often as he likes
HEADERS = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}


def routes(services: Services) -> list[BaseRoute]:
    """`/.well-known/ticketing-keys.json`."""
    page = _KeyPage(services)
    return [Route(PATH, page.serve)]


class _KeyPage:
    """The page, read from the database at most every few seconds."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._body = b""
        self._read_at = -REMEMBERED_SECONDS

    async def serve(self, _request: Request) -> Response:
        now = time.monotonic()
        if now >= self._read_at + REMEMBERED_SECONDS:
            try:
                async with self._services.the(Database).reading() as db:
                    keys = await read_key_set(db, self._services.the(Vault))
            except UNREACHABLE:
                busy = Busy(2)
                return JSONResponse(busy.body(), busy.status, busy.headers)
            self._body, self._read_at = msgspec.json.encode(keys), now
        return Response(self._body, headers=HEADERS, media_type="application/jwk-set+json")
