"""Reading accounts; what other packages need to show people and to find whom a request means."""

import re
from collections.abc import Sequence
from typing import Any

from ticketing.kit.database import Connection, Row
from ticketing.kit.identity import address_identity, person_identity
from ticketing.web.callers import Caller
from ticketing.web.paging import Filter, Listing, exact

from .errors import AccountNotFound, NotYourAccount
from .schemas import Account, Preferences
from .schemas import ShortAccount as ShortAccount

_NUMBER = re.compile(r"[0-9A-Za-z]{2}-[0-9A-Za-z]{8}")

COLUMNS = (
    "account.id, account.number, account.username, account.email, account.role, account.verified, account.activated,"
    " account.first_name, account.last_name, account.title, account.date_of_birth, account.phone, account.country,"
    " account.first_address_line, account.second_address_line, account.city, account.state"
)


def short_columns(alias: str, prefix: str = "") -> str:
    """The columns of a short account for another thing's SELECT.

    `short_columns("owner", "owner_")` is `owner.number AS owner_number, ...` of a table `accounts owner`.
    """
    return ", ".join(
        f"{alias}.{column} AS {prefix}{column}" for column in ("number", "username", "email", "first_name", "last_name")
    )


def build_short_account(row: Row, prefix: str = "") -> ShortAccount:
    """The short account that `short_columns` selected under the same prefix."""
    number = row[f"{prefix}number"]
    return ShortAccount(
        uri=f"/accounts/{number}",
        number=number,
        username=row[f"{prefix}username"],
        email=row[f"{prefix}email"],
        first_name=row[f"{prefix}first_name"],
        last_name=row[f"{prefix}last_name"],
    )


