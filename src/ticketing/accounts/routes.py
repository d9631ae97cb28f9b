"""Accounts over HTTP."""

from ticketing.guesses import counting as failures
from ticketing.history import recording as history
from ticketing.kit.vault import Vault
from ticketing.letters.posting import Letter, post
from ticketing.web.callers import Level
from ticketing.web.errors import Busy, InvalidValues, Taken
from ticketing.web.operations import HASH_COST, Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import actions, forms, queries
from .errors import AccountHoldsTickets, AccountNotFound, LastAdministrator, NotYourAccount, RunsHostAlone
from .gates import GateCodes
from .passwords import Passwords
from .rules import ChangedBy
from .schemas import Account, Lookup, Password, Preferences

operations = Operations("Account Management")

_TAKEN = (Taken("user", {"username": "marvin"}), Taken("user", {"email": "marvin@example.com"}))


@operations("GET /accounts", answers=Page[Account], listing=queries.ACCOUNTS)
async def list_accounts(call: Call) -> Reply:
    """List user accounts."""
    async with call.reading() as db:
        return Reply(await queries.ACCOUNTS.page(db, call.query, where=queries.PEOPLE))


@operations("POST /accounts", answers=Account, status=201, form=forms.REGISTRATION, errors=_TAKEN, cost=HASH_COST)
async def create_account(call: Call) -> Reply:
    """Create a new account.

    A customer, not verified yet. Username and e-mail address are unique in any case and shown as given; a username
    with an `@` must be the person's own address. The password has 8 to 256 characters.
    """
    body = call.json()
    async with call.reading() as db:
        await actions.ensure_free(db, body)
        values = await forms.read_registration(db, body)
    bounds = [] if call.caller.administers else failures.registration_bounds(call)
    await failures.claim_try(call, bounds)
    try:
        password_hash = await call.the(Passwords).hash(values["password"], asker=call.asker)
        account_id = call.new_id()
        async with call.transaction() as db:
            await actions.create_account(db, account_id, values, password_hash)
            await post(db, [Letter("welcome", account=account_id)])
            account = await queries.get_account(db, account_id)
    except Exception:
        await failures.forget(call, bounds)  # what was not made counts for nothing
        raise
    return created(account)


@operations("GET /accounts/{number}", answers=Account, errors=[AccountNotFound, NotYourAccount])
async def retrieve_account(call: Call) -> Reply:
    """Retrieve account details."""
    async with call.reading() as db:
        account_id = await queries.account_for(db, call.caller, call.path["number"], support_may=True)
        return Reply(await queries.get_account(db, account_id))


@operations(
    "PUT /accounts/{number}",
    answers=Account,
    form=forms.PROFILE,
    errors=[AccountNotFound, NotYourAccount, *_TAKEN],
)
async def update_account(call: Call) -> Reply:
    """Modify account details.

    Members left out keep their value; null or "" clears one. Number, role, verified and activated are ignored. A new
    e-mail address is not verified, and the old one is told. When the old one was verified, the account's other sessions
    end, no reset code goes to the new one before it is verified too, and for seven days a reset requested with the old
    one takes the account back.
    """
    async with call.transaction() as db:
        account_id = await queries.account_for(db, call.caller, call.path["number"], locking=True)
        body = call.json()
        await actions.ensure_free(db, body, but=account_id)
        account = await queries.get_account(db, account_id)
        values = await forms.read_profile(db, body, account.username, account.email)
        await actions.update_account(db, call.the(Vault), account_id, values, session=call.caller.session)
        return Reply(await queries.get_account(db, account_id))


@operations("GET /accounts/{number}/password", answers=Password, errors=[AccountNotFound, NotYourAccount])
async def retrieve_password(call: Call) -> Reply:
    """Retrieve whether one has a password.

    Who registered by a code has none, until one is set.
    """
    async with call.reading() as db:
        account_id = await queries.own_account(db, call.caller, call.path["number"])
        is_set = bool(await queries.get_password_hash(db, account_id))
    return Reply(Password(f"/accounts/{call.caller.number}/password", is_set))


