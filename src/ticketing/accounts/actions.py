"""Changing accounts."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ticketing.kit.database import Connection, Row
from ticketing.kit.identity import address_identity, person_identity
from ticketing.kit.lookalikes import look
from ticketing.kit.vault import Vault
from ticketing.letters.posting import Letter, post, seal
from ticketing.web.callers import announce
from ticketing.web.errors import Taken
from ticketing.web.forms import Body

from . import former_addresses, rules
from .codes import Purpose, close_requests
from .erasing import erase
from .errors import AccountHoldsTickets, AccountNotFound, LastAdministrator, RunsHostAlone
from .forms import PROFILE
from .gates import GateCodes
from .locks import lock_accounts
from .open_transfers import end_transfers_of
from .queries import find_account

_COLUMNS = {
    "username": "username",
    "email": "email",
    "firstName": "first_name",
    "lastName": "last_name",
    "title": "title",
    "dateOfBirth": "date_of_birth",
    "phone": "phone",
    "country": "country",
    "firstAddressLine": "first_address_line",
    "secondAddressLine": "second_address_line",
    "city": "city",
    "state": "state",
}


# What is found by a key of its own, and how that is made.
_KEYS = {"username": person_identity, "email": address_identity}

_USERNAME_TAKEN = """
SELECT true FROM accounts
 WHERE username_key = $1 AND removed_at IS NULL AND NOT integration AND id IS DISTINCT FROM $2"""

_EMAIL_TAKEN = f"""
SELECT true FROM accounts
 WHERE email_key = $1 AND removed_at IS NULL AND NOT integration AND id IS DISTINCT FROM $2
 UNION ALL
SELECT true FROM former_addresses former
 WHERE email_key = $1 AND account_id IS DISTINCT FROM $2 AND {former_addresses.LIVE}
 LIMIT 1"""

# Nobody, for an account that has the name in $2: it stays, whoever has joined the staff since.
_STAFF = """
SELECT username_key FROM accounts
 WHERE role IN ('administrator', 'support') AND activated AND removed_at IS NULL AND NOT integration
   AND id IS DISTINCT FROM $1 AND NOT EXISTS (SELECT FROM accounts own WHERE own.id = $1 AND own.username_key = $2)"""

_TAKEN = {"username": _USERNAME_TAKEN, "email": _EMAIL_TAKEN}


async def ensure_free(db: Connection, body: Body, *, but: int | None = None) -> None:
    """Raise Taken when somebody else goes by the username, or else by the e-mail address, in any case.

    Nobody takes a username that looks like one of the staff.

    Also by an address that can still take back the account that left it: in one statement, so that it is seen at the
    one place or at the other.
    """
    for name in ("username", "email"):
        wanted = PROFILE.text(body, name)
        if wanted is None:
            continue
        key = _KEYS[name](wanted)
        if await db.fetchval(_TAKEN[name], key, but) or (name == "username" and await _looks_like_staff(db, key, but)):
            raise Taken("user", {name: wanted})


async def _looks_like_staff(db: Connection, key: str, but: int | None) -> bool:
    """Whether a name, which is not the account's own already, looks like that of an administrator or of support."""
    rows = await db.fetch(_STAFF, but, key)
    wanted = await asyncio.to_thread(look, key)  # the first of a process reads a table for a tenth of a second
    return any(look(row["username_key"]) == wanted for row in rows)


async def create_account(
    db: Connection,
    account_id: int,
    values: Mapping[str, Any],
    password_hash: str,
    *,
    role: str = "customer",
    verified: bool = False,
) -> str:
    """Write a new account and give it a number; `values` are those of `forms.read_registration`.

    Raises one of `database_errors.LOST_RACE` when somebody was faster with the name (or, once in 10^12, the number).
    """
    number = rules.new_number(values["username"])
    given = {column: values.get(member, "") for member, column in _COLUMNS.items()}
    given |= {f"{name}_key": make(given[name]) for name, make in _KEYS.items()}
    await db.execute(
        f"INSERT INTO accounts (id, number, password_hash, role, verified, created_at, {', '.join(given)})"
        f" VALUES ($1, $2, $3, $4, $5, clock(), {_places(6, len(given))})",
        account_id,
        number,
        password_hash,
        role,
        verified,
        *given.values(),
    )
    return number


