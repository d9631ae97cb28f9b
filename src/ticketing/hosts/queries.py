"""Reading hosts, and who may run them."""

from ticketing.accounts.queries import short_columns
from ticketing.kit import ids
from ticketing.kit.database import Connection, Row
from ticketing.web.callers import Caller
from ticketing.web.paging import Always, Filter, Listing, exact

from .errors import HostNotFound, NotHostAdministrator
from .schemas import Administrator, Host

COLUMNS = """
host.id AS host_id, host.name AS host_name, host.contact AS host_contact, host.email AS host_email,
host.description AS host_description, host.phone AS host_phone, host.website AS host_website,
host.country AS host_country, host.first_address_line AS host_first_address_line,
host.second_address_line AS host_second_address_line, host.city AS host_city, host.state AS host_state,
host.business_number AS host_business_number, host.contacts_at_gates AS host_contacts_at_gates"""


def build_host(row: Row, prefix: str = "host_") -> Host:
    """A host as the API shows it, of a row that holds COLUMNS (an event's row does)."""
    return Host(
        uri=f"/hosts/{row[prefix + 'id']}",
        name=row[prefix + "name"],
        contact=row[prefix + "contact"],
        email=row[prefix + "email"],
        description=row[prefix + "description"],
        phone=row[prefix + "phone"],
        website=row[prefix + "website"],
        country=row[prefix + "country"],
        first_address_line=row[prefix + "first_address_line"],
        second_address_line=row[prefix + "second_address_line"],
        city=row[prefix + "city"],
        state=row[prefix + "state"],
        business_number=row[prefix + "business_number"],
        contacts_at_gates=row[prefix + "contacts_at_gates"],
    )


_ADMINISTERED_BY = """EXISTS (
    SELECT FROM host_administrators administrator JOIN accounts account ON account.id = administrator.account_id
     WHERE administrator.host_id = host.id AND account.removed_at IS NULL AND account.number = {})"""

HOSTS: Listing[Host] = Listing(
    source="hosts host",
    columns=COLUMNS,
    id="host.id",
    build=build_host,
    filters={
        "account": Filter(_ADMINISTERED_BY, str.upper, "an account number"),
        "name": exact("host.name"),
        "country": exact("host.country"),
    },
    sorts={"alphabetical": Always("host.name_sort")},
)

ACCOUNT_HOSTS: Listing[Host] = Listing(
    source="host_administrators administrator JOIN hosts host ON host.id = administrator.host_id",
    columns=COLUMNS,
    id="host.id",
    build=build_host,
    sorts=HOSTS.sorts,
)


def build_administrator(row: Row) -> Administrator:
    """Who runs a host, or was asked to."""
    number = row["number"]
    if not row["accepted"]:
        return Administrator(f"/accounts/{number}", number, row["username"], False)
    told = (row["email"], row["first_name"], row["last_name"])
    return Administrator(f"/accounts/{number}", number, row["username"], True, *told)


# Nobody may be let in by who may not be in himself any more.
INVITATION_DAYS = 30
IS_INVITED = f"""(invitation.ended_at IS NULL AND invitation.invited_at > clock() - interval '{INVITATION_DAYS} days'
    AND EXISTS (SELECT FROM host_administrators administrator JOIN accounts inviter
                    ON inviter.id = administrator.account_id AND inviter.activated AND inviter.removed_at IS NULL
                 WHERE administrator.host_id = invitation.host_id
                   AND administrator.account_id = invitation.invited_by))"""

ADMINISTRATORS: Listing[Administrator] = Listing(
    source=f"""(
        SELECT host_id, account_id, added_at, true AS accepted FROM host_administrators
        UNION ALL SELECT host_id, account_id, invited_at, false FROM host_invitations invitation
         WHERE {IS_INVITED}) administrator
        JOIN accounts account ON account.id = administrator.account_id""",
    columns=f"{short_columns('account')}, administrator.accepted",
    id="(NOT administrator.accepted, administrator.added_at, account.id)",
    build=build_administrator,
)


async def get_host(db: Connection, segment: str) -> Host:
    """The host with this id. Raises HostNotFound."""
    row = await db.fetchrow(
        f"SELECT {COLUMNS} FROM hosts host WHERE host.id = $1 AND host.removed_at IS NULL", ids.parse(segment)
    )
    if row is None:
        raise HostNotFound
    return build_host(row)


async def find_host(db: Connection, host_id: int) -> int | None:
    """The id again, if a host has it; for references in bodies. It stays until the transaction ends."""
    found: int | None = await db.fetchval(
        "SELECT id FROM hosts WHERE id = $1 AND removed_at IS NULL FOR KEY SHARE", host_id
    )
    return found


async def ensure_administers(db: Connection, caller: Caller, host_id: int, *, locking: bool = False) -> None:
    """Raise NotHostAdministrator when this caller may not act for the host.

    The platform's administrators may. A removed host keeps its administrators, who go on running its events.
    `locking` nobody takes that right away until the transaction ends.
    """
    if caller.administers:
        return
    lock = "FOR SHARE" if locking else ""
    if locking and not await db.fetchval(f"SELECT activated FROM accounts WHERE id = $1 {lock}", caller.account):
        raise NotHostAdministrator
    if caller.account is None or not await db.fetchval(
        f"SELECT true FROM host_administrators WHERE host_id = $1 AND account_id = $2 {lock}", host_id, caller.account
    ):
        raise NotHostAdministrator


async def find_administrator(db: Connection, host_id: int, account_id: int) -> Administrator | None:
    """One of the people who run the host or were asked to, or None when it is none of them."""
    row = await db.fetchrow(
        f"SELECT {ADMINISTRATORS.columns} FROM {ADMINISTRATORS.source}"
        " WHERE administrator.host_id = $1 AND account.id = $2 AND account.removed_at IS NULL",
        host_id,
        account_id,
    )
    return build_administrator(row) if row else None


async def host_for(db: Connection, caller: Caller, segment: str, *, locking: bool = False) -> int:
    """The id of a host that this caller may run; `locking` it stays as it is until the transaction ends.

    Raises HostNotFound, then NotHostAdministrator.
    """
    found = await host_id_of(db, segment, locking=locking)
    await ensure_administers(db, caller, found)
    return found


async def host_id_of(db: Connection, segment: str, *, locking: bool = False) -> int:
    """The id of a host; `locking` it stays as it is until the transaction ends. Raises HostNotFound."""
    found: int | None = await db.fetchval(
        f"SELECT id FROM hosts WHERE id = $1 AND removed_at IS NULL {'FOR UPDATE' if locking else ''}",
        ids.parse(segment),
    )
    if found is None:
        raise HostNotFound
    return found
