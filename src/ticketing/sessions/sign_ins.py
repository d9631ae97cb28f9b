"""Signing in by a six-digit code that is mailed to an address, which may be nobody's yet.

A request is about the address, not about an account: whoever asks learns nothing of whether there is one, and nothing
is written for an address that nobody can read but the request itself. Who is let in is decided when the right code
comes.

Codes are looked at under one lock for each address, and wrong ones are counted twice: against their own
request, which then expires, and against the address, over all its requests of a day. Where the account has signed in
before they are counted by themselves, as with other codes (`accounts.codes`).
"""

from dataclasses import dataclass

from ticketing.accounts import former_addresses
from ticketing.accounts.codes import digest_code, is_code, new_code
from ticketing.accounts.queries import PEOPLE, find_addressed
from ticketing.accounts.rules import Tried, Verdict, judge
from ticketing.guesses.counting import is_known_address
from ticketing.kit import ids
from ticketing.kit.database import Connection, Row
from ticketing.kit.identity import address_identity
from ticketing.kit.vault import Vault
from ticketing.letters.posting import STRANGER, Letter, post, seal
from ticketing.settings import Settings
from ticketing.web.errors import NotFound, TooManyRequests

from .errors import SignInClosed, WrongSignInCode

CLASS = 0x7159  # of the advisory locks under which the codes for one address are tried
KEPT_DAYS = 2  # wrong codes are counted for one
ROLES = ("customer", "host")  # who may be let in by a code


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a code that was tried, for the address `email` and, unless it is nobody's yet, `account`."""

    verdict: Verdict
    email: str
    account: Row | None
    most_wrong: int
    seconds_left: int

    def ensure_right(self) -> None:
        """Raise SignInClosed, TooManyRequests or WrongSignInCode."""
        match self.verdict:
            case Verdict.CLOSED:
                raise SignInClosed
            case Verdict.REFUSED_TODAY:
                raise TooManyRequests(self.seconds_left, self.most_wrong)
            case Verdict.WRONG:
                raise WrongSignInCode


async def request_sign_in(
    db: Connection, vault: Vault, settings: Settings, request_id: int, email: str, *, known: bool
) -> None:
    """Write a request, whose id is `request_id`, and post its code: to the address as its account has it, if one does.

    `known`: that account has signed in before where it is asked for. Nobody is sent a code who would not be let in:
    no administrator and no support, and nobody at an address that was left a short while ago, or that is to be verified
    first since it replaced one that was.
    """
    account, code = await find_addressed(db, email), new_code()
    sent_to = email if account is None else str(account["email"])
    is_sent = await _may_enter(db, account, sent_to)
    await db.execute(
        "INSERT INTO sign_ins (id, email, email_key, code_hmac, known, requested_at, expires_at)"
        " SELECT $1, $2, $3, $4, $5, at, at + make_interval(mins => $6::int) FROM clock() AS at",
        request_id,
        sent_to,
        address_identity(email),
        digest_code(vault, request_id, code) if is_sent else None,
        known,
        settings.mailed_code_minutes,
    )
    if is_sent:
        sealed = seal(vault, {"code": code, "email": sent_to})
        await post(db, [Letter("sign_in", account=STRANGER if account is None else account["id"], sealed=sealed)])


async def get_request(db: Connection, segment: str, *, address: str = "") -> Row:
    """The request with this id, as it stands to whoever calls from this address. Raises NotFound."""
    request = await db.fetchrow(_READ, ids.parse(segment), False)
    if (
        request is not None
        and request["known"]
        and request["account_id"] is not None
        and await is_known_address(db, request["account_id"], address)
    ):
        request = await db.fetchrow(_READ, request["id"], True)
    if request is None:
        raise NotFound
    return request


def ensure_open(settings: Settings, request: Row) -> None:
    """Look whether a code may be tried for it at all, whichever. Raises what `Attempt.ensure_right` does."""
    _attempt(settings, request, None, is_right=True).ensure_right()


