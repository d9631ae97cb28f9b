"""Signing in, and up, by a mailed code over HTTP."""

from ticketing.accounts import actions as accounts
from ticketing.accounts.forms import EMAIL_CODE_REQUEST, VERIFICATION
from ticketing.accounts.queries import find_addressed
from ticketing.accounts.rules import Verdict, new_username
from ticketing.guesses import counting as failures
from ticketing.history import recording as history
from ticketing.kit.database import Connection
from ticketing.kit.vault import Vault
from ticketing.letters.posting import Letter, post
from ticketing.settings import Settings
from ticketing.web.operations import Call, Operations, Reply, created

from . import actions, queries, sign_ins
from .errors import Deactivated, NoSignInAddress, SignInClosed, WrongSignInCode
from .schemas import Session, SignIn
from .sign_ins import Attempt

operations = Operations("Session Authentication")


@operations(
    "POST /sign-ins",
    answers=SignIn,
    status=201,
    form=EMAIL_CODE_REQUEST,
    errors=[NoSignInAddress],
)
async def request_sign_in(call: Call) -> Reply:
    """Request sign-in code.

    Six digits go to the address, good for half an hour, whether or not there is an account with it: one is made when
    the code comes back. Answered alike and sent none are administrators and support, who sign in by password, an
    address that is to be verified first, since it replaced one that was, and for seven days one that was replaced.
    """
    body = call.json()
    if not EMAIL_CODE_REQUEST.by_name["email"].is_supplied(body):
        raise NoSignInAddress
    async with call.reading() as db:
        email = (await EMAIL_CODE_REQUEST.read(body, db))["email"]
        account = await find_addressed(db, email)
        known = account is not None and (
            account["id"] == call.caller.account or await failures.is_known_address(db, account["id"], call.address)
        )
    await failures.claim_try(call, failures.sign_in_bounds(call, email, known=known))
    request_id = call.new_id()
    async with call.transaction() as db:
        await sign_ins.request_sign_in(db, call.the(Vault), call.the(Settings), request_id, email, known=known)
    return created(SignIn(f"/sign-ins/{request_id}", email, "Pending"))


@operations("GET /sign-ins/{sign_in}", answers=SignIn)
async def retrieve_sign_in(call: Call) -> Reply:
    """Retrieve a sign-in.

    How the request of a code stands. Not for its owner, who is not signed in.
    """
    async with call.reading() as db:
        request = await sign_ins.get_request(db, call.path["sign_in"])
    return Reply(SignIn(f"/sign-ins/{request['id']}", request["email"], request["status"]))


@operations(
    "PATCH /sign-ins/{sign_in}",
    answers=Session,
    status=201,
    form=VERIFICATION,
    errors=[WrongSignInCode, SignInClosed, Deactivated],
    carries_key=True,
)
async def sign_in_by_code(call: Call) -> Reply:
    """Sign in by code.

    With the code that was mailed, as text or as a number: it verifies the address and starts a session. Where no
    account has the address, one is made, with a username of its own and no password. Where one has it that had never
    verified it, its password is dropped and its sessions end: somebody else may have typed the address.
    After five wrong codes the sign-in expires; after ten for one address within a day, over all its requests, no code
    is taken.
    """
    segment, settings = call.path["sign_in"], call.the(Settings)
    async with call.reading() as db:
        request = await sign_ins.get_request(db, segment, address=call.address)
        code = (await VERIFICATION.read(call.json(), db))["code"]
    sign_ins.ensure_open(settings, request)
    bounds = failures.mailed_code_bounds(call)
    # An account that may have to be made is counted before; taken back where it was not.
    registration = failures.registration_bounds(call) if request["account_id"] is None else []
    await failures.claim_try(call, registration)
    is_made = False
    try:
        await failures.claim_try(call, bounds)
        async with call.transaction() as db:
            attempt = await sign_ins.try_code(db, call.the(Vault), settings, segment, code, address=call.address)
            session = await _let_in(call, db, attempt) if attempt.verdict is Verdict.RIGHT else None
        is_made = attempt.account is None and session is not None
    finally:
        if not is_made:
            await failures.forget(call, registration)
    if attempt.verdict is not Verdict.WRONG:
        await failures.forget(call, bounds)
    attempt.ensure_right()
    if session is None:
        raise Deactivated
    return created(session)


async def _let_in(call: Call, db: Connection, attempt: Attempt) -> Session | None:
    """The session that a right code opens; None where the account is deactivated."""
    account = attempt.account
    if account is None:
        return await _start_session(call, db, await _register(call, db, attempt.email))
    if not account["activated"]:
        return None
    if not account["verified"]:
        await accounts.prove_address(db, account["id"])
        await history.record(db, call.new_id(), call.caller, "account.verified", f"/accounts/{account['number']}")
    return await _start_session(call, db, account["id"])


async def _register(call: Call, db: Connection, email: str) -> int:
    """A new account for whoever reads this address's mail, without a password; its id."""
    account_id, values = call.new_id(), {"username": new_username(), "email": email}
    number = await accounts.create_account(db, account_id, values, "", verified=True)
    await post(db, [Letter("welcome", account=account_id)])
    await history.record(db, call.new_id(), call.caller, "account.created_by_code", f"/accounts/{number}")
    return account_id


async def _start_session(call: Call, db: Connection, account_id: int) -> Session:
    session_id, key = call.new_id(), actions.new_key()
    ip, agent = call.address, call.header("user-agent")
    await actions.start_session(db, call.the(Settings), session_id, account_id, key=key, ip=ip, agent=agent)
    return await queries.get_session(db, session_id, key)
