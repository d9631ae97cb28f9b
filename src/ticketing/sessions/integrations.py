"""Making and revoking integrations."""

import re
from collections.abc import Callable

import msgspec

from ticketing.accounts.actions import create_integration_account
from ticketing.accounts.gates import GateCodes
from ticketing.kit.database import Connection
from ticketing.kit.identity import identity
from ticketing.kit.vault import hash_key
from ticketing.web.callers import announce
from ticketing.web.errors import NotFound, Taken

from .actions import new_key
from .queries import get_integration
from .schemas import Integration

_KEY = re.compile(r"[0-9a-f]{32}")


async def ensure_name_free(db: Connection, name: str | None) -> None:
    """Raise Taken when another integration bears the name, in any case."""
    if name is not None and await db.fetchval(
        "SELECT true FROM integrations WHERE name_key = $1 AND revoked_at IS NULL", identity(name)
    ):
        raise Taken("integration", {"name": name})


async def create_integration(
    db: Connection, new_id: Callable[[], int], name: str, access: str, *, key: str | None = None
) -> Integration:
    """Make a key for a program, with an account of its own to act as; the answer is the only one to show the key.

    Raises ValueError when a given key is not 32 lower-case hex characters.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise ValueError("A key is 32 lower-case hex characters.")
    key = key or new_key()
    integration_id, account_id = new_id(), new_id()
    await create_integration_account(db, account_id, name, access)
    await db.execute(
        "INSERT INTO integrations (id, account_id, name, name_key, access, key_hash, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, clock())",
        integration_id,
        account_id,
        name,
        identity(name),
        access,
        hash_key(key),
    )
    return msgspec.structs.replace(await get_integration(db, integration_id), key=key)


async def revoke_integration(db: Connection, gate_codes: GateCodes, integration_id: int | None) -> None:
    """Close an integration: its key stops at once, in every process, and its account is gone.

    The gate codes it could read are renewed. Raises NotFound.
    """
    account_id = await db.fetchval(
        "UPDATE integrations SET revoked_at = clock() WHERE id = $1 AND revoked_at IS NULL RETURNING account_id",
        integration_id,
    )
    if account_id is None:
        raise NotFound
    await db.execute("UPDATE accounts SET removed_at = clock() WHERE id = $1", account_id)
    await gate_codes.renew_known_to(db, account_id)
    await announce(db)
