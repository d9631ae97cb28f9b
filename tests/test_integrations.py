"""Integrations: keys for programs."""

import re

import asyncpg
import pytest

from conftest import NEW_IDS, SECRET, Client, unique
from ticketing.kit.vault import Vault, hash_key
from ticketing.sessions.gate_keys import gate_codes
from ticketing.sessions.integrations import create_integration, revoke_integration

GENERAL = {"error": "There is presently no resource with the given URI."}
RESTRICTED = {"message": "You are restricted from accessing this resource."}


async def test_a_key_is_shown_once_and_kept_as_a_hash(administrator: Client, db: asyncpg.Connection) -> None:
    name = unique("Shop")
    made = await administrator.post("/integrations", name=name, access="customer")
    assert made.status == 201
    assert re.fullmatch("[0-9a-f]{32}", made["key"])
    assert made.body == {
        "self": f"/integrations/{made['id']}",
        "id": made["id"],
        "name": name,
        "access": "customer",
        "account": made["account"],
        "key": made["key"],
    }
    shown = {member: value for member, value in made.body.items() if member != "key"}
    assert (await administrator.get(made["self"])).body == shown
    assert shown in (await administrator.get("/integrations", records=500))["entries"]
    assert await db.fetchval("SELECT key_hash FROM integrations WHERE id = $1", int(made["id"])) == hash_key(
        made["key"]
    )


async def test_an_integration_acts_as_an_account_of_its_own(administrator: Client, bob: Client) -> None:
    made = await administrator.post("/integrations", name=unique("Shop"), access="customer")
    shop = Client(administrator.http, made["key"])
    account = await shop.get(f"/accounts/{made['account']}")
    assert account.status == 200
    assert (account["username"], account["role"], account["email"]) == (made["name"], "customer", "")
    assert (await administrator.get(account["self"])).body == account.body
    assert (await bob.get(account["self"])).status == 403
    assert (await shop.get(f"/accounts/{bob.number}")).status == 403
    assert (await administrator.get("/accounts", number=made["account"]))["total"] == 0
    assert (await bob.post("/lookups", identification=made["name"]))["found"] is False
    signed_in = await bob.post("/sessions", identification=made["name"], password="x")
    assert signed_in.status == 404


async def test_a_person_may_bear_the_name_of_an_integration(administrator: Client) -> None:
    name = unique("Shop")
    await administrator.post("/integrations", name=name, access="public")
    person = await administrator.post("/accounts", username=name, email=f"{NEW_IDS.new()}@x.test", password="12345678")
    assert person.status == 201


@pytest.mark.parametrize("access", ["public", "customer", "support", "host", "administrator"])
async def test_its_level_is_what_its_key_opens(administrator: Client, access: str) -> None:
    made = await administrator.post("/integrations", name=unique("Shop"), access=access)
    program = Client(administrator.http, made["key"])
    assert (await program.get("/regions")).status == 200
    assert (await program.get(f"/accounts/{made['account']}")).status == (403 if access == "public" else 200)
    assert (await program.get("/accounts")).status == (200 if access in ("support", "administrator") else 403)
    assert (await program.get("/integrations")).status == (200 if access == "administrator" else 403)


async def test_a_revoked_key_stops_at_once(administrator: Client, db: asyncpg.Connection) -> None:
    name = unique("Shop")
    made = await administrator.post("/integrations", name=name, access="host")
    shop = Client(administrator.http, made["key"])
    assert (await shop.get("/regions")).status == 200
    revoked = await administrator.delete(made["self"], {})
    assert (revoked.status, list(revoked.body)) == (200, ["message"])
    assert (await shop.get("/regions")).body == RESTRICTED
    for again in (await administrator.delete(made["self"]), await administrator.get(made["self"])):
        assert (again.status, again.body) == (404, GENERAL)
    assert (await administrator.get(f"/accounts/{made['account']}")).status == 404
    assert (await administrator.post("/integrations", name=name, access="host")).status == 201
    acts = await db.fetch("SELECT action FROM history WHERE thing = $1 ORDER BY id", made["self"])
    assert [row["action"] for row in acts] == ["integration.created", "integration.revoked"]


async def test_an_integrations_account_goes_with_its_key(administrator: Client) -> None:
    made = await administrator.post("/integrations", name=unique("Shop"), access="customer")
    shop = Client(administrator.http, made["key"])
    assert (await shop.delete(f"/accounts/{made['account']}")).status == 200
    assert (await shop.get("/regions")).body == RESTRICTED
    assert (await administrator.get(made["self"])).status == 404


async def test_what_is_refused(administrator: Client, alice: Client, support: Client) -> None:
    name = unique("Shop")
    await administrator.post("/integrations", name=name, access="public")
    taken = await administrator.post("/integrations", name=name.upper(), access="")
    assert (taken.status, taken.error) == (
        409,
        "The following arguments conflict with those of another integration: name.",
    )
    assert (await administrator.post("/integrations", {})).error == (
        "The following arguments are required, but have not been supplied: name, access."
    )
    assert (await administrator.post("/integrations", name=["x"], access="gate")).error == (
        "The following arguments have invalid values: name, access."
    )
    for segment in ("1", "x", "%00", "9" * 30, "1%2F2"):
        assert (await administrator.get(f"/integrations/{segment}")).status == 404
        assert (await administrator.delete(f"/integrations/{segment}")).status == 404
    for person in (alice, support):
        assert (await person.post("/integrations", name="x", access="administrator")).body == RESTRICTED


async def test_a_key_may_be_given_by_whoever_runs_the_server(administrator: Client, db: asyncpg.Connection) -> None:
    key = "ab" * 16
    made = await create_integration(db, NEW_IDS.new, unique("Shop"), "support", key=key)
    assert made.key == key
    assert (await Client(administrator.http, key).get("/accounts")).status == 200
    await revoke_integration(db, gate_codes(Vault(SECRET)), int(made.id))
    with pytest.raises(ValueError, match="32 lower-case hex"):
        await create_integration(db, NEW_IDS.new, "x", "support", key="AB" * 16)
