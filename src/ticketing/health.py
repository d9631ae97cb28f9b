"""Whether this process lives, and whether it is ready for customers; outside /v3 and without a key."""

import asyncio

import asyncpg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .kit.database import Database
from .kit.operations import Services
from .migrations import newest

ANSWER_SECONDS = 3


def routes(services: Services) -> list[BaseRoute]:
    """`/health/live` and `/health/ready`."""

    async def ready(_request: Request) -> Response:
        checks = await _checks(services.the(Database))
        ok = all(check["ok"] for check in checks.values())
        return JSONResponse({"ready": ok, "checks": checks}, 200 if ok else 503)

    return [Route("/health/live", _live), Route("/health/ready", ready)]


async def _live(_request: Request) -> Response:
    return JSONResponse({"live": True})


async def _checks(database: Database) -> dict[str, dict[str, object]]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS), database.reading() as db:
            revision = await db.fetchval("SELECT version_num FROM alembic_version")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        return {"database": {"ok": False, "reason": "The database does not answer."}}
    wanted = newest()
    migrations: dict[str, object] = {"ok": revision == wanted, "revision": revision}
    if revision != wanted:
        migrations["reason"] = f"The database is at {revision}, this version needs {wanted}: run `ticketing migrate`."
    return {"database": {"ok": True}, "migrations": migrations}
