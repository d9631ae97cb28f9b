"""Six-digit codes by mail: asking for one, and trying one.

A code is looked at under the lock of its account, where every wrong one is counted twice: against its own request,
which then expires, and against the account's day, over all requests. So a thousand sent at once, to whichever process,
are looked at one after the other, and no more of them than the bounds allow.

An account has two such counts: for codes that were asked for, and are tried, where it has signed in before, and for all
others. So a stranger who uses up the one has not shut the owner out.
"""

import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum

from ticketing.guesses.counting import is_known_address
from ticketing.kit import ids
from ticketing.kit.database import Connection, Row
from ticketing.kit.identity import address_identity
from ticketing.kit.vault import Vault
from ticketing.letters.posting import Letter, post, seal
from ticketing.settings import Settings
from ticketing.web.errors import NotFound, TooManyRequests

from . import former_addresses
from .errors import AccountNotFound, ResetClosed, VerificationClosed, WrongResetCode, WrongVerificationCode
from .queries import PEOPLE
from .rules import Tried, Verdict, judge

FIRST, LAST = 100_000, 999_999  # none begins with a zero: sent as a number it is the same
KEPT_DAYS = 30
_PURPOSE = "mailed code"


class Purpose(StrEnum):
    """What a code is good for."""

    VERIFICATION = "verification"
    RESET = "reset"


_CLOSED = {Purpose.VERIFICATION: VerificationClosed, Purpose.RESET: ResetClosed}
_WRONG = {Purpose.VERIFICATION: WrongVerificationCode, Purpose.RESET: WrongResetCode}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a code that was tried: to be settled when that is committed."""

    purpose: Purpose
    verdict: Verdict
    request: int
    account: int
    number: str
    email: str
    seconds_to_midnight: int
    most_wrong: int
    takes_back: bool

    def ensure_right(self) -> None:
        """Raise VerificationClosed or ResetClosed, TooManyRequests, WrongVerificationCode or WrongResetCode."""
        match self.verdict:
            case Verdict.CLOSED:
                raise _CLOSED[self.purpose]
            case Verdict.REFUSED_TODAY:
                raise TooManyRequests(self.seconds_to_midnight, self.most_wrong)
            case Verdict.WRONG:
                raise _WRONG[self.purpose]


def new_code() -> str:
    """Six digits that nobody can know."""
    return str(FIRST + secrets.randbelow(LAST - FIRST + 1))


def digest_code(vault: Vault, request_id: int, code: str) -> bytes:
    """What is kept of a code; with its request's id, so that equal codes of two requests do not look equal."""
    return vault.digest(_PURPOSE, _digested(request_id, code))


def is_code(vault: Vault, kept: bytes | None, request_id: int, code: str) -> bool:
    """Whether it is the code that this was kept of, with whichever secret of the vault."""
    digests = vault.digests(_PURPOSE, _digested(request_id, code))
    return any(hmac.compare_digest(kept or b"", digest) for digest in digests)


def _digested(request_id: int, code: str) -> bytes:
    return f"{request_id} {code}".encode()


async def find_addressee(db: Connection, purpose: Purpose, email: str) -> int:
    """The id of the person with this e-mail address, in any case.

    For a reset also of the one whose account can be taken back from there. Raises AccountNotFound.
    """
    key = address_identity(email)
    found: int | None = await db.fetchval(f"SELECT id FROM accounts account WHERE {PEOPLE} AND email_key = $1", key)
    if found is None and purpose is Purpose.RESET:
        found = await former_addresses.find_account(db, key)
    if found is None:
        raise AccountNotFound
    return found


async def request_code(
    db: Connection, vault: Vault, settings: Settings, request_id: int, purpose: Purpose, email: str, *, known: bool
) -> str:
    """Write a request, whose id is `request_id`, and post its code to the address, which is returned as it is kept.

    `known`: the account has signed in before where it is asked for.

    An administrator's password is reset at the server alone: no code is right, and none is sent. Nor is one for a new
    password to an address that is yet to be verified as its predecessor was; that one gets a code which takes the
    account back.

    Raises AccountNotFound.
    """
    key = address_identity(email)
    account = await db.fetchrow(
        "SELECT id, email, email_key, role, must_verify FROM accounts account"
        f" WHERE {PEOPLE} AND id = $1 FOR NO KEY UPDATE",
        await find_addressee(db, purpose, email),
    )
    if account is None:
        raise AccountNotFound
    is_own, is_reset = account["email_key"] == key, purpose is Purpose.RESET
    is_settled = is_own and not (is_reset and account["must_verify"])
    former = None if is_settled else await former_addresses.find_address(db, account["id"], key)
    if not is_own and former is None:
        raise AccountNotFound
    code = new_code()
    is_sent = (is_settled or former is not None) and not (is_reset and account["role"] == "administrator")
    await db.execute(
        "INSERT INTO codes (id, purpose, account_id, code_hmac, requested_at, expires_at, former_email, former_key,"
        " known) SELECT $1, $2, $3, $4, at, at + make_interval(mins => $5::int), $6, $7, $8 FROM clock() AS at",
        request_id,
        purpose,
        account["id"],
        digest_code(vault, request_id, code) if is_sent else None,
        settings.mailed_code_minutes,
        former,
        None if former is None else key,
        known,
    )
    if is_sent:
        secret = {"code": code} if former is None else {"code": code, "email": former}
        await post(db, [Letter(purpose.value, account=account["id"], sealed=seal(vault, secret))])
    return str(account["email"] if former is None else former)


