"""Builds the server of one process: settings in, routes mounted, errors mapped."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import beside_api
from .accounts import activation_routes as activation
from .accounts import code_routes as codes
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
from .kit.logs import configure_logs
from .mail import viewer
from .monitoring import health
from .orders import routes as orders
from .orders.intake import build_intake
from .pages import PAGES, Frame, Site
from .payments import routes as payments
from .payments import webhooks
from .payments.providers.choosing import build_providers
from .pictures.serving import Pictures
from .regions import routes as regions
from .reports import routes as reports
from .reports.files import Exports
from .sealing import keep_up, open_vault
from .sessions import integration_routes as integrations
from .sessions import routes as sessions
from .sessions import sign_in_routes as sign_ins
from .sessions.gate_keys import gate_codes
from .sessions.gatekeeper import KeyGatekeeper
from .sessions.keys import Keys
from .sessions.permissions import MAY_CALL
from .settings import Settings, read_settings
from .submissions import routes as submissions
from .tickets import paper_routes as paper
from .tickets import routes as tickets
from .tickets.press import Press
from .transfers import routes as transfers
from .venues import routes as venues
from .web.addresses import TrustedProxies, parse_networks
from .web.at_once import AtOnce
from .web.errors import WrongMethod
from .web.openapi import describe
from .web.operations import Operation, Services
from .web.protocol import CRASH, Edge, Endpoint, Paths, unknown_endpoint
from .web.shared_reads import SharedReads
from .web.shielding import Shield

OPERATIONS: Sequence[Operation] = [
    *events.operations.all,
    *orders.operations.all,
    *payments.operations.all,
    *admissions.operations.all,
    *sections.operations.all,
    *tickets.operations.all,
    *paper.operations.all,
    *transfers.operations.all,
    *sessions.operations.all,
    *sign_ins.operations.all,
    *accounts.operations.all,
    *codes.operations.all,
    *activation.operations.all,
    *hosts.operations.all,
    *tokens.operations.all,
    *regions.operations.all,
    *venues.operations.all,
    *categories.operations.all,
    *submissions.operations.all,
    *integrations.operations.all,
    *reports.operations.all,
    *countries.operations.all,
]

# In the order of the published reference: who reads the description begins with signing in.
TAGS = (
    "Session Authentication",
    "Token Authentication",
    "API Integrations",
    "Account Management",
    "Account Verification",
    "Password Reset",
    "Account Activation",
    "Account Activity",
    "Managing Host Accounts",
    "Working with Events",
    "Event Admissions",
    "Event Reporting",
    "Placing an Order",
    "Order Settlement",
    "Ticket Transfers",
    "Region Management",
    "Venue Management",
    "Category Management",
    "Reviewing Content",
    "Transaction Reports",
    "Default Values",
)


def build_app(settings: Settings) -> Edge:
    """The ASGI application."""
    database = Database(settings.database_url, pool_size=settings.pool_size)
    reads, vault = SharedReads(database), open_vault(settings)
    keep_up(database, vault)

    def visitors_keys() -> list[str]:
        return vault.derive_keys("pages", "visitors") if settings.pages == "on" else []

    keys = Keys(reads, database, settings, visitors_keys)
    passwords, pictures, press, exports = Passwords(), Pictures(), Press(), Exports()
    intake, shield, providers = build_intake(database, settings), Shield(), build_providers(settings, database, vault)
    things = (reads, keys, passwords, pictures, press, exports, vault, gate_codes(vault), intake, shield, providers)
    services = Services(settings, database, *things)
    gatekeeper = KeyGatekeeper(settings, database, vault, keys)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await database.open()
        try:
            yield
        finally:
            await shield.close()
            await providers.close()
            passwords.close()
            pictures.close()
            press.close()
            exports.close()
            await database.close()

    by_path: dict[str, list[Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, []).append(operation)
    endpoints = [
        (path, Endpoint(operations, services, gatekeeper, settings.minimum_client_version))
        for path, operations in by_path.items()
    ]
    frame = Frame(site_of(settings, visitors_keys)) if settings.pages == "on" else None
    beside = Starlette(
        routes=[
            *(frame.routes(*PAGES) if frame else []),
            *beside_api.routes(description(), services, is_root=frame is None),
            *health.routes(services),
            *viewer.routes(settings),
            *webhooks.routes(services),
        ],
        lifespan=lifespan,
        exception_handlers={405: _wrong_method, Exception: _crash},
    )
    beside.router.redirect_slashes = False
    beside.router.default = _unknown(gatekeeper, frame)
    front: Any = Paths("/v3", endpoints, otherwise=beside)
    if frame is not None:
        frame.api = front
    if settings.rate_limits == "on":
        front = AtOnce(front, settings.requests_at_once)
    if proxies := parse_networks(settings.trusted_proxies):
        front = TrustedProxies(front, proxies)
    return Edge(beside, front=front, wrap=lambda app: _allow_origins(app, settings))


def site_of(settings: Settings, visitors_keys: Callable[[], Sequence[str]]) -> Site:
    """What the pages are told of the settings."""
    return Site(
        visitors_keys=visitors_keys,
        name=settings.platform_name,
        logo_url=settings.logo_url,
        accent=settings.accent,
        public_url=settings.public_url,
        media_url=settings.media_url,
        imprint_url=settings.imprint_url,
        privacy_url=settings.privacy_url,
        languages=settings.offered_languages,
        currency=settings.currency,
        tickets_per_order=settings.tickets_per_order,
        payment_provider=settings.payment_provider,
        stripe_publishable_key=settings.stripe_publishable_key,
        stripe_script=settings.stripe_script,
        is_demo=settings.dev_pages == "on",
    )


def _unknown(gatekeeper: KeyGatekeeper, frame: Frame | None) -> Any:
    """The application behind every path that nobody knows: a page for browsers, JSON for everybody else."""
    endpoint = unknown_endpoint(gatekeeper)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if frame is None or scope["type"] != "http" or not _wants_page(scope):
            await endpoint(scope, receive, send)
            return
        response = await frame.missing(Request(scope, receive))
        await response(scope, receive, send)

    return answer


def _wants_page(scope: Any) -> bool:
    path = scope["path"]
    beside = path == "/v3" or path.startswith(("/v3/", "/media/", "/health", "/webhooks"))
    return not beside and any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def description() -> bytes:
    """The OpenAPI description of the API, as JSON."""
    return msgspec.json.encode(describe(OPERATIONS, MAY_CALL, version("ticketing"), TAGS))


def _allow_origins(app: Any, settings: Settings) -> Any:
    """The application as browsers of the settings' origins may call it."""
    if not settings.cors_origins:
        return app
    return CORSMiddleware(
        app,
        allow_origin_regex="|".join(_origin_pattern(origin.strip()) for origin in settings.cors_origins.split(",")),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Content-Type", "X-API-Key", "X-Client-Version", "Idempotency-Key"],
        expose_headers=[
            "X-Request-ID",
            "Retry-After",
            "RateLimit-Limit",
            "RateLimit-Remaining",
            "RateLimit-Reset",
            "Idempotency-Replayed",
        ],
    )


def _origin_pattern(origin: str) -> str:
    """A regular expression of an origin; `*` in place of the port stands for any."""
    if origin == "*":
        return ".*"
    host, any_port, _ = origin.partition(":*")
    return re.escape(host) + (r"(:\d+)?" if any_port else "")


async def _wrong_method(_request: Request, error: Exception) -> Response:
    headers = dict(getattr(error, "headers", None) or {})
    return JSONResponse(WrongMethod().body(), 405, headers)


async def _crash(_request: Request, _error: Exception) -> Response:
    return JSONResponse(CRASH, 500)


_app: Edge | None = None


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The application as an ASGI server imports it: settings from the environment, built on first use."""
    global _app
    if _app is None:
        settings = read_settings()
        configure_logs(settings.log_format)
        _app = build_app(settings)
    await _app(scope, receive, send)
