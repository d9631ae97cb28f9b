"""Erasing a person: what is known of him goes, what was bought and sold stays, with an anonymous customer.

Whoever keeps something personal in a table of his own adds a line to `erase`. What cannot be found by person - stored
answers to programs that acted for him, encrypted - is gone within a day.
"""

from ticketing.kit.database import Connection, Row
from ticketing.kit.identity import address_identity, person_identity
from ticketing.letters.posting import erase_letters
from ticketing.web.idempotency import forget_answers

ANONYMOUS = "deleted"
_PROFILE = (
    "email", "email_key", "password_hash", "first_name", "last_name", "title", "date_of_birth", "phone", "country",
    "first_address_line", "second_address_line", "city", "state",
)  # fmt: skip


async def erase(db: Connection, account_id: int) -> None:
    """Erase what is personal about an account, wherever it is kept; the caller holds the account's lock."""
    person = await db.fetchrow(
        "SELECT id, number, username, email, phone, first_name, last_name FROM accounts WHERE id = $1", account_id
    )
    if person is None:
        return
    await _erase_profile(db, account_id)
    await db.execute("UPDATE sessions SET ip = '', agent = '' WHERE account_id = $1", account_id)
    await db.execute(_ERASE_SIGN_INS, account_id, address_identity(person["email"]))
    await db.execute("DELETE FROM codes WHERE account_id = $1", account_id)
    await db.execute("DELETE FROM wrong_codes WHERE account_id = $1", account_id)
    await db.execute("DELETE FROM former_addresses WHERE account_id = $1", account_id)
    await _erase_at_hosts(db, person)
    await _erase_at_gates(db, account_id)
    await erase_letters(db, account_id)
    await forget_answers(db, account_id)
    await _erase_history(db, person)


_ERASE_SIGN_INS = """
DELETE FROM sign_ins
 WHERE email_key = $2 OR email_key IN (SELECT email_key FROM former_addresses WHERE account_id = $1)"""


async def _erase_profile(db: Connection, account_id: int) -> None:
    cleared = ", ".join(f"{column} = ''" for column in _PROFILE)
    await db.execute(
        f"UPDATE accounts SET {cleared}, username = $2, username_key = $2, verified = false, activated = false,"
        " preferred_region_id = NULL, removed_at = clock() WHERE id = $1",
        account_id,
        ANONYMOUS,
    )


async def _erase_at_hosts(db: Connection, person: Row) -> None:
    """A host stays; where it gave the person's own name, address or number, it gives none."""
    hosts = await db.fetch(
        "SELECT id, contact, email, phone FROM hosts"
        " WHERE id IN (SELECT host_id FROM host_administrators WHERE account_id = $1) ORDER BY id FOR UPDATE",
        person["id"],
    )
    names, address = _names(person), address_identity(person["email"])
    for host in hosts:
        await db.execute(
            "UPDATE hosts SET contact = $2, email = $3, phone = $4 WHERE id = $1",
            host["id"],
            "" if person_identity(host["contact"]) in names else host["contact"],
            "" if address_identity(host["email"]) == address else host["email"],
            "" if host["phone"] == person["phone"] else host["phone"],
        )
    await db.execute("DELETE FROM host_administrators WHERE account_id = $1", person["id"])
    await db.execute("DELETE FROM host_invitations WHERE account_id = $1 OR invited_by = $1", person["id"])


async def _erase_at_gates(db: Connection, account_id: int) -> None:
    """Scans stay; those that the person made, signed in, are signed with nothing.

    Never by a typed name: it is also that of everybody else who bears it, at other hosts' gates.
    """
    for table in ("admissions", "refused_scans"):
        await db.execute(f"UPDATE {table} SET redeemer = '', device = '' WHERE account_id = $1", account_id)


async def _erase_history(db: Connection, person: Row) -> None:
    """That something was done stays, and by which number; why it was is told in words, which may be personal."""
    await db.execute(
        "UPDATE history SET detail = '{}' WHERE thing = ANY($1::text[])",
        [f"/accounts/{person['number']}", f"/accounts/{person['id']}"],
    )


def _names(person: Row) -> set[str]:
    """The keys of what he may be called."""
    whole = f"{person['first_name']} {person['last_name']}" if person["first_name"] and person["last_name"] else ""
    return {person_identity(name) for name in (person["username"], person["email"], whole) if name}
