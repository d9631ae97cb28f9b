"""One idea of the same name: as a rule, and over HTTP wherever something is identified."""

from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import PASSWORD, Client, unique
from mailed import mailed_code
from makers import make_category, make_event, make_host, make_region, make_section, make_venue, register
from ticketing.kit.collation import sort_key
from ticketing.kit.identity import address_identity, identity, is_drawn_to_its_ends, is_known, is_visible

SAME = [
    ("ΝΙΚΟΣ", "νικος"),
    ("Νίκος", "ΝΊΚΟΣ"),
    ("José", "Jose\u0301"),
    ("STRASSE", "Straße"),
    ("ﬁsh", "FISH"),
    ("a  b", "a\u00a0b"),
    ("bob", "b\u200bo\u00adb"),
    ("Ⅷ", "viii"),
    ("ｈｏｓｔ", "host"),
]
BLANK = ["\u3164", "\u2800", "\u034f", "\u00ad", "\u200b", "\ufeff", "\u115f", "\U000e0041", "\u2060", " \u200d "]
GOOD = ["❤️", "👩‍👩‍👧", "می‌خواهم", "हिन्दी", "東京", "R2-D2", "नमस्ते", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "ก็"]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_these_are_one_name(one: str, other: str) -> None:
    assert identity(one) == identity(other)


@given(st.text())
def test_a_key_is_its_own_key(text: str) -> None:
    assert identity(identity(text)) == identity(text)


@given(st.text())
def test_case_does_not_matter(text: str) -> None:
    assert identity(text.upper()) == identity(text.upper().lower().upper())


def test_domains_are_one_on_the_wire_and_off_it() -> None:
    assert address_identity("Bob@MÜNCHEN.example") == address_identity("bob@xn--mnchen-3ya.example")
    assert address_identity("bob@straße.example") != address_identity("bob@strasse.example")
    assert address_identity("BOB@Example.COM") == "bob@example.com"


@pytest.mark.parametrize("text", BLANK)
def test_what_cannot_be_seen_is_no_name(text: str) -> None:
    assert not is_visible(text)
    assert not is_drawn_to_its_ends(f"Bob{text}")
    assert not is_drawn_to_its_ends(f"{text}Bob")


@pytest.mark.parametrize("text", GOOD)
def test_what_people_write_is_seen_to_its_ends(text: str) -> None:
    assert is_visible(text)
    assert is_drawn_to_its_ends(text)
    assert is_known(text)


def test_what_python_3_11_does_not_know_is_unknown() -> None:
    assert not is_known("\U0001fae8")  # shaking face, Unicode 15
    assert is_known("\U0001fae7")  # bubbles, Unicode 14


def test_names_sort_by_the_alphabet_of_the_world() -> None:
    names = ["zoo", "Яблоко", "eclipse", "東京", "Éclair", "Zebra", "apple", "Ärger"]
    assert sorted(names, key=sort_key) == ["apple", "Ärger", "Éclair", "eclipse", "Zebra", "zoo", "Яблоко", "東京"]
    assert len(sort_key("\ufdfa" * 200)) <= 1000


# Over HTTP


@pytest.mark.parametrize(("one", "other"), [pair for pair in SAME if "\u200b" not in pair[1]])
async def test_an_account_is_found_by_any_form_of_its_name(public: Client, one: str, other: str) -> None:
    number = unique("").strip()
    first, second = f"{one}{number}", f"{other}{number}"
    made = await public.post("/accounts", username=first, email=f"someone{number}@example.com", password=PASSWORD)
    assert (made.status, made["username"]) == (201, first)
    session = await public.post("/sessions", identification=second, password=PASSWORD)
    assert session.status == 201
    again = await public.post("/accounts", username=second, email=f"another{number}@example.com", password=PASSWORD)
    assert (again.status, again.error) == (
        409,
        "The following arguments conflict with those of another user: username.",
    )
    assert (await public.post("/lookups", identification=second))["found"] is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("νικος{}@example.com", "ΝΙΚΟΣ{}@example.com"),
        ("jose\u0301{}@example.com", "JOSÉ{}@Example.com"),
        ("kim{}@münchen.example", "kim{}@xn--mnchen-3ya.example"),
    ],
)
async def test_an_address_has_one_account(public: Client, db: asyncpg.Connection, one: str, other: str) -> None:
    number = unique("").strip()
    one, other = one.format(number), other.format(number)
    made = await public.post("/accounts", username=f"first{number}", email=one, password=PASSWORD)
    assert (made.status, made["email"]) == (201, one)
    again = await public.post("/accounts", username=f"second{number}", email=other, password=PASSWORD)
    assert again.status == 409
    assert (await public.post("/sessions", identification=other, password=PASSWORD)).status == 201
    asked = await public.post("/verifications", email=other)
    assert (asked.status, asked["email"]) == (201, one)  # mail goes to the stored address


