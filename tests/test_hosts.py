"""Hosts: who stages events, and who may run them."""

import asyncio
from typing import Any

import asyncpg
import pytest

from conftest import Client, MakePerson, unique
from makers import id_of, make_host
from ticketing.hosts.errors import NotHostAdministrator
from ticketing.hosts.queries import ensure_administers
from ticketing.hosts.rules import is_website
from ticketing.web.callers import Caller, Level

NOT_FOUND = "The specified host could not be found."
STRANGER = "This account is not an administrator for the relevant event host."
NO_ACCOUNT = "The requested account could not be located"
TAKEN = "The following arguments conflict with those of another host: name."
RESTRICTED = {"message": "You are restricted from accessing this resource."}


def whole(name: str) -> dict[str, str]:
    return {
        "name": name,
        "contact": "Alice Joseph",
        "email": "Alice.J@example.com",
        "description": "Nights\nby the sea.",
        "phone": "+1 268 460 1234",
        "website": "www.example.com/nights?year=2034",
        "country": "Antigua and Barbuda",
        "firstAddressLine": "1 High Street",
        "secondAddressLine": "Second Floor",
        "city": "Saint John's",
        "state": "Saint John",
        "businessNo": "AG-0042/b",
    }


async def test_whoever_creates_a_host_administers_it(alice: Client, public: Client) -> None:
    sent = whole(unique("Wadadli Nights"))
    created = await alice.post("/hosts", sent)
    assert created.status == 201
    assert created.body == {"self": created["self"], **sent, "contactsAtGates": False}
    assert (await public.get(created["self"])).body == created.body
    people = await alice.get(f"{created['self']}/administrators")
    assert [person["number"] for person in people["entries"]] == [alice.number]
    assert people["total"] == 1


async def test_every_missing_and_every_invalid_member_is_named(alice: Client) -> None:
    missing = await alice.post("/hosts", name="", email=None, phone=7)
    assert missing.status == 400
    assert missing.error == "The following arguments are required, but have not been supplied: name, contact, email."
    invalid = await alice.post(
        "/hosts",
        name=unique("Host"),
        contact={},
        email="nobody",
        phone="call me",
        website="javascript:alert(1)",
        country="Atlantis",
        city="x" * 201,
        businessNo="\x00",
    )
    assert (invalid.status, invalid.error) == (
        400,
        "The following arguments have invalid values: contact, email, phone, website, country, city, businessNo.",
    )


async def test_a_name_is_one_hosts_alone(alice: Client, bob: Client) -> None:
    host, other = await make_host(alice), await make_host(bob)
    for refused in (
        await bob.post("/hosts", name=host["name"].upper()),
        await bob.put(other["self"], name=host["name"], email=""),
    ):
        assert (refused.status, refused.error) == (409, TAKEN)
    kept = await alice.put(host["self"], name=host["name"].upper(), contact="A", email="a@example.com")
    assert (kept.status, kept["name"]) == (200, host["name"].upper())


async def test_put_replaces_keeps_and_clears(alice: Client) -> None:
    host = (await alice.post("/hosts", whole(unique("Host")))).body
    changed = await alice.put(
        host["self"], name=host["name"], contact="Bob", email="b@example.com", city="", country=None, state="New"
    )
    assert changed.status == 200
    assert changed.body == {
        **host,
        "contact": "Bob",
        "email": "b@example.com",
        "city": "",
        "country": "",
        "state": "New",
    }
    refused = await alice.put(host["self"], name=host["name"], contact="Bob")
    assert refused.error == "The following arguments are required, but have not been supplied: email."