async def create_integration_account(db: Connection, account_id: int, name: str, access: str) -> str:
    """Write the account that an integration acts as, and give it a number: it has no address and no password."""
    number = rules.new_number(name)
    await db.execute(
        "INSERT INTO accounts (id, number, username, email, password_hash, role, integration, created_at, username_key,"
        " email_key) VALUES ($1, $2, $3, '', '', $4, true, clock(), $5, '')",
        account_id,
        number,
        name,
        access,
        person_identity(name),
    )
    return number


async def update_account(
    db: Connection, vault: Vault, account_id: int, values: Mapping[str, Any], *, session: int | None
) -> None:
    """Replace what is given; the rest keeps its value. The caller holds the account's lock.

    A new address is not verified, the old one is told, and what was sent there opens nothing any more. One that was
    verified can take the account back for a while; until the new one is verified too, no reset goes there, and every
    session ends but the one in which it was done.
    """
    given = {_COLUMNS[member]: value for member, value in values.items()}
    given |= {f"{name}_key": make(given[name]) for name, make in _KEYS.items() if name in given}
    is_back = False
    if "email" in given and given["email_key"] != (old := await _get_address(db, account_id))["email_key"]:
        # Back at one that was shown to be his: what was left since, a thief's among it, takes nothing back any more.
        is_back = await former_addresses.find_address(db, account_id, given["email_key"]) is not None
        await close_requests(db, account_id, *Purpose)
        if old["verified"]:
            await former_addresses.remember(db, account_id, old["email"], old["email_key"])
            await _end_sessions(db, account_id, but=session)
        await db.execute(
            "UPDATE accounts SET verified = false, must_verify = must_verify OR verified WHERE id = $1", account_id
        )
        await _tell_old_address(db, vault, account_id, old["email"])
    if given:
        await db.execute(
            f"UPDATE accounts SET ({', '.join(given)}) = ROW({_places(2, len(given))}) WHERE id = $1",
            account_id,
            *given.values(),
        )
    if is_back:
        await verify_account(db, account_id)


async def take_back(db: Connection, vault: Vault, account_id: int, email: str) -> None:
    """Make a former address, to which a code was sent, the account's own again; its bearer has read the code.

    A username that was the other address becomes this one, or the account's number when this one is too long for a
    name. The other address is told, and takes nothing back.
    """
    old, key = await _get_address(db, account_id), address_identity(email)
    username = old["username"]
    if "@" in username:
        username = email if rules.is_username(email) else old["number"]
    await db.execute(
        "UPDATE accounts SET email = $2, email_key = $3, username = $4, username_key = $5 WHERE id = $1",
        account_id,
        email,
        key,
        username,
        person_identity(username),
    )
    await verify_account(db, account_id)
    await close_requests(db, account_id, *Purpose, former=True)
    if old["email_key"] != key:
        await _tell_old_address(db, vault, account_id, old["email"])


async def _get_address(db: Connection, account_id: int) -> Row:
    row = await db.fetchrow(
        "SELECT number, username, email, email_key, verified FROM accounts WHERE id = $1", account_id
    )
    if row is None:
        raise AccountNotFound
    return row


async def _tell_old_address(db: Connection, vault: Vault, account_id: int, email: str) -> None:
    await post(db, [Letter("email_changed", account=account_id, sealed=seal(vault, {"email": email}))])


async def prefer_region(db: Connection, account_id: int, region_id: int) -> None:
    """Remember where the person likes to go out."""
    await db.execute("UPDATE accounts SET preferred_region_id = $2 WHERE id = $1", account_id, region_id)


