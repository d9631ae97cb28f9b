"""The keys that tickets are signed with: made once, published, rotated; the document that tells gates."""

import asyncio
import base64
import json
import re
import urllib.request
from pathlib import Path
from typing import Any
from unittest import mock

import asyncpg
import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from conftest import SECRET, scratch_database
from test_serving import command
from ticketing.kit.vault import Vault
from ticketing.tickets.keys import SealedKey, find_public_keys, key_id, list_keys, rotate_key, signing_key
from ticketing.tickets.payloads import Claim, sign

PAGE = "/.well-known/ticketing-keys.json"
DOCUMENT = Path(__file__).parent.parent / "docs" / "tickets.md"
VAULT = Vault(SECRET)
CLAIM = Claim("DAWIER-BACK75580348", 17325458293736, 2033323200)


async def test_two_that_need_the_first_key_use_the_same(postgres: str) -> None:
    async with scratch_database(postgres) as dsn, asyncpg.create_pool(dsn, min_size=8, max_size=8) as pool:

        async def ask() -> str:
            async with pool.acquire() as db:
                return (await signing_key(db, VAULT)).id

        assert len({*await asyncio.gather(*(ask() for _ in range(8)))}) == 1
        async with pool.acquire() as db:
            assert await db.fetchval("SELECT count(*) FROM ticket_keys") == 1


async def test_the_private_key_is_in_the_database_under_seal(db: asyncpg.Connection) -> None:
    key = await signing_key(db, VAULT)
    stored = await db.fetchval("SELECT private_key_encrypted FROM ticket_keys WHERE id = $1", key.id)
    raw = key.private.private_bytes_raw()
    assert raw not in stored
    assert raw.hex().encode() not in stored
    with pytest.raises(SealedKey, match="a secret that is not the server's"):
        await signing_key(db, Vault("another secret of this server, long enough"))


async def test_the_keys_are_there_for_everybody_before_the_first_ticket(http: httpx.AsyncClient) -> None:
    answer = await http.get(PAGE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwk-set+json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("OKP", "Ed25519", "sig", "EdDSA")
    assert key["kid"] == _thumbprint(key)[: len(key["kid"])]
    assert (await http.head(PAGE)).status_code == 200
    assert (await http.post(PAGE)).status_code == 405


def _thumbprint(key: dict[str, str]) -> str:
    """RFC 7638, in base 32, by another way than ours."""
    canonical = json.dumps({name: key[name] for name in ("crv", "kty", "x")}, separators=(",", ":"), sort_keys=True)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(canonical.encode())
    return base64.b32encode(digest.finalize()).decode()


async def test_the_document_verifies_what_the_server_signs(http: httpx.AsyncClient, db: asyncpg.Connection) -> None:
    (example,) = re.findall(r"<!-- verify a payload -->\n```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    gate: dict[str, Any] = {}
    exec(compile(example, str(DOCUMENT), "exec"), gate)  # noqa: S102 - it is ours
    page = await http.get(PAGE)
    with mock.patch.object(urllib.request, "urlopen") as fetched:
        fetched.return_value.__enter__.return_value.read.return_value = page.content
        keys = gate["read_keys"]("http://tickets.test")
    fetched.assert_called_once_with(f"http://tickets.test{PAGE}")
    ours = await signing_key(db, VAULT)
    payload = sign(CLAIM, ours.id, ours.private)
    assert gate["verify"](payload, keys) == tuple(CLAIM)
    with pytest.raises(InvalidSignature):
        gate["verify"](payload.replace("BACK", "VIPS"), keys)


async def test_rotation_keeps_old_tickets_good_unless_the_key_leaked(postgres: str) -> None:
    async with scratch_database(postgres) as dsn:
        connection = await asyncpg.connect(dsn)
        assert await command("ticket-keys", "rotate", DATABASE_URL=dsn) == (0, "There was no key yet.")
        first = await signing_key(connection, VAULT)
        assert (await command("ticket-keys", "list", DATABASE_URL=dsn))[1].startswith(f"{first.id}  signs ")
        code, said = await command("ticket-keys", "rotate", DATABASE_URL=dsn)
        assert (code, said) == (0, f"{first.id} signs no more tickets, and still verifies those it signed.")
        second = await signing_key(connection, VAULT)
        assert set(await find_public_keys(connection, [first.id, second.id, "nobody's"])) == {first.id, second.id}
        code, said = await command("ticket-keys", "rotate", "--leaked", DATABASE_URL=dsn)
        assert said.startswith(f"{second.id} is no longer trusted")
        assert set(await find_public_keys(connection, [first.id, second.id])) == {first.id}
        assert [(key.id, key.state) for key in await list_keys(connection)] == [
            (second.id, "distrusted"),
            (first.id, "verifies"),
        ]
        third = await signing_key(connection, VAULT)
        assert third.id == key_id(third.private.public_key().public_bytes_raw())
        assert await rotate_key(connection) == third.id
        acts = await connection.fetch("SELECT action FROM history ORDER BY id")
        assert [row["action"] for row in acts] == ["ticket_key.retired", "ticket_key.distrusted"]
        await connection.close()