async def test_a_stranger_is_refused_after_404_and_before_everything_else(
    alice: Client, bob: Client, support: Client, administrator: Client, public: Client
) -> None:
    host = await make_host(alice)
    path = host["self"]
    for person in (bob, support):
        for refused in (
            await person.put(path, name=""),
            await person.delete(path),
            await person.get(f"{path}/administrators"),
            await person.post(f"{path}/administrators", account=""),
            await person.delete(f"{path}/administrators/{alice.number}"),
        ):
            assert (refused.status, refused.error) == (403, STRANGER)
    assert (await public.put(path, name="")).body == RESTRICTED
    assert (await administrator.put(path, name=host["name"], contact="A", email="a@example.com")).status == 200
    assert (await administrator.get(f"{path}/administrators")).status == 200


@pytest.mark.parametrize("segment", ["1", "undefined", "9" * 30, "%00", "é", "-1", "1.0"])
async def test_what_is_no_host_is_not_found(alice: Client, segment: str) -> None:
    path = f"/hosts/{segment}"
    for refused in (
        await alice.get(path),
        await alice.put(path, name=""),
        await alice.delete(path),
        await alice.get(f"{path}/administrators"),
        await alice.post(f"{path}/administrators"),
        await alice.delete(f"{path}/administrators/{alice.number}"),
    ):
        assert (refused.status, refused.error) == (404, NOT_FOUND)


async def test_a_removed_host_is_gone_but_its_administrators_keep_its_events(
    alice: Client, bob: Client, public: Client, db: asyncpg.Connection
) -> None:
    host = await make_host(alice)
    gone = await alice.delete(host["self"])
    assert (gone.status, list(gone.body)) == (200, ["message"])
    for again in (await public.get(host["self"]), await alice.delete(host["self"])):
        assert (again.status, again.error) == (404, NOT_FOUND)
    assert (await public.get("/hosts", name=host["name"]))["entries"] == []
    assert host["self"] not in [one["self"] for one in (await alice.get(f"/accounts/{alice.number}/hosts"))["entries"]]
    assert (await make_host(bob, name=host["name"]))["self"] != host["self"]
    await ensure_administers(db, Caller(Level.CUSTOMER, b"", alice.id), int(id_of(host)))
    with pytest.raises(NotHostAdministrator):
        await ensure_administers(db, Caller(Level.CUSTOMER, b"", bob.id), int(id_of(host)))


async def test_hosts_are_filtered_and_sorted(make_person: MakePerson, public: Client) -> None:
    carol = await make_person("carol")
    mark = unique("mark")
    late = await make_host(carol, name=f"zebra {mark}", country="Vietnam")
    early = await make_host(carol, name=f"Antelope {mark}", country="France")
    middle = await make_host(carol, name=f"beaver {mark}", country="Vietnam")

    async def names(**query: Any) -> list[str]:
        return [one["name"] for one in (await public.get("/hosts", account=carol.number, **query))["entries"]]

    assert await names() == [late["name"], early["name"], middle["name"]]
    assert await names(sort="alphabetical") == [early["name"], middle["name"], late["name"]]
    assert await names(sort="alphabetical", order="desc") == [late["name"], middle["name"], early["name"]]
    assert await names(country="Vietnam") == [late["name"], middle["name"]]
    assert await names(name=early["name"]) == [early["name"]]
    assert await names(name="nobody") == []
    assert (await public.get("/hosts", account="XX-00000000"))["total"] == 0
    refused = await public.get("/hosts", city="x")
    assert refused.error == "The collection does not support the following filters: city."
    assert (await public.get("/hosts", sort="name")).error == "The collection cannot be sorted by name."


async def let_in(host: dict[str, Any], inviter: Client, person: Client) -> None:
    """Somebody is asked to run the host, and says yes."""
    asked = await inviter.post(f"{host['self']}/administrators", account=person.number)
    assert (asked.status, asked["accepted"]) == (201, False)
    assert (await person.post(f"{asked_uri(host, person)}/acceptances")).status == 201


def asked_uri(host: dict[str, Any], person: Client) -> str:
    return f"{host['self']}/administrators/{person.number}"