async def try_code(
    db: Connection, vault: Vault, settings: Settings, segment: str, code: str, *, address: str
) -> Attempt:
    """Try a code, in the caller's transaction, which must be committed whatever the verdict is.

    A right one completes its request, and closes the others for the address. The last wrong one of a day is told to the
    account's owner. The account, if there is one, stays locked. Raises NotFound.
    """
    # By itself, before anything is read or locked: what was waited for is then read as it is, not as it was.
    await db.execute(_LOCK, ids.parse(segment))
    request = await get_request(db, segment, address=address)
    account = await find_addressed(db, request["email"], locking=True)
    is_right = is_code(vault, request["code_hmac"], request["id"], code)
    is_right = is_right and await _may_enter(db, account, request["email"])
    attempt = _attempt(settings, request, account, is_right=is_right)
    if attempt.verdict is Verdict.RIGHT:
        await db.execute(_COMPLETE, request["id"], request["email_key"])
    elif attempt.verdict is Verdict.WRONG:
        await db.execute(_COUNT, request["id"], settings.mailed_code_tries, request["as_known"])
        if account is not None and request["wrong_today"] + 1 == settings.wrong_mailed_codes:
            await post(db, [Letter("codes_exhausted", account=account["id"])])
    return attempt


async def _may_enter(db: Connection, account: Row | None, email: str) -> bool:
    """Whether who reads this address's mail is let in: to the account, or as somebody new.

    Two ways to write an address may be two mailboxes, though they are one to us: only the account's own counts.
    """
    if account is None:
        return await former_addresses.find_account(db, address_identity(email)) is None
    return account["role"] in ROLES and not account["must_verify"] and account["email"] == email


def _attempt(settings: Settings, request: Row, account: Row | None, *, is_right: bool) -> Attempt:
    tried = Tried(request["closed"], request["wrong_today"], is_right)
    verdict = judge(tried, settings.wrong_mailed_codes)
    return Attempt(verdict, request["email"], account, settings.wrong_mailed_codes, request["seconds_left"])


# Not by a row: the address may have neither an account nor, for another request, this one's row.
_LOCK = f"SELECT pg_advisory_xact_lock({CLASS}, hashtext(email_key)) FROM sign_ins WHERE id = $1"

# The day is the 24 hours before: no code is good for longer, so each guess counts.
_READ = f"""
WITH now AS MATERIALIZED (SELECT clock() AS at)
SELECT sign_in.id, sign_in.email, sign_in.email_key, sign_in.code_hmac, sign_in.known, $2::boolean AS as_known,
       sign_in.completed_at IS NOT NULL OR sign_in.expires_at <= now.at AS closed,
       CASE WHEN sign_in.completed_at IS NOT NULL THEN 'Completed' WHEN sign_in.expires_at <= now.at THEN 'Expired'
            ELSE 'Pending' END AS status,
       account.id AS account_id, coalesce(today.wrong, 0)::int AS wrong_today,
       greatest(ceil(extract(epoch FROM today.since + interval '1 day' - now.at)), 1)::int AS seconds_left
  FROM now, sign_ins sign_in
  LEFT JOIN accounts account ON account.email_key = sign_in.email_key AND {PEOPLE}
  CROSS JOIN LATERAL (
       SELECT sum(counted.wrong) AS wrong, min(other.requested_at) FILTER (WHERE counted.wrong > 0) AS since
         FROM sign_ins other
              CROSS JOIN LATERAL (
              SELECT CASE WHEN $2 THEN other.wrong_known ELSE other.wrong - other.wrong_known END AS wrong) AS counted
        WHERE other.email_key = sign_in.email_key AND other.requested_at > (SELECT at FROM now) - interval '1 day'
       ) AS today
 WHERE sign_in.id = $1"""

_COMPLETE = """
UPDATE sign_ins SET completed_at = CASE WHEN id = $1 THEN clock() END, expires_at = least(expires_at, clock())
 WHERE email_key = $2 AND completed_at IS NULL"""

_COUNT = """
UPDATE sign_ins
   SET wrong = wrong + 1, wrong_known = wrong_known + $3::boolean::int,
       expires_at = CASE WHEN wrong + 1 >= $2 THEN clock() ELSE expires_at END
 WHERE id = $1"""

FORGET = """
DELETE FROM sign_ins WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM sign_ins WHERE requested_at < (SELECT clock()) - make_interval(days => $2)
     ORDER BY requested_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""
