"""Changing hosts and who runs them."""

from typing import Any

from ticketing.kit.collation import sort_key
from ticketing.kit.database import Connection
from ticketing.kit.identity import identity
from ticketing.kit.searching import fold
from ticketing.kit.vault import Vault
from ticketing.sessions.gate_keys import renew_tokens_of
from ticketing.web.errors import Taken

from .errors import LastAdministrator

# Members of a body and their columns, in the order of the resource.
_COLUMNS = {
    "name": "name",
    "contact": "contact",
    "email": "email",
    "description": "description",
    "phone": "phone",
    "website": "website",
    "country": "country",
    "firstAddressLine": "first_address_line",
    "secondAddressLine": "second_address_line",
    "city": "city",
    "state": "state",
    "businessNo": "business_number",
    "contactsAtGates": "contacts_at_gates",
}
_WRITTEN = (*_COLUMNS.values(), "name_key", "name_sort", "search_text")
_INSERT = (
    f"INSERT INTO hosts (id, {', '.join(_WRITTEN)})"
    f" VALUES ($1, {', '.join(f'${place}' for place in range(2, len(_WRITTEN) + 2))})"
)
_UPDATE = (
    "UPDATE hosts SET "
    + ", ".join(f"{column} = coalesce(${place}, {column})" for place, column in enumerate(_WRITTEN, 2))
    + " WHERE id = $1"
)


async def ensure_name_free(db: Connection, name: str | None, *, but: int | None = None) -> None:
    """Raise Taken when another host bears the name."""
    if name is not None and await db.fetchval(
        "SELECT true FROM hosts WHERE name_key = $1 AND removed_at IS NULL AND id IS DISTINCT FROM $2",
        identity(name),
        but,
    ):
        raise Taken("host", {"name": name})


async def create_host(db: Connection, host_id: int, values: dict[str, Any], founder: int) -> None:
    """Write a new host, administered by the account that founds it."""
    await db.execute(_INSERT, host_id, *(values[member] for member in _COLUMNS), *_name_keys(values["name"]))
    await add_administrator(db, host_id, founder)


async def update_host(db: Connection, host_id: int, values: dict[str, Any]) -> None:
    """Replace what is given; the rest keeps its value."""
    await db.execute(_UPDATE, host_id, *(values.get(member) for member in _COLUMNS), *_name_keys(values["name"]))


def _name_keys(name: str) -> tuple[str, bytes, str]:
    """What a name is found, sorted and searched by."""
    return identity(name), sort_key(name), fold(name)


async def remove_host(db: Connection, host_id: int) -> None:
    """Remove a host; its events stay, run by the same people, and sold tickets stay valid."""
    await db.execute("UPDATE hosts SET removed_at = clock() WHERE id = $1", host_id)


async def add_administrator(db: Connection, host_id: int, account_id: int) -> bool:
    """Let the account run the host; False when it could already."""
    status = await db.execute(
        "INSERT INTO host_administrators (host_id, account_id, added_at) VALUES ($1, $2, clock())"
        " ON CONFLICT DO NOTHING",
        host_id,
        account_id,
    )
    return status == "INSERT 0 1"


async def remove_administrator(db: Connection, vault: Vault, host_id: int, account_id: int) -> None:
    """Take the host out of the account's hands; the host is locked, so that two cannot leave at once.

    The gate codes of its events are renewed: the account could read them.

    Raises LastAdministrator when nobody else would be left.
    """
    if not await db.fetchval(
        "SELECT true FROM host_administrators administrator JOIN accounts account"
        " ON account.id = administrator.account_id"
        " WHERE administrator.host_id = $1 AND account.removed_at IS NULL AND account.activated"
        " AND account.id <> $2 LIMIT 1",
        host_id,
        account_id,
    ):
        raise LastAdministrator
    await db.execute("DELETE FROM host_administrators WHERE host_id = $1 AND account_id = $2", host_id, account_id)
    await renew_tokens_of(db, vault, [host_id])
