"""Reading sessions and integrations."""

from ticketing.accounts.errors import NotYourAccount
from ticketing.accounts.queries import get_account
from ticketing.kit import ids
from ticketing.kit.clock import session_stamp
from ticketing.kit.database import Connection, Row
from ticketing.web.callers import Caller
from ticketing.web.errors import NotFound
from ticketing.web.paging import Listing

from .schemas import Integration, PastSession, Session

ENDS_AT = "least(session.idle_until, session.expires_at)"  # when a session ends, if nobody ends it before
IS_OPEN = f"session.ended_at IS NULL AND {ENDS_AT} > clock()"


async def get_session(db: Connection, session_id: int, key: str) -> Session:
    """An open session with its account; `key` is what the answer shows. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT id, account_id, started_at FROM sessions session WHERE id = $1 AND {IS_OPEN}", session_id
    )
    if row is None:
        raise NotFound
    return Session(
        uri=f"/sessions/{row['id']}",
        id=str(row["id"]),
        open=True,
        started=session_stamp(row["started_at"]),
        key=key,
        account=await get_account(db, row["account_id"]),
    )


async def session_for(db: Connection, caller: Caller, segment: str) -> int:
    """The id of an open session of the caller's own account, or of anybody's for an administrator.

    Raises NotFound, NotYourAccount.
    """
    row = await db.fetchrow(
        f"SELECT id, account_id FROM sessions session WHERE id = $1 AND {IS_OPEN}", ids.parse(segment)
    )
    if row is None:
        raise NotFound
    if row["account_id"] != caller.account and not caller.administers:
        raise NotYourAccount
    return int(row["id"])


def _build_past_session(row: Row) -> PastSession:
    return PastSession(
        uri=f"/sessions/{row['id']}",
        id=str(row["id"]),
        open=row["ended_at"] is None,
        ip=row["ip"],
        agent=row["agent"],
        started=session_stamp(row["started_at"]),
        ended=session_stamp(row["ended_at"]) if row["ended_at"] else "",
    )


HISTORY: Listing[PastSession] = Listing(
    source="sessions session",
    columns="session.id, session.ip, session.agent, session.started_at,"
    f" coalesce(session.ended_at, CASE WHEN {ENDS_AT} <= clock() THEN {ENDS_AT} END) AS ended_at",
    id="session.id",
    build=_build_past_session,
)


def _build_integration(row: Row) -> Integration:
    return Integration(
        uri=f"/integrations/{row['id']}",
        id=str(row["id"]),
        name=row["name"],
        access=row["access"],
        account=row["number"],
    )


INTEGRATIONS: Listing[Integration] = Listing(
    source="integrations integration JOIN accounts account ON account.id = integration.account_id",
    columns="integration.id, integration.name, integration.access, account.number",
    id="integration.id",
    build=_build_integration,
)
NOT_REVOKED = "integration.revoked_at IS NULL"


async def get_integration(db: Connection, integration_id: int | None) -> Integration:
    """An integration whose key still opens, without the key. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT {INTEGRATIONS.columns} FROM {INTEGRATIONS.source} WHERE integration.id = $1 AND {NOT_REVOKED}",
        integration_id,
    )
    if row is None:
        raise NotFound
    return _build_integration(row)
