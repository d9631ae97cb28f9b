"""Sessions over HTTP."""

from ticketing.accounts.errors import AccountNotFound, NotYourAccount
from ticketing.accounts.passwords import Passwords, is_outdated
from ticketing.accounts.queries import account_for, find_identified
from ticketing.guesses import counting as failures
from ticketing.settings import Settings
from ticketing.web.errors import Busy, NotFound, Restricted, Unauthenticated
from ticketing.web.operations import HASH_COST, Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import actions, queries
from .errors import Deactivated, WrongPassword
from .schemas import CREDENTIALS, PastSession, Session

operations = Operations("Session Authentication")


@operations(
    "POST /sessions",
    answers=Session,
    status=201,
    form=CREDENTIALS,
    errors=[AccountNotFound, WrongPassword, Deactivated],
    carries_key=True,
    cost=HASH_COST,
)
async def start_session(call: Call) -> Reply:
    """Start a new API session.

    The answer's `key` goes into the `X-API-Key` header. Too many wrong passwords close an account to sign-ins for a
    while.
    """
    body = call.json()
    passwords = call.the(Passwords)
    async with call.reading() as db:
        credentials = await CREDENTIALS.read(body, db)
        account = await find_identified(db, credentials["identification"])
        known = account is not None and await failures.is_known_address(db, account["id"], call.address)
    passwords.ensure_room(asker=call.asker)
    bounds = failures.password_bounds(call, account=account["id"] if account else None, known=known)
    await failures.claim_try(call, bounds)
    if account is None:
        raise AccountNotFound
    password, known_hash = credentials["password"], account["password_hash"]
    if not await passwords.is_right(known_hash, password, asker=call.asker):
        raise WrongPassword
    await failures.forget(call, bounds)
    if not account["activated"]:
        raise Deactivated
    better_hash = await passwords.hash(password, asker=call.asker) if is_outdated(known_hash) else None
    session_id, key = call.new_id(), actions.new_key()
    async with call.transaction() as db:
        if not await actions.keep_password(db, account["id"], known_hash, better_hash):
            raise Busy
        await actions.start_session(
            db, call.the(Settings), session_id, account["id"], key=key, ip=call.address, agent=call.header("user-agent")
        )
        return created(await queries.get_session(db, session_id, key))


@operations("GET /sessions/active", answers=Session)
async def continue_session(call: Call) -> Reply:
    """Retrieve an active API session.

    The session whose key was sent. A key that is unknown, has ended or is no session's is answered with 401.
    """
    if call.caller.session is None:
        raise Unauthenticated
    async with call.reading() as db:
        try:
            return Reply(await queries.get_session(db, call.caller.session, call.header("x-api-key")))
        except NotFound:
            raise Unauthenticated from None


@operations("DELETE /sessions/active", errors=[Restricted])
async def end_session(call: Call) -> Reply:
    """End an active API session.

    The session whose key was sent. One that has ended already is answered with 403, a key that is unknown or no
    session's with 401.
    """
    if call.caller.session is None:
        raise Unauthenticated
    async with call.transaction() as db:
        if not await actions.end_session(db, call.caller.session):
            raise Restricted
    return done("The session has ended.")


@operations("GET /sessions/{session}", answers=Session, errors=[NotYourAccount])
async def retrieve_session(call: Call) -> Reply:
    """Retrieve an open API session.

    The key is shown to its bearer only.
    """
    async with call.reading() as db:
        session_id = await queries.session_for(db, call.caller, call.path["session"])
        key = call.header("x-api-key") if session_id == call.caller.session else ""
        return Reply(await queries.get_session(db, session_id, key))


@operations("DELETE /sessions/{session}", errors=[NotYourAccount])
async def close_session(call: Call) -> Reply:
    """End an open API session.

    For somebody who left a session open elsewhere.
    """
    async with call.transaction() as db:
        await actions.end_session(db, await queries.session_for(db, call.caller, call.path["session"]))
    return done("The session has ended.")


@operations(
    "GET /accounts/{number}/sessions",
    tag="Account Activity",
    answers=Page[PastSession],
    listing=queries.HISTORY,
    errors=[AccountNotFound, NotYourAccount],
)
async def list_api_session(call: Call) -> Reply:
    """List API sessions."""
    async with call.reading() as db:
        account_id = await account_for(db, call.caller, call.path["number"], support_may=True)
        return Reply(await queries.HISTORY.page(db, call.query, where="session.account_id = $1", values=[account_id]))
