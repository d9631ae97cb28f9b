"""Accounts: registering, reading and changing who one is, and leaving."""

import asyncio
import re

import asyncpg
import pytest

from conftest import NEW_IDS, PASSWORD, SECRET, Client, MakePerson, breaks_by_hand, unique
from mailed import letters
from makers import register
from ticketing.accounts import rules
from ticketing.accounts.actions import set_role
from ticketing.accounts.errors import AccountNotFound, LastAdministrator
from ticketing.kit.vault import Vault
from ticketing.letters.posting import unseal

NOT_LOCATED = "The requested account could not be located"
NOT_YOURS = "You are not authorised to access or modify this account."
RESTRICTED = {"message": "You are restricted from accessing this resource."}


def missing(*names: str) -> str:
    return f"The following arguments are required, but have not been supplied: {', '.join(names)}."


def invalid(*names: str) -> str:
    return f"The following arguments have invalid values: {', '.join(names)}."


def taken(name: str) -> str:
    return f"The following arguments conflict with those of another user: {name}."


def somebody() -> dict[str, str]:
    name = unique("Marvin").replace(" ", "")
    return {"username": name, "email": f"{name}@Example.test", "password": "correct horse"}


# Registering


async def test_anybody_registers_with_a_name_a_password_and_an_address(public: Client, administrator: Client) -> None:
    marvin = somebody()
    added = await public.post("/accounts", marvin)
    assert added.status == 201
    number = added["number"]
    assert re.fullmatch("MA-[0-9A-Z]{8}", number)
    assert added.body == {
        "self": f"/accounts/{number}",
        "number": number,
        "username": marvin["username"],
        "email": marvin["email"],
        "role": "customer",
        "verified": False,
        "activated": True,
        "firstName": "",
        "lastName": "",
        "title": "",
        "dateOfBirth": "",
        "phone": "",
        "country": "",
        "firstAddressLine": "",
        "secondAddressLine": "",
        "city": "",
        "state": "",
        "preferences": f"/accounts/{number}/preferences",
    }
    assert (await administrator.get(added["self"])).body == added.body


async def test_a_whole_profile_is_kept_as_it_was_sent(public: Client) -> None:
    profile = {
        "firstName": "Ana María",
        "lastName": "O'Neill",
        "title": "Mx",
        "dateOfBirth": "1990-02-28",
        "phone": "(268) 460-1234 ext. 5",
        "country": "Antigua and Barbuda",
        "firstAddressLine": "1 High Street",
        "secondAddressLine": "Flat 2",
        "city": "All Saints",
        "state": "Saint Peter",
    }
    added = await public.post("/accounts", somebody() | profile | {"role": "administrator", "verified": True})
    assert added.status == 201
    assert {name: added[name] for name in profile} == profile
    assert (added["role"], added["verified"]) == ("customer", False)


async def test_what_is_missing_is_told_in_two_steps(public: Client) -> None:
    assert (await public.post("/accounts", {})).error == missing("username", "password")
    assert (await public.post("/accounts", username="x", email="")).error == missing("password")
    assert (await public.post("/accounts", password="12345678")).error == missing("username")
    answer = await public.post("/accounts", somebody() | {"email": None, "title": "Dr"})
    assert (answer.status, answer.error) == (400, missing("email"))


async def test_a_taken_name_is_told_before_a_taken_address_and_both_before_faults(public: Client) -> None:
    marvin = await register(public)
    both = {"username": marvin.username.upper(), "email": marvin.email.upper(), "title": "Dr"}
    answer = await public.post("/accounts", both)
    assert (answer.status, answer.error) == (409, taken("username"))
    answer = await public.post("/accounts", both | {"username": "somebody else"})
    assert (answer.status, answer.error) == (409, taken("email"))


