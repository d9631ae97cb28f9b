"""The keys that tickets are signed with.

One signs; those before it still verify, unless they leaked. A private key is kept encrypted with the server's secret:
it can be had neither from the database alone nor from the secret alone, and a lost secret loses no old ticket.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ticketing.kit.database import Connection, Row
from ticketing.kit.sealed import Sealed, Values
from ticketing.kit.vault import Vault

KEY_LETTERS = 8
_PURPOSE = "ticket key"


class SealedKey(RuntimeError):
    """No secret of the server opens the key."""


class SigningKey(NamedTuple):
    """What signs tickets now."""

    id: str
    private: Ed25519PrivateKey


class TicketKey(NamedTuple):
    """A key as operators see it. `state`: signs, verifies, distrusted; `made` is a moment in UTC."""

    id: str
    state: str
    made: str


async def signing_key(db: Connection, vault: Vault) -> SigningKey:
    """The key that signs now; made when there is none. Two that make one at the same time use the same.

    Raises SealedKey.
    """
    row = await _ensure_signing(db, vault)
    try:
        sealed = vault.decrypt(_PURPOSE, row["private_key_encrypted"])
    except InvalidTag:
        raise SealedKey(
            "The key of tickets is sealed with a secret that is not the server's; `ticketing doctor` knows more."
        ) from None
    return SigningKey(row["id"], Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sealed)))


_FIND_SIGNING = "SELECT id, private_key_encrypted FROM ticket_keys WHERE retired_at IS NULL"


async def _ensure_signing(db: Connection, vault: Vault) -> Row:
    row = await db.fetchrow(_FIND_SIGNING)
    if row is None:
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        await db.execute(
            "INSERT INTO ticket_keys (id, public_key, private_key_encrypted, made_at) VALUES ($1, $2, $3, clock())"
            " ON CONFLICT DO NOTHING",
            key_id(public),
            public,
            vault.encrypt(_PURPOSE, private.private_bytes_raw().hex()),
        )
        row = await db.fetchrow(_FIND_SIGNING)
    if row is None:
        raise RuntimeError("the key of tickets was retired as soon as it was made")
    return row


async def find_public_keys(db: Connection, key_ids: Iterable[str]) -> dict[str, bytes]:
    """The keys of these ids that verify, 32 bytes each."""
    rows = await db.fetch(
        "SELECT id, public_key FROM ticket_keys WHERE id = ANY($1::text[]) AND distrusted_at IS NULL",
        list(set(key_ids)),
    )
    return {row["id"]: row["public_key"] for row in rows}


async def read_key_set(db: Connection, vault: Vault) -> dict[str, list[dict[str, str]]]:
    """Every key that verifies, the newest first, as a JWK Set (RFC 7517, 8037)."""
    await _ensure_signing(db, vault)
    rows = await db.fetch(
        "SELECT id, public_key FROM ticket_keys WHERE distrusted_at IS NULL ORDER BY made_at DESC, id"
    )
    return {"keys": [{**_jwk(row["public_key"]), "kid": row["id"], "use": "sig", "alg": "EdDSA"} for row in rows]}


async def list_keys(db: Connection) -> list[TicketKey]:
    """All keys, the newest first."""
    rows = await db.fetch(
        "SELECT id, to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS made,"
        " CASE WHEN distrusted_at IS NOT NULL THEN 'distrusted' WHEN retired_at IS NOT NULL THEN 'verifies'"
        " ELSE 'signs' END AS state FROM ticket_keys ORDER BY made_at DESC, id"
    )
    return [TicketKey(row["id"], row["state"], row["made"]) for row in rows]


async def rotate_key(db: Connection, *, leaked: bool = False) -> str | None:
    """Let the next ticket be signed with a new key; the id of the one before, None when there was none.

    The old key still verifies, unless it leaked: then no ticket that it signed opens a gate by its QR code.
    """
    retired: str | None = await db.fetchval(
        "UPDATE ticket_keys SET retired_at = clock(), distrusted_at = CASE WHEN $1 THEN clock() END"
        " WHERE retired_at IS NULL RETURNING id",
        leaked,
    )
    return retired


def key_id(public: bytes) -> str:
    """The id of a public key: the first letters of its thumbprint (RFC 7638), in base 32."""
    members = _jwk(public)
    canonical = f'{{"crv":"{members["crv"]}","kty":"{members["kty"]}","x":"{members["x"]}"}}'
    return base64.b32encode(hashlib.sha256(canonical.encode()).digest()).decode()[:KEY_LETTERS]


def _jwk(public: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(public).decode().rstrip("=")}


def _seal_anew(vault: Vault, key: Row) -> Values | None:
    sealed = vault.encrypt_anew(_PURPOSE, key["private_key_encrypted"])
    return sealed and (sealed,)


async def _lose(db: Connection, _vault: Vault, _keys: Sequence[Row]) -> None:
    await rotate_key(db)  # there is no other that signs


SEALED = Sealed(
    name="ticket keys",
    table="ticket_keys",
    key={"id": "text"},
    columns={"private_key_encrypted": "bytea"},
    live="retired_at IS NULL",
    thing="format('ticket key %s', id)",
    loss="are retired: the next ticket is signed with a new one, and what they signed stays good",
    anew=_seal_anew,
    lose=_lose,
)
