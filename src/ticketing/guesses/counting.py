"""Guesses at secrets, counted over all workers, in a way that cannot be turned against the owner.

A try is counted before the secret is looked at and taken back when it was right, so that a thousand guesses sent at
once pass no bound together, and no rollback forgets a wrong one. To be called outside any transaction:

    bounds = failures.password_bounds(call, account=account_id, known=await failures.is_known_address(...))
    await failures.claim_try(call, bounds)                       # 429 when a bound is reached
    if not right: raise WrongPassword                            # nothing more to do: the try is committed
    await failures.forget(call, bounds)

Windows are fixed: they open with the first try and close a quarter of an hour later; refused tries neither count nor
prolong them. The table holds keyed hashes only, is not logged (a crash of PostgreSQL empties it) and nothing waits on
its rows for longer than one statement.

The real bound of each secret, and what it means for its owner, is in `docs/security.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ticketing.kit.database import Connection
from ticketing.kit.identity import address_identity
from ticketing.kit.vault import Vault
from ticketing.settings import Settings
from ticketing.web.addresses import network
from ticketing.web.callers import Level
from ticketing.web.errors import TooManyRequests
from ticketing.web.operations import Call

WINDOW_SECONDS = 15 * 60
HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS
ADDRESS_FACTOR = 20  # wrong passwords, and wrong mailed codes, of one address, over all accounts
SESSIONS_LOOKED_AT = 100
REQUESTS_FACTOR = 100  # codes mailed because of one address, over all accounts
ACCOUNT_FACTOR = 10  # wrong passwords for one account, over all addresses new to it


@dataclass(frozen=True, slots=True)
class Bound:
    """At most `limit` wrong tries at one target within a window.

    `cleared` says that one right try makes up for all wrong ones before it; otherwise it only takes itself back.
    """

    target: str
    limit: int
    seconds: int = WINDOW_SECONDS
    cleared: bool = False


def password_bounds(call: Call, *, account: int | None, known: bool = False) -> list[Bound]:
    """What bounds the passwords tried for an account (None: an identification nobody has).

    `known` says that the account has signed in from this address before (`is_known_address`): then neither guesses
    from elsewhere nor a neighbour's at other accounts stand in its way.
    """
    limit, place = call.the(Settings).wrong_passwords, network(call.address)
    spraying = Bound(f"password from {place}", limit * ADDRESS_FACTOR)
    if account is None:
        return [spraying]
    # The narrowest first: what it refuses must not use up the others, or one address could shut an account.
    narrow = Bound(f"password of {account} from {place}", limit, cleared=True)
    return [narrow] if known else [narrow, spraying, _account_bound(call, account)]


def own_password_bounds(call: Call, account: int) -> list[Bound]:
    """What whoever has just set a new password here need not wait for; to be forgotten."""
    narrow, *_ = password_bounds(call, account=account, known=True)
    return [narrow, _account_bound(call, account)]


def _account_bound(call: Call, account: int) -> Bound:
    return Bound(f"password of {account}", call.the(Settings).wrong_passwords * ACCOUNT_FACTOR)


def code_bounds(call: Call) -> list[Bound]:
    """What bounds the gate codes tried from an address: one's own, if one is signed in there, and all people's."""
    caller, place, limit = call.caller, network(call.address), call.the(Settings).wrong_codes
    target = f"{caller.account} at {place}" if caller.level is not Level.PUBLIC else place
    return [
        Bound(f"gate code from {target}", limit),
        Bound(f"gate code by anybody at {place}", limit * ADDRESS_FACTOR),
    ]


def mailed_code_bounds(call: Call) -> list[Bound]:
    """What bounds the mailed codes tried from an address; an account's own bounds are kept with its codes."""
    return [Bound(f"mailed code from {network(call.address)}", call.the(Settings).wrong_codes * ADDRESS_FACTOR)]