async def test_alice_lets_bob_in_and_leaves(make_person: MakePerson) -> None:
    alice, bob = await make_person("alice"), await make_person("bob")
    host = await make_host(alice)
    people = f"{host['self']}/administrators"
    asked = await alice.post(people, account=bob.number)
    nothing_else = {"self": f"/accounts/{bob.number}", "number": bob.number, "username": bob.username}
    assert (asked.status, asked.body) == (201, nothing_else | {"accepted": False})
    assert [one["accepted"] for one in (await alice.get(people))["entries"]] == [True, False]
    assert (await bob.get(people)).error == STRANGER
    (invitation,) = (await bob.get(f"/accounts/{bob.number}/invitations"))["entries"]
    assert invitation["host"] == host
    added = await bob.post(invitation["acceptances"])
    assert added.status == 201
    assert added.body == {
        "self": f"/accounts/{bob.number}",
        "number": bob.number,
        "username": bob.username,
        "accepted": True,
        "email": bob.email,
        "firstName": "Bob",
        "lastName": "Tester",
    }
    assert (await bob.post(invitation["acceptances"])).body == added.body
    assert (await bob.get(f"/accounts/{bob.number}/invitations"))["total"] == 0
    again = await bob.post(people, account=bob.number.lower())
    assert (again.status, again.body) == (201, added.body)
    assert [one["number"] for one in (await bob.get(people))["entries"]] == [alice.number, bob.number]
    assert (await bob.delete(f"{people}/{alice.number}")).status == 200
    assert (await alice.get(people)).error == STRANGER
    last = await bob.delete(f"{people}/{bob.number}")
    assert (last.status, last.error) == (409, "The last administrator of an event host cannot be removed.")
    assert (await bob.get(people))["total"] == 1


async def test_two_who_leave_at_once_do_not_both_leave(make_person: MakePerson) -> None:
    alice, bob = await make_person("alice"), await make_person("bob")
    host = await make_host(alice)
    people = f"{host['self']}/administrators"
    await let_in(host, alice, bob)
    answers = await asyncio.gather(
        alice.delete(f"{people}/{alice.number}"),
        bob.delete(f"{people}/{bob.number}"),
    )
    assert sorted(answer.status for answer in answers) == [200, 409]