async def get_request(db: Connection, purpose: Purpose, segment: str, *, address: str = "") -> Row:
    """The request for a code with this id, as it stands to whoever calls from this address. Raises NotFound."""
    request = await db.fetchrow(_READ, ids.parse(segment), purpose, False)
    if request is not None and request["known"] and await is_known_address(db, request["account_id"], address):
        request = await db.fetchrow(_READ, request["id"], purpose, True)
    if request is None:
        raise NotFound
    return request


def ensure_open(settings: Settings, request: Row) -> None:
    """Look whether a code may be tried for it at all, whichever.

    Raises what `Attempt.ensure_right` raises, but for a wrong code.
    """
    _attempt(settings, request, _judge(settings, request, is_right=True)).ensure_right()


async def try_code(
    db: Connection, vault: Vault, settings: Settings, purpose: Purpose, segment: str, code: str, *, address: str
) -> Attempt:
    """Try a code, in the caller's transaction, which must be committed whatever the verdict is.

    A right one completes its request, and closes the account's other requests for the same. The last wrong one of a
    day is told to the account's owner. The account stays locked.

    Raises NotFound when there is no such request.
    """
    # By itself: a request that was waited for is then read as it is, not as it was.
    await db.execute(
        "SELECT FROM accounts WHERE id = (SELECT account_id FROM codes WHERE id = $1) FOR NO KEY UPDATE",
        ids.parse(segment),
    )
    request = await get_request(db, purpose, segment, address=address)
    is_right = is_code(vault, request["code_hmac"], request["id"], code) and request["may_complete"]
    verdict = _judge(settings, request, is_right=is_right)
    if verdict is Verdict.RIGHT:
        await db.execute("UPDATE codes SET completed_at = clock() WHERE id = $1", request["id"])
        await close_requests(db, request["account_id"], purpose)
    elif verdict is Verdict.WRONG:
        await _count_wrong(db, vault, settings, request)
    return _attempt(settings, request, verdict)


async def close_requests(db: Connection, account_id: int, *purposes: Purpose, former: bool = False) -> None:
    """Let no code that was sent for these purposes so far be right any more; `former`: to former addresses neither."""
    await db.execute(
        "UPDATE codes SET expires_at = clock() WHERE account_id = $1 AND purpose = ANY($2::text[])"
        " AND completed_at IS NULL AND expires_at > clock() AND (former_key IS NULL OR $3)",
        account_id,
        purposes,
        former,
    )


FORGET = """
DELETE FROM codes WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM codes WHERE requested_at < (SELECT clock()) - make_interval(days => $2)
     ORDER BY requested_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""

FORGET_WRONG = """
DELETE FROM wrong_codes WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM wrong_codes WHERE day < (SELECT clock())::date ORDER BY day LIMIT $1 FOR UPDATE SKIP LOCKED))"""


# `may_complete`: a code sent to somebody who became an administrator since is as good as none; so is one sent to a
# former address that takes nothing back any more.
_READ = f"""
WITH now AS MATERIALIZED (SELECT clock() AS at)
SELECT code.id, code.purpose, code.account_id, code.code_hmac, code.wrong, code.known, $3::boolean AS as_known,
       code.completed_at IS NOT NULL OR code.expires_at <= now.at AS closed,
       CASE WHEN code.completed_at IS NOT NULL THEN 'Completed' WHEN code.expires_at <= now.at THEN 'Expired'
            ELSE 'Pending' END AS status,
       (code.purpose = 'verification' OR account.role <> 'administrator')
       AND (code.former_key IS NULL OR EXISTS (
            SELECT FROM former_addresses former
             WHERE former.account_id = account.id AND former.email_key = code.former_key AND {former_addresses.LIVE})
       ) AS may_complete,
       account.number, code.former_key IS NOT NULL AS takes_back, coalesce(code.former_email, account.email) AS email,
       coalesce(today.count, 0) AS wrong_today,
       ceil(extract(epoch FROM now.at::date + 1 - now.at))::int AS seconds_to_midnight
  FROM now, codes code
  JOIN accounts account ON account.id = code.account_id AND account.removed_at IS NULL
  LEFT JOIN wrong_codes today ON today.account_id = code.account_id AND today.known = $3
       AND today.day = (SELECT at::date FROM now)
 WHERE code.id = $1 AND code.purpose = $2"""

_COUNT_REQUEST = """
UPDATE codes SET wrong = wrong + 1, expires_at = CASE WHEN wrong + 1 >= $2 THEN clock() ELSE expires_at END
 WHERE id = $1"""

_COUNT_DAY = """
INSERT INTO wrong_codes AS today (account_id, known, day, count) VALUES ($1, $2, clock()::date, 1)
ON CONFLICT (account_id, known) DO UPDATE
   SET count = CASE WHEN today.day = excluded.day THEN today.count + 1 ELSE 1 END, day = excluded.day
RETURNING count"""


async def _count_wrong(db: Connection, vault: Vault, settings: Settings, request: Row) -> None:
    await db.execute(_COUNT_REQUEST, request["id"], settings.mailed_code_tries)
    if await db.fetchval(_COUNT_DAY, request["account_id"], request["as_known"]) == settings.wrong_mailed_codes:
        sealed = seal(vault, {"email": request["email"]}) if request["takes_back"] else None
        await post(db, [Letter("codes_exhausted", account=request["account_id"], sealed=sealed)])


def _judge(settings: Settings, request: Row, *, is_right: bool) -> Verdict:
    return judge(Tried(request["closed"], request["wrong_today"], is_right), settings.wrong_mailed_codes)


def _attempt(settings: Settings, request: Row, verdict: Verdict) -> Attempt:
    return Attempt(
        Purpose(request["purpose"]),
        verdict,
        request["id"],
        request["account_id"],
        request["number"],
        request["email"],
        request["seconds_to_midnight"],
        settings.wrong_mailed_codes,
        request["takes_back"],
    )
