"""Gate tokens over HTTP."""

from ticketing.guesses import counting as failures
from ticketing.hosts.errors import NotHostAdministrator
from ticketing.kit import ids
from ticketing.kit.vault import Vault
from ticketing.web.operations import Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import actions, queries
from .errors import CodeNotFound, GlobalToken, TooManyTokens
from .schemas import TOKEN, Token, TokenKey

operations = Operations("Event Admissions")


@operations("GET /events/{event}/tokens", answers=Page[Token], listing=queries.TOKENS, errors=[NotHostAdministrator])
async def list_event_tokens(call: Call) -> Reply:
    """List admission tokens.

    The global one first, which opens every section of the event, later ones too.
    """
    async with call.transaction() as db:
        event_id = await queries.managed_event(db, call.caller, call.path["event"])
        return Reply(
            await queries.TOKENS.page(
                db,
                call.query,
                where=queries.LIVE_TOKENS,
                values=[event_id],
                build=queries.token_builder(call.the(Vault)),
            )
        )


@operations(
    "POST /events/{event}/tokens",
    answers=Token,
    status=201,
    form=TOKEN,
    errors=[NotHostAdministrator, TooManyTokens(actions.MOST_TOKENS)],
)
async def manage_admission_tokens(call: Call) -> Reply:
    """Issue admission tokens.

    For one member of staff each: its code, typed into a scanner, opens these sections.
    """
    vault = call.the(Vault)
    async with call.transaction() as db:
        event_id = await queries.managed_event(db, call.caller, call.path["event"])
        values = await TOKEN.read(call.json(), db)
        token_id = await actions.issue_token(db, vault, call.new_id, call.caller, event_id, values["sections"])
        return created(await queries.get_token(db, vault, event_id, token_id))


@operations("GET /events/{event}/tokens/{token}", answers=Token, errors=[NotHostAdministrator])
async def retrieve_admission_token(call: Call) -> Reply:
    """Retrieve admission token details."""
    async with call.transaction() as db:
        event_id = await queries.managed_event(db, call.caller, call.path["event"])
        return Reply(await queries.get_token(db, call.the(Vault), event_id, ids.parse(call.path["token"])))


@operations("PUT /events/{event}/tokens/{token}", answers=Token, form=TOKEN, errors=[GlobalToken, NotHostAdministrator])
async def update_admission_token(call: Call) -> Reply:
    """Modify admission token sections.

    The key opens these sections and no others from then on.
    """
    async with call.transaction() as db:
        event_id = await queries.managed_event(db, call.caller, call.path["event"])
        token = await actions.lock_token(db, event_id, ids.parse(call.path["token"]))
        values = await TOKEN.read(call.json(), db)
        await actions.update_token(db, call.new_id, call.caller, event_id, token, values["sections"])
        return Reply(await queries.get_token(db, call.the(Vault), event_id, token["id"]))


@operations("POST /events/{event}/tokens/{token}/renewals", answers=Token, status=201, errors=[NotHostAdministrator])
async def renew_admission_token(call: Call) -> Reply:
    """Renew an admission token.

    Also the global one: another code and another key, for the same sections. The old ones open nothing from that moment
    on, so its staff type the new code.
    """
    vault = call.the(Vault)
    async with call.transaction() as db:
        event_id = await queries.managed_event(db, call.caller, call.path["event"])
        token = await actions.lock_token(db, event_id, ids.parse(call.path["token"]))
        await actions.renew_token(db, vault, call.new_id, call.caller, event_id, token)
        return created(await queries.get_token(db, vault, event_id, token["id"]))


@operations("DELETE /events/{event}/tokens/{token}", errors=[GlobalToken, NotHostAdministrator])
async def invalidate_admission_token(call: Call) -> Reply:
    """Invalidate an admission token.

    Its key opens nothing from that moment on.
    """
    async with call.transaction() as db:
        event_id = await queries.managed_event(db, call.caller, call.path["event"])
        token = await actions.lock_token(db, event_id, ids.parse(call.path["token"]))
        await actions.invalidate_token(db, call.new_id, call.caller, event_id, token)
    return done("The admission token was invalidated.")


@operations("GET /tokens/{code}", answers=TokenKey, tag="Token Authentication", errors=[CodeNotFound])
async def retrieve_token_auth(call: Call) -> Reply:
    """Retrieve token key.

    The key behind a code that staff typed, in any case; it opens the gate operations of that event and those sections.
    Too many wrong codes close this door to an address for a while.
    """
    bounds = failures.code_bounds(call)
    await failures.claim_try(call, bounds)
    async with call.reading() as db:
        token_key = await queries.get_token_key(db, call.the(Vault), call.path["code"])
    await failures.forget(call, bounds)
    return Reply(token_key)