async def verify_account(db: Connection, account_id: int) -> None:
    """The person has shown that the address is his; what the account left after it takes nothing back any more."""
    key = await db.fetchval(
        "UPDATE accounts SET verified = true, must_verify = false WHERE id = $1 RETURNING email_key", account_id
    )
    await former_addresses.settle(db, account_id, key)


async def prove_address(db: Connection, account_id: int) -> None:
    """Its bearer has shown that an address is his that the account had never verified.

    Somebody else may have typed it: no password opens the account any more, and every session ends. The account is
    locked by the caller.
    """
    had_password = await db.fetchval("SELECT password_hash <> '' FROM accounts WHERE id = $1", account_id)
    await db.execute("UPDATE accounts SET password_hash = '' WHERE id = $1", account_id)
    await _end_sessions(db, account_id)
    await verify_account(db, account_id)
    await close_requests(db, account_id, *Purpose)
    if had_password:
        await post(db, [Letter("password_changed", account=account_id, about={"by": rules.ChangedBy.PROOF})])


async def set_role(db: Connection, number: str, role: str) -> None:
    """Give an account another role; its keys have it at once.

    Raises AccountNotFound, LastAdministrator.
    """
    account_id = await find_account(db, number)
    if account_id is None:
        raise AccountNotFound
    if role != "administrator":
        await ensure_administrators_remain(db, account_id)
    # An integration has its level in both places.
    await db.execute("UPDATE accounts SET role = $2 WHERE id = $1", account_id, role)
    await db.execute("UPDATE integrations SET access = $2 WHERE account_id = $1", account_id, role)
    await announce(db)


async def set_password(
    db: Connection, account_id: int, password_hash: str, *, by: rules.ChangedBy, but: int | None = None
) -> None:
    """Replace the password: no code sent to the account's address so far resets it, and its owner is told by whom.

    One sent to a former address still does, or a thief could hold it off.
    Every session of the account ends, `but` the one in which it was done.
    """
    await db.execute("UPDATE accounts SET password_hash = $2 WHERE id = $1", account_id, password_hash)
    await _end_sessions(db, account_id, but=but)
    await close_requests(db, account_id, Purpose.RESET)
    await post(db, [Letter("password_changed", account=account_id, about={"by": by})])


async def ensure_administrators_remain(db: Connection, without: int) -> None:
    """Raise LastAdministrator when nobody could administer the platform without this one; integrations do not count.

    All administrators stay locked until the transaction ends, so that two who leave at once see each other go.
    """
    if await db.fetchval("SELECT role FROM accounts WHERE id = $1", without) != "administrator":
        return
    rows = await db.fetch(
        "SELECT id FROM accounts WHERE role = 'administrator' AND activated AND removed_at IS NULL AND NOT integration"
        " ORDER BY id FOR UPDATE"
    )
    administrators = {row["id"] for row in rows}
    if administrators == {without}:
        raise LastAdministrator


# One whose events may be bought or attended still: with nobody left, they would go on with nobody to run them. Others
# count who could sign in today. Drafts are nobody's business yet.
_LOCK_HOSTS = """
SELECT id FROM hosts WHERE id IN (SELECT host_id FROM host_administrators WHERE account_id = $1)
 ORDER BY id FOR UPDATE"""

_RUNS_ALONE = """
SELECT true FROM host_administrators own
 WHERE own.account_id = $1
   AND NOT EXISTS (
       SELECT FROM host_administrators other JOIN accounts account ON account.id = other.account_id
        WHERE other.host_id = own.host_id AND other.account_id <> $1
          AND account.activated AND account.removed_at IS NULL)
   AND EXISTS (
       SELECT FROM events event
        WHERE event.host_id = own.host_id AND event.removed_at IS NULL AND event.status NOT IN ('Draft', 'Cancelled')
          AND event.over_at > clock()) LIMIT 1"""


