"""Builds the server of one process: settings in, routes mounted, errors mapped."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from itertools import groupby
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route

from . import health, pages
from .accounts import routes as accounts
from .accounts.passwords import Passwords
from .admissions import routes as admissions
from .admissions import token_routes as tokens
from .categories import routes as categories
from .countries import routes as countries
from .events import routes as events
from .events import section_routes as sections
from .hosts import routes as hosts
from .kit.database import Database
from .kit.errors import UnknownEndpoint
from .kit.logs import configure_logs
from .kit.openapi import describe
from .kit.operations import Edge, Endpoint, Operation, Reply, Services, send_reply
from .kit.vault import Vault
from .orders import routes as orders
from .orders.intake import build_intake
from .regions import routes as regions
from .sessions import integration_routes as integrations
from .sessions import routes as sessions
from .sessions.gatekeeper import KeyGatekeeper
from .sessions.keys import Keys
from .sessions.permissions import MAY_CALL
from .settings import Settings, read_settings
from .submissions import routes as submissions
from .tickets import routes as tickets
from .venues import routes as venues

# The busiest first: routes are tried in this order.
OPERATIONS: Sequence[Operation] = [
    *events.operations.all,
    *orders.operations.all,
    *admissions.operations.all,
    *sections.operations.all,
    *tickets.operations.all,
    *sessions.operations.all,
    *accounts.operations.all,
    *hosts.operations.all,
    *tokens.operations.all,
    *regions.operations.all,
    *venues.operations.all,
    *categories.operations.all,
    *submissions.operations.all,
    *integrations.operations.all,
    *countries.operations.all,
]


def build_app(settings: Settings) -> Edge:
    """The ASGI application."""
    database = Database(settings.database_url, pool_size=settings.pool_size)
    keys = Keys(database)
    passwords = Passwords()
    services = Services(settings, database, keys, passwords, Vault(settings.secret), build_intake(database, settings))
    gatekeeper = KeyGatekeeper(keys)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await database.open()
        try:
            yield
        finally:
            passwords.close()
            await database.close()

    routes: list[BaseRoute] = [
        Route(f"/v3{path}", Endpoint(list(group), services, gatekeeper, settings.minimum_client_version))
        for path, group in groupby(sorted_by_path(OPERATIONS), key=lambda operation: operation.path)
    ]
    description = msgspec.json.encode(describe(OPERATIONS, MAY_CALL, version("ticketing")))
    routes += pages.routes(description, services)
    routes += health.routes(services)
    starlette = Starlette(routes=routes, lifespan=lifespan, middleware=_cors(settings))
    starlette.router.redirect_slashes = False
    starlette.router.default = _unknown_endpoint
    return Edge(starlette)


def sorted_by_path(operations: Sequence[Operation]) -> list[Operation]:
    """The operations of one path side by side, paths in order of first appearance, fixed segments before any."""
    paths = list(dict.fromkeys(operation.path for operation in operations))
    return sorted(operations, key=lambda operation: paths.index(operation.path))


def _cors(settings: Settings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    origins = [origin.strip() for origin in settings.cors_origins.split(",")]
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Content-Type", "X-API-Key", "X-Client-Version", "Idempotency-Key"],
            expose_headers=[
                "X-Request-ID",
                "Retry-After",
                "RateLimit-Limit",
                "RateLimit-Remaining",
                "RateLimit-Reset",
            ],
        )
    ]


async def _unknown_endpoint(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    raw = scope.get("raw_path") or scope["path"].encode()
    path = raw.split(b"?")[0].decode("ascii", "replace")
    refusal = UnknownEndpoint(path.removeprefix("/v3") or "/")
    await send_reply(send, Reply(refusal.body(), refusal.status), scope)


_app: Edge | None = None


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The application as an ASGI server imports it: settings from the environment, built on first use."""
    global _app
    if _app is None:
        settings = read_settings()
        configure_logs(settings.log_format)
        _app = build_app(settings)
    await _app(scope, receive, send)