async def test_all_bad_values_are_named_at_once(public: Client) -> None:
    bad = {
        "username": "a\x07b",
        "password": "short",
        "email": "not an address",
        "firstName": ["Marvin"],
        "title": "Dr",
        "dateOfBirth": "2999-01-01",
        "phone": "unknown",
        "country": "Atlantis",
        "city": "x" * 201,
        "state": "\x00",
    }
    answer = await public.post("/accounts", bad)
    assert (answer.status, answer.error) == (400, invalid(*bad))


async def test_nobody_goes_by_what_may_be_anothers_address(public: Client) -> None:
    refused = await public.post("/accounts", somebody() | {"username": "annie@example.test", "title": "Dr"})
    assert refused.error == invalid("username", "title")
    own = somebody()["email"]
    accepted = await public.post("/accounts", username=own.upper(), email=own, password="correct horse")
    assert accepted.status == 201
    moved = await public.post("/sessions", identification=own, password="correct horse")
    alone = Client(public.http, moved["key"])
    assert (await alone.put(accepted["self"], email="new" + own)).error == invalid("username")
    assert (await alone.put(accepted["self"], username="free of it", email="new" + own)).status == 200


async def test_of_two_with_one_name_at_once_one_is_told_that_it_is_taken(public: Client) -> None:
    marvin = somebody()
    answers = await asyncio.gather(
        *(public.post("/accounts", marvin | {"email": f"{n}{marvin['email']}"}) for n in range(3))
    )
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    assert {answer.error for answer in answers if answer.status == 409} == {taken("username")}


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'"x"', b'{"username": 1e999}', b'{"username": "\\ud800"}', b"[" * 5000, b"\xff\xfe"]
)
async def test_a_body_that_is_no_object_is_refused(public: Client, body: bytes) -> None:
    answer = await public.send("POST", "/accounts", content=body)
    assert answer.status == 400
    assert answer.error.startswith("Your request payload is invalid.")


@pytest.mark.parametrize("value", [0, -1, 1.5, True, [], {}, [[]], {"a": 1}, "\x00", "x" * 100_000, 10**30])
async def test_hostile_values_are_faults_not_crashes(public: Client, value: object) -> None:
    for name in ("username", "password", "email", "dateOfBirth", "phone", "country", "title", "city"):
        answer = await public.post("/accounts", somebody() | {name: value})
        assert answer.status == (201 if value == [] and name not in ("username", "password", "email") else 400), name


# Reading


async def test_oneself_support_and_administrators_read_an_account(
    alice: Client, bob: Client, support: Client, administrator: Client, public: Client
) -> None:
    for reader in (alice, support, administrator):
        assert (await reader.get(f"/accounts/{alice.number}"))["email"] == alice.email
    refused = await bob.get(f"/accounts/{alice.number}")
    assert (refused.status, refused.error) == (403, NOT_YOURS)
    refused = await public.get(f"/accounts/{alice.number}")
    assert (refused.status, refused.body) == (403, RESTRICTED)
    assert (await alice.get(f"/accounts/{alice.number.lower()}")).status == 200


@pytest.mark.parametrize("number", ["XX-00000000", "1", "%00", "AB-%00%00345678", "é" * 11, "x" * 3000, "undefined"])
async def test_a_number_that_nobody_has(administrator: Client, number: str) -> None:
    for answer in (
        await administrator.get(f"/accounts/{number}"),
        await administrator.put(f"/accounts/{number}", title="x"),
        await administrator.delete(f"/accounts/{number}"),
        await administrator.get(f"/accounts/{number}/preferences"),
        await administrator.put(f"/accounts/{number}/preferences"),
    ):
        assert (answer.status, answer.error) == (404, NOT_LOCATED)