async def test_of_two_hosts_of_one_name_at_once_one_is_refused(alice: Client, bob: Client) -> None:
    name = unique("Twice")
    body = {"name": name, "contact": "A", "email": "a@example.com"}
    answers = await asyncio.gather(*(person.post("/hosts", body) for person in (alice, bob, alice, bob)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert {answer.error for answer in answers if answer.status == 409} == {TAKEN}


async def test_who_is_no_account_cannot_be_added_or_removed(alice: Client, bob: Client) -> None:
    people = f"{(await make_host(alice))['self']}/administrators"
    missing = await alice.post(people)
    assert missing.error == "The following arguments are required, but have not been supplied: account."
    assert (await alice.post(people, account=7)).error == "The following arguments have invalid values: account."
    for refused in (
        await alice.post(people, account="XX-00000000"),
        await alice.post(people, account="nobody"),
        await alice.delete(f"{people}/XX-00000000"),
        await alice.delete(f"{people}/%00"),
        await alice.delete(f"{people}/{bob.number}"),
    ):
        assert (refused.status, refused.error) == (404, NO_ACCOUNT)


async def test_an_account_that_is_gone_does_not_count_as_an_administrator(
    make_person: MakePerson, db: asyncpg.Connection
) -> None:
    dave, erin = await make_person("dave"), await make_person("erin")
    host = await make_host(dave)
    people = f"{host['self']}/administrators"
    await let_in(host, dave, erin)
    await db.execute("UPDATE accounts SET removed_at = clock() WHERE id = $1", erin.id)
    assert [one["number"] for one in (await dave.get(people))["entries"]] == [dave.number]
    assert (await dave.delete(f"{people}/{dave.number}")).status == 409
    assert (await dave.delete(f"{people}/{erin.number}")).error == NO_ACCOUNT


async def test_managed_hosts_are_the_accounts_own_matter(
    make_person: MakePerson, support: Client, administrator: Client, public: Client
) -> None:
    frank, grace = await make_person("frank"), await make_person("grace")
    first, second = await make_host(frank), await make_host(grace)
    await let_in(second, grace, frank)
    path = f"/accounts/{frank.number}/hosts"
    for reader in (frank, support, administrator):
        answer = await reader.get(path)
        assert (answer.status, answer["total"], answer["entries"]) == (200, 2, [first, second])
    stranger = await grace.get(path)
    assert (stranger.status, stranger.error) == (
        403,
        "You are not authorised to access or modify this account.",
    )
    assert (await public.get(path)).body == RESTRICTED
    unknown = await frank.get("/accounts/XX-00000000/hosts")
    assert (unknown.status, unknown.error) == (404, NO_ACCOUNT)


async def test_what_was_done_is_remembered(alice: Client, bob: Client, db: asyncpg.Connection) -> None:
    host = await make_host(alice)
    people = f"{host['self']}/administrators"
    await alice.post(people, account=bob.number)
    await let_in(host, alice, bob)
    await alice.delete(f"{people}/{bob.number}")
    await alice.delete(host["self"])
    rows = await db.fetch("SELECT action, account_id FROM history WHERE thing = $1 ORDER BY id", host["self"])
    assert [row["action"] for row in rows] == [
        "host.created",
        "host.administrator_invited",
        "host.administrator_added",
        "host.administrator_removed",
        "host.removed",
    ]
    assert [row["account_id"] for row in rows] == [alice.id, alice.id, bob.id, alice.id, alice.id]


@pytest.mark.parametrize("text", ["example.com", "HTTPS://example.com:8080/a?b#c", "http://localhost", "café.fr"])
def test_websites(text: str) -> None:
    assert is_website(text)


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "ftp://example.com", "a b", "mailto:a@b.c", "data:text/html,x"]
)
def test_what_is_no_website(text: str) -> None:
    assert not is_website(text)


async def test_an_invitation_binds_nobody_until_it_is_accepted(
    make_person: MakePerson, administrator: Client, db: asyncpg.Connection
) -> None:
    alice, bob, carol = await make_person("alice"), await make_person("bob"), await make_person("carol")
    host = await make_host(alice)
    uri = asked_uri(host, bob)
    assert (await bob.post(f"{uri}/acceptances")).error == NO_ACCOUNT
    await alice.post(f"{host['self']}/administrators", account=bob.number)
    await alice.post(f"{host['self']}/administrators", account=bob.number)
    letters = "SELECT count(*) FROM mails WHERE letter = 'host_invitation' AND account_id = $1"
    assert await db.fetchval(letters, bob.id) == 1
    assert (await bob.get(f"/accounts/{bob.number}/hosts"))["total"] == 0
    assert (await bob.put(host["self"], name="Mine", contact="B", email="b@example.com")).error == STRANGER
    for person in (alice, carol, administrator):
        assert (await person.post(f"{uri}/acceptances")).status == 403
    assert (await carol.delete(uri)).error == STRANGER
    assert (await bob.delete(uri)).status == 200  # no, thank you
    assert (await bob.post(f"{uri}/acceptances")).error == NO_ACCOUNT
    await alice.post(f"{host['self']}/administrators", account=bob.number)
    assert (await alice.delete(uri)).status == 200
    added = await administrator.post(f"{host['self']}/administrators", account=bob.number)
    assert (added.status, added["accepted"]) == (201, True)


async def test_a_closed_account_does_not_count_as_an_administrator(
    make_person: MakePerson, administrator: Client
) -> None:
    alice, bob = await make_person("alice"), await make_person("bob")
    host = await make_host(alice)
    await let_in(host, alice, bob)
    assert (await administrator.post(f"/accounts/{bob.number}/toggles", reason="Fraud")).status == 201
    assert (await alice.delete(asked_uri(host, alice))).status == 409
