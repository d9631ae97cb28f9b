"""What a customer needs at his bank is for him alone: the database, and whoever has a copy of it, sees it sealed."""

import base64
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidTag

from ticketing.kit.database import Connection, Row
from ticketing.kit.sealed import Sealed, Values
from ticketing.kit.vault import Vault

from . import Action

_PURPOSE = "payment action"
_SEALED = "sealed:"


def seal(vault: Vault, action: Action) -> Action:
    """The action as it is written down."""
    return _with_sealed(action, vault.encrypt(_PURPOSE, action.client_secret))


def unseal(vault: Vault, action: Action | None) -> Action | None:
    """The action as its customer sees it; without its secret when the server's was lost meanwhile."""
    if action is None or not action.client_secret.startswith(_SEALED):
        return action
    try:
        secret = vault.decrypt(_PURPOSE, _sealed_in(action))
    except InvalidTag:
        secret = ""
    return msgspec.structs.replace(action, client_secret=secret)


def _with_sealed(action: Action, sealed: bytes) -> Action:
    return msgspec.structs.replace(action, client_secret=_SEALED + base64.b64encode(sealed).decode())


def _sealed_in(action: Action) -> bytes:
    return base64.b64decode(action.client_secret.removeprefix(_SEALED))


def _seal_anew(vault: Vault, payment: Row) -> Values | None:
    action = msgspec.json.decode(payment["action"], type=Action)
    sealed = vault.encrypt_anew(_PURPOSE, _sealed_in(action))
    return sealed and (msgspec.json.encode(_with_sealed(action, sealed)).decode(),)


async def _lose(db: Connection, _vault: Vault, payments: Sequence[Row]) -> None:
    await db.execute(
        """UPDATE payments SET action = jsonb_set(action, '{clientSecret}', '""') WHERE id = ANY($1::bigint[])""",
        [payment["id"] for payment in payments],
    )


SEALED = Sealed(
    name="payments that wait for the customer's bank",
    table="payments",
    key={"id": "bigint"},
    columns={"action": "jsonb"},
    live=f"status = 'Pending' AND starts_with(action->>'clientSecret', '{_SEALED}')",
    thing="format('payment %s', id)",
    loss="cannot be confirmed any more: they end by themselves, and their customers pay anew",
    anew=_seal_anew,
    lose=_lose,
)
