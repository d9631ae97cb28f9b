"""Verifications and password resets over HTTP."""

from collections.abc import Sequence
from typing import Any

from ticketing.guesses import counting as failures
from ticketing.guesses.counting import Bound
from ticketing.history import recording as history
from ticketing.kit.database import Connection
from ticketing.kit.vault import Vault
from ticketing.settings import Settings
from ticketing.web.errors import Invalid
from ticketing.web.forms import Form
from ticketing.web.operations import HASH_COST, Call, Operations, Reply, created

from . import actions, codes, forms
from .codes import Attempt, Purpose
from .errors import (
    AccountNotFound,
    NoResetAddress,
    NoVerificationAddress,
    ResetClosed,
    VerificationClosed,
    WrongResetCode,
    WrongVerificationCode,
)
from .passwords import Passwords
from .rules import ChangedBy, Verdict
from .schemas import Reset, Verification

operations = Operations("Account Verification")


@operations(
    "POST /verifications",
    answers=Verification,
    status=201,
    form=forms.CODE_REQUEST,
    errors=[NoVerificationAddress, AccountNotFound],
)
async def request_verification_code(call: Call) -> Reply:
    """Request verification code.

    Six digits go to the account's address, good for half an hour. Another may be requested while one is pending.
    """
    request_id, email = await _request(call, Purpose.VERIFICATION, NoVerificationAddress)
    return created(Verification(f"/verifications/{request_id}", email, "Pending"))


@operations(
    "PATCH /verifications/{verification}",
    answers=Verification,
    form=forms.VERIFICATION,
    errors=[WrongVerificationCode, VerificationClosed],
)
async def verify_account(call: Call) -> Reply:
    """Verify account.

    With the code that was mailed, as text or as a number. After five wrong ones the verification expires; after ten
    for one account in a day (UTC), over all its requests, no code is taken until the next day.
    """
    segment = call.path["verification"]
    values = await _read(call, Purpose.VERIFICATION, segment, forms.VERIFICATION)
    bounds = failures.mailed_code_bounds(call)
    await failures.claim_try(call, bounds)
    async with call.transaction() as db:
        attempt = await _try(call, db, Purpose.VERIFICATION, segment, values["code"])
        if attempt.verdict is Verdict.RIGHT:
            await actions.verify_account(db, attempt.account)
            await history.record(db, call.new_id(), call.caller, "account.verified", f"/accounts/{attempt.number}")
    await _settle(call, bounds, attempt)
    uri = f"/verifications/{attempt.request}"
    return Reply(Verification(uri, attempt.email, "Completed", "The account was verified."))


@operations("GET /verifications/{verification}", answers=Verification)
async def retrieve_verification(call: Call) -> Reply:
    """Retrieve a verification.

    How the request of a code stands. Not for its owner, who is not signed in.
    """
    request_id, email, status = await _look_up(call, Purpose.VERIFICATION, call.path["verification"])
    return Reply(Verification(f"/verifications/{request_id}", email, status))


@operations(
    "POST /resets",
    tag="Password Reset",
    answers=Reset,
    status=201,
    form=forms.CODE_REQUEST,
    errors=[NoResetAddress, AccountNotFound],
)
async def request_reset(call: Call) -> Reply:
    """Request password reset.

    Six digits go to the account's address, good for half an hour. Another may be requested while one is pending.
    Administrators are sent none: their password is set at the server; nor is an address that is to be verified first,
    since it replaced one that was. An address that was verified until it was replaced is sent one for seven days.
    """
    request_id, email = await _request(call, Purpose.RESET, NoResetAddress)
    return created(Reset(f"/resets/{request_id}", email, "Pending"))


@operations(
    "PATCH /resets/{reset}",
    tag="Password Reset",
    answers=Reset,
    form=forms.RESET,
    errors=[WrongResetCode, ResetClosed],
    cost=HASH_COST,
)
async def reset_password(call: Call) -> Reply:
    """Reset password.

    With the code that was mailed, as text or as a number, and the new password. Every session of the account ends. A
    code that went to a former address also makes that the account's address again, verified.
    After five wrong codes the reset expires; after ten for one account in a day (UTC), over all its requests, no code
    is taken until the next day.
    """
    segment = call.path["reset"]
    values = await _read(call, Purpose.RESET, segment, forms.RESET)
    bounds = failures.mailed_code_bounds(call)
    await failures.claim_try(call, bounds)
    # Also for a wrong code: else the time that an answer takes would tell a right one, even where none is taken.
    password_hash = await call.the(Passwords).hash(values["password"], asker=call.asker)
    async with call.transaction() as db:
        attempt = await _try(call, db, Purpose.RESET, segment, values["code"])
        if attempt.verdict is Verdict.RIGHT:
            if attempt.takes_back:
                await actions.take_back(db, call.the(Vault), attempt.account, attempt.email)
            await actions.set_password(db, attempt.account, password_hash, by=ChangedBy.CODE)
            act = "account.taken_back" if attempt.takes_back else "account.password_reset"
            await history.record(db, call.new_id(), call.caller, act, f"/accounts/{attempt.number}")
    await _settle(call, bounds, attempt)
    await failures.clear(call, failures.own_password_bounds(call, attempt.account))
    return Reply(Reset(f"/resets/{attempt.request}", attempt.email, "Completed", "The password was reset."))


@operations("GET /resets/{reset}", tag="Password Reset", answers=Reset)
async def retrieve_reset(call: Call) -> Reply:
    """Retrieve a password reset.

    How the request of a code stands. Not for its owner, who is not signed in.
    """
    request_id, email, status = await _look_up(call, Purpose.RESET, call.path["reset"])
    return Reply(Reset(f"/resets/{request_id}", email, status))


async def _look_up(call: Call, purpose: Purpose, segment: str) -> tuple[int, str, str]:
    """The id of a request, the address of its account, and how it stands. Raises NotFound."""
    async with call.reading() as db:
        request = await codes.get_request(db, purpose, segment)
    return request["id"], request["email"], request["status"]


async def _request(call: Call, purpose: Purpose, no_address: type[Invalid]) -> tuple[int, str]:
    """The id of a new request, and the address to which its code goes."""
    body = call.json()
    if not forms.CODE_REQUEST.by_name["email"].is_supplied(body):
        raise no_address
    async with call.reading() as db:
        values = await forms.CODE_REQUEST.read(body, db)
        account = await codes.find_addressee(db, purpose, values["email"])
        known = account == call.caller.account or await failures.is_known_address(db, account, call.address)
    await failures.claim_try(call, failures.request_bounds(call, purpose, account, known=known))
    request_id = call.new_id()
    async with call.transaction() as db:
        return request_id, await codes.request_code(
            db, call.the(Vault), call.the(Settings), request_id, purpose, values["email"], known=known
        )


async def _read(call: Call, purpose: Purpose, segment: str, form: Form) -> dict[str, Any]:
    """The body of a try at a request that is open."""
    async with call.reading() as db:
        request = await codes.get_request(db, purpose, segment, address=call.address)
        values = await form.read(call.json(), db)
    codes.ensure_open(call.the(Settings), request)
    return values


async def _try(call: Call, db: Connection, purpose: Purpose, segment: str, code: str) -> Attempt:
    return await codes.try_code(db, call.the(Vault), call.the(Settings), purpose, segment, code, address=call.address)


async def _settle(call: Call, bounds: Sequence[Bound], attempt: Attempt) -> None:
    """Answer for a try that is committed; raises what `Attempt.ensure_right` does."""
    if attempt.verdict is not Verdict.WRONG:
        await failures.forget(call, bounds)
    attempt.ensure_right()