async def ensure_hosts_are_run(db: Connection, without: int) -> None:
    """Raise RunsHostAlone when a host with upcoming events would be left with nobody to run it.

    The hosts stay locked until the transaction ends, so that two who leave at once see each other go.
    """
    await db.execute(_LOCK_HOSTS, without)
    if await db.fetchval(_RUNS_ALONE, without):
        raise RunsHostAlone


async def deactivate_account(db: Connection, gate_codes: GateCodes, account_id: int) -> None:
    """Close an account that is locked by the caller: its keys stop, its sessions end, and its owner is told.

    What it holds unpaid is free at once; money that is on its way for such an order goes back. The gate codes it could
    read are renewed.

    Raises LastAdministrator.
    """
    await ensure_administrators_remain(db, account_id)
    await lock_accounts(db, [account_id])
    await _let_holds_run_out(db, account_id)
    is_program = await db.fetchval(
        "UPDATE accounts SET activated = false WHERE id = $1 RETURNING integration", account_id
    )
    await gate_codes.renew_known_to(db, account_id)
    await _end_sessions(db, account_id)
    if not is_program:
        await post(db, [Letter("deactivated", account=account_id)])


async def activate_account(db: Connection, account_id: int) -> None:
    """Open an account again; whoever it is starts a new session."""
    await db.execute("UPDATE accounts SET activated = true WHERE id = $1", account_id)
    await announce(db)


async def delete_account(db: Connection, gate_codes: GateCodes, account_id: int) -> None:
    """Erase a person (or end an integration): what they ordered stays, with an anonymous customer.

    The account is locked by the caller. Its keys end, it administers no host, what is on its way from or to it is
    cancelled, and what it holds unpaid is free; money that is on its way for such an order goes back. The gate codes it
    could read are renewed.

    Raises LastAdministrator, RunsHostAlone, AccountHoldsTickets.
    """
    await ensure_administrators_remain(db, account_id)
    await ensure_hosts_are_run(db, account_id)
    await lock_accounts(db, [account_id])
    if await db.fetchval(_HOLDS_TICKETS, account_id):
        raise AccountHoldsTickets
    await _let_holds_run_out(db, account_id)
    await end_transfers_of(db, account_id)
    await gate_codes.renew_known_to(db, account_id)
    await erase(db, account_id)
    await _end_sessions(db, account_id)
    await db.execute(
        "UPDATE integrations SET revoked_at = clock() WHERE account_id = $1 AND revoked_at IS NULL", account_id
    )


_HOLDS_TICKETS = """
SELECT true FROM tickets ticket JOIN events event ON event.id = ticket.event_id
 WHERE ticket.owner_id = $1 AND ticket.status IN ('Issued', 'Pending')
   AND event.status <> 'Cancelled' AND event.removed_at IS NULL
   AND event.over_at > clock() LIMIT 1"""


async def _end_sessions(db: Connection, account_id: int, *, but: int | None = None) -> None:
    await db.execute(
        "UPDATE sessions SET ended_at = least(clock(), idle_until, expires_at)"
        " WHERE account_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $2",
        account_id,
        but,
    )
    await announce(db)


async def _let_holds_run_out(db: Connection, account_id: int) -> None:
    """End the holds of unpaid orders now; whoever needs the places next tidies them away, as after any time-out.

    Open attempts to pay for them are cancelled at the provider as soon as somebody asks, which is now.
    """
    orders = await db.fetch(
        "UPDATE orders SET held_until = clock() WHERE customer_id = $1 AND status = 'Placed' AND held_until > clock()"
        " RETURNING id",
        account_id,
    )
    if orders:
        ended = [order["id"] for order in orders]
        await db.execute(
            "UPDATE order_items SET held_until = clock() WHERE order_id = ANY($1::bigint[]) AND held_until > clock()",
            ended,
        )
        await db.execute(
            "UPDATE payments SET ask_at = clock() WHERE order_id = ANY($1::bigint[]) AND status = 'Pending'", ended
        )


def _places(first: int, count: int) -> str:
    return ", ".join(f"${number}" for number in range(first, first + count))