async def test_the_list_is_for_staff_and_finds_exactly(support: Client, alice: Client, bob: Client) -> None:
    for name, value in (("number", alice.number), ("username", alice.username), ("email", alice.email)):
        found = await support.get("/accounts", **{name: value})
        assert (found["total"], found["entries"][0]["number"]) == (1, alice.number)
        assert (await support.get("/accounts", **{name: value[:-1]}))["entries"] == []
    assert (await support.get("/accounts", email=alice.email, username=bob.username))["total"] == 0
    assert (await support.get("/accounts", role="host")).error == (
        "The collection does not support the following filters: role."
    )
    assert (await support.get("/accounts", sort="username")).error == "The collection cannot be sorted by username."
    assert (await support.get("/accounts", username="\x00")).error == invalid("username")
    assert (await bob.get("/accounts")).body == RESTRICTED


# Changing


async def test_a_put_keeps_what_is_left_out_and_clears_what_is_empty(public: Client) -> None:
    marvin = await register(public, title="Mr", city="Paris", phone="+33 1 23 45 67 89", dateOfBirth="1990-02-28")
    changed = await marvin.put(f"/accounts/{marvin.number}", title="", dateOfBirth="", city=None, firstName="Marvin")
    assert changed.status == 200
    assert (changed["title"], changed["dateOfBirth"], changed["city"]) == ("", "", "")
    assert (changed["firstName"], changed["phone"]) == ("Marvin", "+33 1 23 45 67 89")
    assert (changed["username"], changed["email"]) == (marvin.username, marvin.email)


async def test_an_account_sent_back_as_it_came_is_no_conflict(public: Client) -> None:
    marvin = await register(public)
    account = (await marvin.get(f"/accounts/{marvin.number}")).body
    again = await marvin.put(account["self"], account | {"number": "XX-1", "role": "administrator", "verified": True})
    assert (again.status, again.body) == (200, account)


async def test_what_a_put_refuses(public: Client, alice: Client, bob: Client) -> None:
    uri = f"/accounts/{bob.number}"
    assert (await alice.put(uri, title="Dr")).error == NOT_YOURS
    assert (await bob.put(uri, username="", email=None, title="Dr")).error == missing("username", "email")
    refused = await bob.put(uri, title="Dr")
    assert (refused.status, refused.error) == (400, invalid("title"))
    refused = await bob.put(uri, title="Dr", username=alice.username.upper(), email=alice.email)
    assert (refused.status, refused.error) == (409, taken("username"))
    refused = await bob.put(uri, email=alice.email.upper(), title="Dr")
    assert (refused.status, refused.error) == (409, taken("email"))


async def test_support_reads_but_does_not_write(support: Client, alice: Client, administrator: Client) -> None:
    assert (await support.put(f"/accounts/{alice.number}", city="Rome")).error == NOT_YOURS
    assert (await support.delete(f"/accounts/{alice.number}")).error == NOT_YOURS
    assert (await support.get(f"/accounts/{alice.number}/preferences")).error == NOT_YOURS
    assert (await administrator.put(f"/accounts/{alice.number}", city="Rome"))["city"] == "Rome"