def build_account(row: Row) -> Account:
    """An account as the API shows it, from COLUMNS."""
    uri = f"/accounts/{row['number']}"
    return Account(
        uri=uri,
        number=row["number"],
        username=row["username"],
        email=row["email"],
        role=row["role"],
        verified=row["verified"],
        activated=row["activated"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        title=row["title"],
        date_of_birth=row["date_of_birth"],
        phone=row["phone"],
        country=row["country"],
        first_address_line=row["first_address_line"],
        second_address_line=row["second_address_line"],
        city=row["city"],
        state=row["state"],
        preferences=f"{uri}/preferences",
    )


def _exact(column: str) -> Filter:
    """The text as it is, found through the index of keys."""
    return Filter(
        f"{column}_key = ({{}}::text[])[1] AND {column} = ({{}}::text[])[2]", lambda text: [person_identity(text), text]
    )


ACCOUNTS: Listing[Account] = Listing(
    source="accounts account",
    columns=COLUMNS,
    id="account.id",
    key="account.id",
    build=build_account,
    filters={
        "number": exact("account.number"),
        "email": _exact("account.email"),
        "username": _exact("account.username"),
    },
)
PEOPLE = "account.removed_at IS NULL AND NOT account.integration"


async def find_account(db: Connection, number: str) -> int | None:
    """The id of the account with this number (in any case), an integration's included; None when there is none."""
    if not _NUMBER.fullmatch(number):
        return None
    found: int | None = await db.fetchval(
        "SELECT id FROM accounts WHERE number = $1 AND removed_at IS NULL", number.upper()
    )
    return found


async def find_person(db: Connection, number: str) -> int | None:
    """The id of the person with this number, in any case, whose account stays locked; None when there is none."""
    if not _NUMBER.fullmatch(number):
        return None
    found: int | None = await db.fetchval(
        f"SELECT id FROM accounts account WHERE {PEOPLE} AND number = $1 FOR NO KEY UPDATE", number.upper()
    )
    return found


async def find_identified(db: Connection, identification: str) -> Row | None:
    """The person who goes by a username or an e-mail address, in any case.

    id, number, role, password_hash, activated, verified, and whether it `is_named`: found by a username that is no
    address. At most one: a username with an `@` is its bearer's own address.
    """
    return await db.fetchrow(
        "SELECT id, number, role, password_hash, activated, verified,"
        " username_key = $1 AND email_key <> $1 AS is_named FROM accounts account"
        f" WHERE {PEOPLE} AND (username_key = $1 OR email_key = $1)",
        person_identity(identification),
    )


async def find_addressed(db: Connection, email: str, *, locking: bool = False) -> Row | None:
    """The person who has this e-mail address, in any case, locked if wanted; None when nobody has it.

    id, number, email, role, verified, must_verify, activated.
    """
    return await db.fetchrow(
        "SELECT id, number, email, role, verified, must_verify, activated FROM accounts account"
        f" WHERE {PEOPLE} AND email_key = $1{' FOR NO KEY UPDATE' if locking else ''}",
        address_identity(email),
    )


async def account_for(
    db: Connection, caller: Caller, number: str, *, support_may: bool = False, locking: bool = False
) -> int:
    """The id of the account with this number, if it is the caller's own or the caller administers the platform.

    `support_may` also lets support in (to read). `locking` keeps the account as it is until the transaction ends.

    Raises AccountNotFound, NotYourAccount.
    """
    account_id = await find_account(db, number)
    if account_id is None:
        raise AccountNotFound
    if account_id != caller.account and not (caller.reads_people if support_may else caller.administers):
        raise NotYourAccount
    if locking and not await db.fetchval(
        "SELECT true FROM accounts WHERE id = $1 AND removed_at IS NULL FOR UPDATE", account_id
    ):
        raise AccountNotFound
    return account_id


async def lock_toggled(db: Connection, caller: Caller, number: str) -> Row:
    """The account that a member of staff wants to close or open, locked: id, number, activated.

    An administrator may with every account, support with those of customers and hosts.

    Raises AccountNotFound, NotYourAccount.
    """
    row = await db.fetchrow(
        "SELECT id, number, role, activated, integration FROM accounts WHERE id = $1 AND removed_at IS NULL FOR UPDATE",
        await find_account(db, number),
    )
    if row is None:
        raise AccountNotFound
    if not caller.administers and (row["integration"] or row["role"] not in ("customer", "host")):
        raise NotYourAccount
    return row


async def lock_own(db: Connection, caller: Caller, number: str) -> int:
    """The id of the account with this number, locked, if it is the caller's own.

    Raises AccountNotFound, NotYourAccount.
    """
    account_id = await account_for(db, caller, number, locking=True)
    if account_id != caller.account:
        raise NotYourAccount
    return account_id


async def lock_live(db: Connection, ids: Sequence[int]) -> dict[int, bool]:
    """Those of these accounts that there still are, locked in the order of their ids, and whether each is activated."""
    rows = await db.fetch(
        "SELECT id, activated FROM accounts WHERE id = ANY($1::bigint[]) AND removed_at IS NULL"
        " ORDER BY id FOR NO KEY UPDATE",
        ids,
    )
    return {row["id"]: row["activated"] for row in rows}


async def own_account(db: Connection, caller: Caller, number: str) -> int:
    """The id of the account with this number, if it is the caller's own. Raises AccountNotFound, NotYourAccount."""
    account_id = await account_for(db, caller, number)
    if account_id != caller.account:
        raise NotYourAccount
    return account_id


async def get_password_hash(db: Connection, account_id: int) -> str:
    """What the account's password is compared with."""
    found: str = await db.fetchval("SELECT password_hash FROM accounts WHERE id = $1", account_id)
    return found


async def get_account(db: Connection, account_id: int) -> Account:
    """The account. Raises AccountNotFound."""
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM accounts account WHERE id = $1 AND removed_at IS NULL", account_id)
    if row is None:
        raise AccountNotFound
    return build_account(row)


async def get_short_account(db: Connection, account_id: int) -> ShortAccount:
    """The account as other things mention it, also when it was removed. Raises AccountNotFound."""
    row = await db.fetchrow(f"SELECT {short_columns('account')} FROM accounts account WHERE id = $1", account_id)
    if row is None:
        raise AccountNotFound
    return build_short_account(row)


async def get_preferences(db: Connection, account_id: int) -> Preferences:
    """What the person prefers; a region that was removed is none."""
    region: Any = await db.fetchval(
        "SELECT region.id FROM accounts account JOIN regions region ON region.id = account.preferred_region_id"
        " WHERE account.id = $1 AND region.removed_at IS NULL",
        account_id,
    )
    return Preferences(region=None if region is None else str(region))
