"""Integrations over HTTP."""

from ticketing.accounts.gates import GateCodes
from ticketing.history import recording as history
from ticketing.kit import ids
from ticketing.web.errors import Taken
from ticketing.web.operations import Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import integrations, queries
from .schemas import INTEGRATION, Integration

operations = Operations("API Integrations")


@operations("GET /integrations", answers=Page[Integration], listing=queries.INTEGRATIONS)
async def list_integrations(call: Call) -> Reply:
    """List integrations."""
    async with call.reading() as db:
        return Reply(await queries.INTEGRATIONS.page(db, call.query, where=queries.NOT_REVOKED))


@operations(
    "POST /integrations",
    answers=Integration,
    status=201,
    form=INTEGRATION,
    errors=[Taken("integration", {"name": "Ticket shop"})],
    carries_key=True,
)
async def create_integration(call: Call) -> Reply:
    """Create new integration token.

    A key for a program, with an access level of its own; it is shown in this answer only. What the program does, it
    does as an account of its own.
    """
    body = call.json()
    async with call.transaction() as db:
        await integrations.ensure_name_free(db, INTEGRATION.text(body, "name"))
        values = await INTEGRATION.read(body, db)
        integration = await integrations.create_integration(db, call.new_id, values["name"], values["access"])
        await history.record(
            db, call.new_id(), call.caller, "integration.created", integration.uri, access=integration.access
        )
        return created(integration)


@operations("GET /integrations/{integration}", answers=Integration)
async def retrieve_integration(call: Call) -> Reply:
    """Retrieve integration details.

    The key is not among them: it was shown once.
    """
    async with call.reading() as db:
        return Reply(await queries.get_integration(db, ids.parse(call.path["integration"])))


@operations("DELETE /integrations/{integration}")
async def revoke_integration(call: Call) -> Reply:
    """Revoke an integration.

    Its key is refused everywhere at once.
    """
    integration_id = ids.parse(call.path["integration"])
    async with call.transaction() as db:
        await integrations.revoke_integration(db, call.the(GateCodes), integration_id)
        await history.record(db, call.new_id(), call.caller, "integration.revoked", f"/integrations/{integration_id}")
    return done("The integration was revoked.")