async def test_a_new_address_is_not_verified_and_the_old_one_is_told(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    await db.execute("UPDATE accounts SET verified = true WHERE number = $1", marvin.number)
    same = await marvin.put(f"/accounts/{marvin.number}", email=marvin.email.upper())
    assert (same["verified"], same["email"]) == (True, marvin.email.upper())
    assert await letters(db, marvin) == ["welcome"]
    assert (await marvin.put(f"/accounts/{marvin.number}", email=f"new.{marvin.email}"))["verified"] is False
    assert await letters(db, marvin) == ["welcome", "email_changed"]
    sealed = await db.fetchval("SELECT sealed FROM mails WHERE letter = 'email_changed' ORDER BY id DESC")
    assert unseal(Vault(SECRET), sealed) == {"email": marvin.email.upper()}


# Preferences


async def test_a_preferred_region_is_a_bare_id_and_goes_with_the_region(alice: Client, administrator: Client) -> None:
    region = await administrator.post("/regions", name=unique("Paris"), country="France")
    bare = region["self"].split("/")[-1]
    uri = f"/accounts/{alice.number}/preferences"
    assert (await alice.get(uri)).body == {"region": None}
    for sent in (bare, int(bare)):
        kept = await alice.put(uri, region=sent)
        assert (kept.status, kept.body) == (200, {"region": bare})
    assert (await alice.put(uri, region=None)).error == missing("region")
    assert (await alice.put(uri, region="1")).error == invalid("region")
    assert (await alice.get(uri)).body == {"region": bare}
    await administrator.delete(region["self"])
    assert (await alice.get(uri)).body == {"region": None}
    assert (await alice.put(uri, region=bare)).error == invalid("region")


# Look-ups


async def test_a_lookup_says_whether_somebody_goes_by_it(
    public: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    upper = alice.username.upper()
    found = await public.post("/lookups", identification=upper)
    assert (found.status, found.body) == (200, {"identification": upper, "role": "", "found": True})
    found = await bob.post("/lookups", identification=alice.email, role="customer")
    assert found.body == {
        "identification": alice.email,
        "role": "customer",
        "found": True,
        "verified": False,
    }
    by_name = await bob.post("/lookups", identification=upper)
    assert (by_name["number"], by_name["verified"]) == (alice.number, False)
    await db.execute("UPDATE accounts SET verified = true WHERE number = $1", alice.number)
    known = await bob.post("/lookups", identification=alice.email)
    assert (known["number"], known["verified"]) == (alice.number, True)
    await db.execute("UPDATE accounts SET verified = false WHERE number = $1", alice.number)
    other = await bob.post("/lookups", identification=alice.email, role="support")
    assert other.body == {"identification": alice.email, "role": "support", "found": False}
    assert (await public.post("/lookups", identification="nobody at all"))["found"] is False
    assert (await public.post("/lookups", {})).error == missing("identification")
    assert (await public.post("/lookups", identification=7, role="king")).error == invalid("identification", "role")


# Leaving


async def hold_ticket(db: asyncpg.Connection, owner: Client, *, ends: str, event_status: str = "Listed") -> int:
    """A ticket of an event whose end is an SQL expression, written directly; the event's id."""
    ids = [NEW_IDS.new() for _ in range(9)]
    region, category, venue, host, event, section, order, item, ticket = ids
    name = unique("thing")
    await db.execute(
        "INSERT INTO regions (id, name, name_key, country, district, city) VALUES ($1, $2, lower($2), '', '', '')",
        region,
        name,
    )
    await db.execute(
        "INSERT INTO categories (id, name, name_key, subcategories) VALUES ($1, $2, lower($2), '{}')", category, name
    )
    await db.execute(
        "INSERT INTO venues (id, name, name_key, region_id, address, longitude, latitude, timezone)"
        " VALUES ($1, $2, lower($2), $3, '', 0, 0, 'UTC')",
        venue,
        name,
        region,
    )
    await db.execute(
        "INSERT INTO hosts VALUES ($1, $2, '', '', '', '', '', '', '', '', '', '', '', NULL, lower($2), '')",
        host,
        name,
    )
    await db.execute(
        "INSERT INTO events (id, host_id, category_id, subcategory, venue_id, timezone, type, title, description,"
        " status, public, start_text, end_text, ends_at, disclaimer, tags, published_at,"
        " title_key, title_sort)"
        f" VALUES ($1, $2, $3, '', $4, 'UTC', 'Standard', $5, '', $6, true, '', '', {ends}, '', '[]', clock(),"
        " lower($5), '')",
        event,
        host,
        category,
        venue,
        name,
        event_status,
    )
    await db.execute(
        "INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text, sales_end_text,"
        " active, capacity, sold, name_key) VALUES ($1, $2, 'Floor', '', 0, '', '', true, 10, 1, 'floor')",
        section,
        event,
    )
    await db.execute(
        "INSERT INTO orders (id, number, customer_id, status, placed_at, subtotal_cents, fees_cents, currency)"
        " VALUES ($1, $2, $3, 'Fulfilled', clock(), 0, 0, 'USD')",
        order,
        f"{order:012X}",
        owner.id,
    )
    await db.execute(
        "INSERT INTO order_items (id, order_id, event_id, section_id, number, quantity, price_cents, fee_cents)"
        " VALUES ($1, $2, $3, $4, gen_random_uuid(), 1, 0, 0)",
        item,
        order,
        event,
        section,
    )
    await db.execute(
        "INSERT INTO tickets (id, serial, item_id, event_id, section_id, owner_id, status, issued_at, changed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, 'Issued', clock(), clock())",
        ticket,
        str(ticket),
        item,
        event,
        section,
        owner.id,
    )
    return event


async def test_who_leaves_is_erased_and_every_key_stops(
    public: Client, support: Client, db: asyncpg.Connection
) -> None:
    marvin = await register(public, firstName="Marvin", phone="+1 268 460 1234")
    other = await public.post("/sessions", identification=marvin.email, password=PASSWORD)
    uri = f"/accounts/{marvin.number}"
    gone = await marvin.delete(uri, {})
    assert (gone.status, list(gone.body)) == (200, ["message"])
    for key in (marvin.key, other["key"]):
        assert (await Client(public.http, key).get(uri)).body == RESTRICTED
    assert (await support.get(uri)).error == NOT_LOCATED
    assert (await support.get("/accounts", number=marvin.number))["entries"] == []
    assert (await support.post("/lookups", identification=marvin.email))["found"] is False
    row = await db.fetchrow("SELECT to_jsonb(accounts)::text FROM accounts WHERE number = $1", marvin.number)
    for trace in (marvin.username, marvin.email, "Marvin", "460 1234"):
        assert trace not in row[0]
    again = await public.post("/accounts", username=marvin.username, email=marvin.email, password="correct horse")
    assert again.status == 201
    assert again["number"] != marvin.number


@breaks_by_hand
async def test_tickets_to_what_is_still_ahead_keep_an_account(make_person: MakePerson, db: asyncpg.Connection) -> None:
    for ends in ("NULL", "clock() + interval '1 day'"):
        annie = await make_person("annie")
        event = await hold_ticket(db, annie, ends=ends)
        refused = await annie.delete(f"/accounts/{annie.number}")
        assert (refused.status, refused.error) == (
            409,
            "An account cannot be deleted while it holds tickets to upcoming events.",
        )
        await db.execute("UPDATE events SET status = 'Cancelled' WHERE id = $1", event)
        assert (await annie.delete(f"/accounts/{annie.number}")).status == 200
    annie = await make_person("annie")
    await hold_ticket(db, annie, ends="clock() - interval '1 day'")
    assert (await annie.delete(f"/accounts/{annie.number}")).status == 200


@breaks_by_hand
async def test_the_places_of_an_unpaid_order_are_free_when_the_customer_leaves(
    make_person: MakePerson, db: asyncpg.Connection
) -> None:
    annie = await make_person("annie")
    await hold_ticket(db, annie, ends="clock() - interval '1 day'")
    await db.execute(
        "UPDATE orders SET status = 'Placed', held_until = clock() + interval '1 hour' WHERE customer_id = $1", annie.id
    )
    await db.execute(
        "UPDATE order_items SET held_until = clock() + interval '1 hour'"
        " WHERE order_id IN (SELECT id FROM orders WHERE customer_id = $1)",
        annie.id,
    )
    assert (await annie.delete(f"/accounts/{annie.number}")).status == 200
    assert await db.fetchval(
        "SELECT bool_and(orders.held_until <= clock() AND item.held_until <= clock())"
        " FROM orders JOIN order_items item ON item.order_id = orders.id WHERE orders.customer_id = $1",
        annie.id,
    )


async def test_the_last_administrator_stays(
    administrator: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    others = await db.fetch(
        "UPDATE accounts SET role = 'customer' WHERE role = 'administrator' AND id <> $1 RETURNING id",
        administrator.id,
    )
    assert others is not None
    refused = await administrator.delete(f"/accounts/{administrator.number}")
    assert (refused.status, refused.error) == (409, "The last administrator cannot be removed.")
    with pytest.raises(LastAdministrator):
        await set_role(db, administrator.number, "customer")
    first, second = [await make_person("admin", role="administrator") for _ in range(2)]
    await set_role(db, administrator.number, "support")
    answers = await asyncio.gather(
        first.delete(f"/accounts/{second.number}"), second.delete(f"/accounts/{first.number}")
    )
    assert 200 in {answer.status for answer in answers}
    assert {answer.status for answer in answers} <= {200, 403, 409}
    left = await db.fetchval("SELECT count(*) FROM accounts WHERE role = 'administrator' AND removed_at IS NULL")
    assert left == 1
    await set_role(db, administrator.number, "administrator")
    assert (await administrator.get("/accounts")).status == 200
    with pytest.raises(AccountNotFound):
        await set_role(db, "XX-00000000", "support")


# Rules


@pytest.mark.parametrize(
    ("username", "letters"),
    [("marvin", "MA"), ("é-b", "EB"), ("7", "XX"), ("7a", "AX"), ("Ðo", "OX"), ("王", "XX"), ("ab cd", "AB")],
)
def test_account_numbers_begin_with_two_letters_of_the_name(username: str, letters: str) -> None:
    assert re.fullmatch(letters + "-[0-9A-Z]{8}", rules.new_number(username))


@pytest.mark.parametrize("phone", ["+1234567890", "555 1234", "1-268-462-0000", "(0)30 / 12 34 56", "020 7946 0000"])
def test_what_can_be_a_phone_number(phone: str) -> None:
    assert rules.is_phone(phone)


@pytest.mark.parametrize("phone", ["x", "1", "+999 1234", "call me", "call 5551234", "1" * 30, "--", "(", "+"])
def test_what_is_no_phone_number(phone: str) -> None:
    assert not rules.is_phone(phone)


@pytest.mark.parametrize(
    "email", ["a@example.test", "a@shop.local", "A.b+c@Example.com", "ä@exämple.de", "a@foo.invalid"]
)
def test_what_can_be_an_address(email: str) -> None:
    assert rules.is_email(email)


@pytest.mark.parametrize(
    "email", ["a", "a@b", "a@", "@b.com", "a b@c.com", "a@b..com", " a@b.com", "a@b.com\n", "a@@b.c"]
)
def test_what_is_no_address(email: str) -> None:
    assert not rules.is_email(email)


@pytest.mark.parametrize("username", ["", " ", " a", "a ", "a\nb", "a\u200bb", "a\u202eb", "x" * 65])
def test_what_is_no_name(username: str) -> None:
    assert not rules.is_username(username)


async def test_nobody_takes_a_name_that_looks_like_staff(
    public: Client, administrator: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    support = await make_person("helpdesk", "support")
    for name in (support.username.replace("e", "е"), support.username.replace("l", "1")):
        refused = await public.post(
            "/accounts", username=name, email=f"{unique('x')}@example.com".replace(" ", ""), password=PASSWORD
        )
        assert (refused.status, refused.error) == (409, taken("username")), name
    marvin = await register(public)
    changed = {"username": support.username.replace("e", "е"), "email": marvin.email}
    assert (await marvin.put(f"/accounts/{marvin.number}", changed)).error == taken("username")
    # Who had such a name before it was one of the staff keeps it, and those of customers may be alike.
    alike = await register(public, "1ngrid")
    twin = await register(public, "lngrid")
    await db.execute("UPDATE accounts SET role = 'support' WHERE number = $1", alike.number)
    await db.execute(
        "UPDATE accounts SET username = $2, username_key = $2 WHERE number = $1",
        twin.number,
        alike.username.replace("1ngrid", "lngrid"),
    )
    kept = {"username": alike.username.replace("1ngrid", "lngrid"), "email": twin.email, "city": "Here"}
    assert (await twin.put(f"/accounts/{twin.number}", kept)).status == 200