@operations(
    "PUT /accounts/{number}/password",
    form=forms.NEW_PASSWORD,
    errors=[AccountNotFound, NotYourAccount],
    cost=HASH_COST,
)
async def change_password(call: Call) -> Reply:
    """Change one's password.

    With the `current` one, unless there is none yet. Every other session of the account ends, and its owner is told.
    Wrong ones are counted like those of signing in.
    """
    async with call.reading() as db:
        account_id = await queries.own_account(db, call.caller, call.path["number"])
        known_hash = await queries.get_password_hash(db, account_id)
        values = await forms.read_new_password(db, call.json(), has_password=bool(known_hash))
    passwords = call.the(Passwords)
    passwords.ensure_room(asker=call.asker)
    if known_hash:
        await _ensure_current(call, account_id, known_hash, values["current"])
    password_hash = await passwords.hash(values["password"], asker=call.asker)
    async with call.transaction() as db:
        await queries.lock_own(db, call.caller, call.path["number"])
        if await queries.get_password_hash(db, account_id) != known_hash:
            raise Busy  # somebody else has changed it this very moment
        by = ChangedBy.OWNER if known_hash else ChangedBy.FIRST
        await actions.set_password(db, account_id, password_hash, by=by, but=call.caller.session)
        await history.record(
            db, call.new_id(), call.caller, "account.password_changed", f"/accounts/{call.caller.number}"
        )
    return done("The password was changed.")


async def _ensure_current(call: Call, account_id: int, known_hash: str, password: str) -> None:
    """Raise InvalidValues for a wrong password, TooManyRequests after many."""
    # Whoever is signed in stands where the account has signed in, as far as guessing is concerned.
    bounds = failures.password_bounds(call, account=account_id, known=True)
    await failures.claim_try(call, bounds)
    if not await call.the(Passwords).is_right(known_hash, password, asker=call.asker):
        raise InvalidValues({"current": "not the password of this account"})
    await failures.forget(call, bounds)


@operations(
    "DELETE /accounts/{number}",
    errors=[AccountNotFound, NotYourAccount, AccountHoldsTickets, LastAdministrator, RunsHostAlone],
)
async def delete_account(call: Call) -> Reply:
    """Remove an account.

    Personal data is erased and every session ends; orders stay, with an anonymous customer. An account that holds
    tickets to upcoming events, or alone runs a host with some, cannot be removed.
    """
    async with call.transaction() as db:
        account_id = await queries.account_for(db, call.caller, call.path["number"], locking=True)
        await actions.delete_account(db, call.the(GateCodes), account_id)
        await history.record(
            db, call.new_id(), call.caller, "account.deleted", f"/accounts/{call.path['number'].upper()}"
        )
    return done("The account was removed.")


@operations(
    "GET /accounts/{number}/preferences",
    answers=Preferences,
    errors=[AccountNotFound, NotYourAccount],
)
async def retrieve_account_preferences(call: Call) -> Reply:
    """Retrieve account preferences."""
    async with call.reading() as db:
        account_id = await queries.account_for(db, call.caller, call.path["number"])
        return Reply(await queries.get_preferences(db, account_id))


@operations(
    "PUT /accounts/{number}/preferences",
    answers=Preferences,
    form=forms.PREFERENCES,
    errors=[AccountNotFound, NotYourAccount],
)
async def update_account_preferences(call: Call) -> Reply:
    """Update account preferences."""
    async with call.transaction() as db:
        account_id = await queries.account_for(db, call.caller, call.path["number"], locking=True)
        values = await forms.PREFERENCES.read(call.json(), db)
        await actions.prefer_region(db, account_id, values["region"])
        return Reply(await queries.get_preferences(db, account_id))


@operations("POST /lookups", answers=Lookup, form=forms.LOOKUP)
async def lookup_account(call: Call) -> Reply:
    """Lookup an account.

    Whether somebody goes by this username or e-mail address, in any case; with a `role`, whether somebody with that
    role does. Callers who are people learn whether the account is `verified`, and get its number - by an e-mail address
    only when it is: anybody may have typed an address that is not his.
    """
    body = call.json()
    async with call.reading() as db:
        wanted = await forms.LOOKUP.read(body, db)
        row = await queries.find_identified(db, wanted["identification"])
    found = row is not None and wanted["role"] in ("", row["role"])
    lookup = Lookup(identification=wanted["identification"], role=wanted["role"], found=found)
    if row and found and call.caller.level is not Level.PUBLIC:
        lookup.verified = row["verified"]
        if row["verified"] or row["is_named"]:
            lookup.number = row["number"]
    return Reply(lookup)
