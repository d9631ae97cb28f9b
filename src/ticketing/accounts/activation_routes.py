"""Closing and opening accounts over HTTP."""

from ticketing.history import recording as history
from ticketing.letters.posting import Letter, post
from ticketing.web.operations import Call, Operations, Reply, done

from . import actions, forms, queries
from .errors import AccountNotFound, LastAdministrator, NotYourAccount, RunsHostAlone
from .gates import GateCodes

operations = Operations("Account Activation")


@operations(
    "POST /accounts/{number}/toggles",
    status=201,
    form=forms.TOGGLE,
    errors=[AccountNotFound, NotYourAccount, LastAdministrator],
)
async def toggle_account(call: Call) -> Reply:
    """Toggle account activation.

    An active account is deactivated: its keys stop at once, its sessions end, and its owner is told. A deactivated one
    is activated again. Two colleagues who mean the same say so with `activated`. Support may do so to customers and
    hosts.
    """
    async with call.transaction() as db:
        account = await queries.lock_toggled(db, call.caller, call.path["number"])
        values = await forms.TOGGLE.read(call.json(), db)
        is_active = account["activated"]
        wanted = not is_active if values["activated"] is None else values["activated"]
        act = "activated" if wanted else "deactivated"
        if wanted is is_active:
            return done(f"The account was {act} already.", 201)
        if wanted:
            await actions.activate_account(db, account["id"])
        else:
            await actions.deactivate_account(db, call.the(GateCodes), account["id"])
        uri = f"/accounts/{account['number']}"
        await history.record(db, call.new_id(), call.caller, f"account.{act}", uri, reason=values["reason"])
    return done(f"The account was {act}.", 201)


@operations(
    "POST /accounts/{number}/deletions",
    form=forms.REASON,
    errors=[AccountNotFound, NotYourAccount, LastAdministrator, RunsHostAlone],
)
async def request_deletion(call: Call) -> Reply:
    """Request account deletion.

    For oneself. The account is deactivated at once, its keys stop, and the administrators are told.
    """
    async with call.transaction() as db:
        account_id = await queries.lock_own(db, call.caller, call.path["number"])
        values = await forms.REASON.read(call.json(), db)
        await actions.ensure_hosts_are_run(db, account_id)
        await actions.deactivate_account(db, call.the(GateCodes), account_id)
        await post(db, [Letter("deletion_requested", about={"account": account_id})])
        uri = f"/accounts/{call.caller.number}"
        await history.record(db, call.new_id(), call.caller, "account.deletion_requested", uri, reason=values["reason"])
    return done("The deletion of the account was requested. Until then it is deactivated.")