def request_bounds(call: Call, purpose: str, whom: int | str, *, known: bool) -> list[Bound]:
    """What bounds the codes that are mailed: no account's letter box is filled, no address fills everybody's.

    Those of each purpose are counted apart, and where the account has signed in before (`known`) by themselves: what
    strangers ask for does not stand in the owner's way.
    """
    most, place = call.the(Settings).mailed_codes, network(call.address)
    narrow = Bound(f"{purpose} code for {whom} from {place}", max(1, most // 2), HOUR_SECONDS)
    spraying = Bound(f"codes for {place}", most * REQUESTS_FACTOR, HOUR_SECONDS)
    return [narrow] if known else [narrow, spraying, Bound(f"{purpose} code for {whom}", most, HOUR_SECONDS)]


def sign_in_bounds(call: Call, email: str, *, known: bool) -> list[Bound]:
    """What bounds the codes mailed to sign in with: of an address, whether or not an account has it."""
    return request_bounds(call, "sign-in", address_identity(email), known=known)


def resending_bounds(call: Call, order: int, customer: int) -> list[Bound]:
    """What bounds the tickets that are mailed again, whoever asks for it: of one order, and to one customer."""
    settings = call.the(Settings)
    return [
        Bound(f"letters of order {order}", settings.resent_orders, HOUR_SECONDS),
        Bound(f"letters of orders to {customer}", settings.resent_letters, DAY_SECONDS),
    ]


def registration_bounds(call: Call) -> list[Bound]:
    """What bounds the accounts that one address registers."""
    most = call.the(Settings).registrations_per_hour
    return [Bound(f"registrations from {network(call.address)}", most, HOUR_SECONDS)]


async def is_known_address(db: Connection, account: int, address: str) -> bool:
    """Whether the account has lately had a session from this address."""
    rows = await db.fetch(
        "SELECT ip FROM sessions WHERE account_id = $1 ORDER BY id DESC LIMIT $2", account, SESSIONS_LOOKED_AT
    )
    return network(address) in {network(row["ip"]) for row in rows if row["ip"]}


async def claim_try(call: Call, bounds: Sequence[Bound]) -> None:
    """Count a try against each bound, committed at once.

    Raises TooManyRequests, with the seconds that remain, at the first bound that is reached.
    """
    if call.the(Settings).rate_limits == "off":
        return
    vault = call.the(Vault)
    async with call.reading() as db:
        for bound in bounds:
            target = _target(vault, bound)
            if await db.fetchval(_CLAIM, target, bound.limit, bound.seconds) is None:
                raise TooManyRequests(max(1, await db.fetchval(_REMAINING, target) or 1), bound.limit)


async def forget(call: Call, bounds: Sequence[Bound]) -> None:
    """Take a right try back, and what it makes up for."""
    if call.the(Settings).rate_limits == "off":
        return
    vault = call.the(Vault)
    async with call.reading() as db:
        for bound in bounds:
            await db.execute(_CLEAR if bound.cleared else _RELEASE, _target(vault, bound))


async def clear(call: Call, bounds: Sequence[Bound]) -> None:
    """Forget every try against these bounds."""
    await forget(call, [replace(bound, cleared=True) for bound in bounds])


# What no longer bounds anything.
FORGET = """
DELETE FROM failures WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM failures WHERE until <= (SELECT clock()) ORDER BY until LIMIT $1 FOR UPDATE SKIP LOCKED))"""


def _target(vault: Vault, bound: Bound) -> str:
    return vault.digest("failures", bound.target.encode("utf-8", "replace")).hex()


# No row comes back where the bound is reached: whether there is room and taking it are one statement.
_CLAIM = """
INSERT INTO failures AS failure (target, count, until) VALUES ($1, 1, clock() + make_interval(secs => $3::int))
ON CONFLICT (target) DO UPDATE
   SET count = CASE WHEN failure.until <= clock() THEN 1 ELSE failure.count + 1 END,
       until = CASE WHEN failure.until <= clock() THEN excluded.until ELSE failure.until END
 WHERE failure.until <= clock() OR failure.count < $2::int
RETURNING count
"""
_REMAINING = "SELECT ceil(extract(epoch FROM until - clock()))::int FROM failures WHERE target = $1"
_CLEAR = "DELETE FROM failures WHERE target = $1"
_RELEASE = "UPDATE failures SET count = greatest(count - 1, 0) WHERE target = $1"