async def test_ones_own_address_may_be_ones_name_in_any_form(public: Client) -> None:
    number = unique("").strip()
    made = await public.post(
        "/accounts", username=f"tΟΔΟΣ{number}@example.com", email=f"τΟΔΟΣ{number}@example.com", password=PASSWORD
    )
    assert made.status == 400  # a Latin t is no Greek one
    made = await public.post(
        "/accounts", username=f"tΟΔΟΣ{number}@example.com", email=f"Tοδος{number}@example.com", password=PASSWORD
    )
    assert made.status == 201


async def test_things_have_one_name(administrator: Client, alice: Client) -> None:
    number = unique("").strip()
    one, other = f"ΝΙΚΟΣ{number}", f"νικος{number}"
    for make, path, noun in (
        (make_region, "/regions", "region"),
        (make_category, "/categories", "category"),
        (make_venue, "/venues", "venue"),
    ):
        made: Any = await make(administrator, name=one)
        body = {**made, "name": other}
        if noun == "venue":
            body["region"] = made["region"].rsplit("/", 1)[1]
        again = await administrator.post(path, body)
        assert (again.status, again.error) == (
            409,
            f"The following arguments conflict with those of another {noun}: name.",
        )
    host = await make_host(alice, name=one)
    assert (await alice.post("/hosts", name=other, contact="A", email="a@example.com")).status == 409
    event = await make_event(alice, administrator, host, title=one)
    section = await make_section(alice, event, name=one)
    assert (await alice.post(f"{event['self']}/sections", {**section, "name": other, "basePrice": 0})).status == 409


@pytest.mark.parametrize("text", BLANK)
async def test_nothing_is_called_by_what_cannot_be_seen(administrator: Client, public: Client, text: str) -> None:
    number = unique("").strip()
    for name in (text, f"Bob{text}"):
        refused = await administrator.post("/regions", name=name, country="Antigua and Barbuda")
        assert refused.status == 400, name
    number = unique("").strip()
    refused = await public.post("/accounts", username=f"bob{text}", email=f"bob{number}@example.com", password=PASSWORD)
    assert (refused.status, refused.error) == (400, "The following arguments have invalid values: username.")
    # Passwords are anybody's own business.
    made = await public.post(
        "/accounts", username=f"qq{number}", email=f"qq{number}@example.com", password=f"12345678{text}"
    )
    assert made.status == 201
    assert (await public.post("/sessions", identification=f"qq{number}", password="12345678")).status == 401


@pytest.mark.parametrize("line", ["\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x1b"])
async def test_a_name_is_one_line(administrator: Client, alice: Client, line: str) -> None:
    refused = await administrator.post("/regions", name=f"Saint{line}John", country="Antigua and Barbuda")
    assert (refused.status, refused.error) == (400, "The following arguments have invalid values: name.")
    host = await make_host(alice)
    kept = await alice.put(host["self"], {**host, "description": "Two\nlines\u2029and more\ttabs"})
    assert kept["description"] == "Two\nlines\u2029and more\ttabs"


@pytest.mark.parametrize("text", GOOD)
async def test_what_people_write_is_echoed_as_sent(administrator: Client, text: str) -> None:
    name = f"{unique('R')} {text}"
    made = await make_region(administrator, name=name)
    assert made["name"] == name


async def test_erasing_takes_every_form_of_a_name(public: Client, db: asyncpg.Connection) -> None:
    number = unique("").strip()
    marvin = await register(public, firstName="ΝΙΚΟΣ", lastName=f"ΠΑΠΠΑΣ{number}")
    host = await make_host(marvin, contact=f"Νικος Παππας{number}", email=marvin.email.upper())
    assert (await marvin.delete(f"/accounts/{marvin.number}")).status == 200
    left = await public.get(host["self"])
    assert (left["contact"], left["email"]) == ("", "")


async def test_a_code_is_asked_for_in_any_form(public: Client, db: asyncpg.Connection) -> None:
    number = unique("").strip()
    marvin = await register(public, f"σοφος{number}")
    asked = await public.post("/resets", email=marvin.email.upper())
    assert asked.status == 201
    code = await mailed_code(db, marvin, "reset")
    assert (await public.send("PATCH", asked["self"], json={"code": code, "password": "another one"})).status == 200


async def test_lists_are_alphabetical_for_people(alice: Client) -> None:
    number = unique("").strip()
    for word in ("zoo", "Éclair", "apple", "Zebra", "eclipse", "Ärger"):
        await make_host(alice, name=f"{word} {number}")
    listed = await alice.get("/hosts", sort="alphabetical", account=alice.number.lower(), records=500)
    names = [host["name"].split()[0] for host in listed["entries"] if host["name"].endswith(f" {number}")]
    assert names == ["apple", "Ärger", "Éclair", "eclipse", "Zebra", "zoo"]
