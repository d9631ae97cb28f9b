"""Transfers over HTTP."""

from ticketing.accounts.errors import AccountNotFound, NotYourAccount
from ticketing.accounts.queries import account_for, get_short_account
from ticketing.history import recording as history
from ticketing.kit import clock, ids
from ticketing.web.errors import Missing, about
from ticketing.web.operations import Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import actions, queries, rules
from .errors import (
    NotCancellable,
    NotClaimable,
    NotEnoughTickets,
    NotForThisSender,
    NotTheRecipient,
    NotYourTransfer,
    ToThemselves,
)
from .schemas import TRANSFER, Claim, Transfer

operations = Operations("Ticket Transfers")


@operations(
    "POST /transfers",
    answers=Transfer,
    status=201,
    form=TRANSFER,
    errors=[AccountNotFound, NotForThisSender, NotEnoughTickets, ToThemselves],
)
async def initiate_transfer(call: Call) -> Reply:
    """Initiating a transfer.

    Of each section the tickets that the sender has had for longest are taken, all that were asked for or none. They
    stay in the sender's wallet, `Pending`: nobody is admitted with them until the recipient claims them or either side
    cancels.
    """
    async with call.transaction() as db:
        body = call.json()
        sides = await queries.find_sides(db, call.caller, body)
        values = await TRANSFER.read(body, db)
        transfer_id = call.new_id()
        sending = actions.Sending(sides["sender"], sides["recipient"], values["tickets"])
        await actions.initiate_transfer(db, transfer_id, sending)
        transfer = await queries.transfer_for(db, call.caller, str(transfer_id))
        await history.record(db, call.new_id(), call.caller, "transfer.initiated", transfer.uri)
    return created(transfer)


@operations("GET /transfers", answers=Page[Transfer], listing=queries.TRANSFERS)
async def list_transfers(call: Call) -> Reply:
    """List transfers.

    One's own; support and administrators see everybody's, and with `role` their own.
    """
    async with call.reading() as db:
        if call.caller.reads_people and not call.query.get("role"):
            return Reply(await queries.TRANSFERS.page(db, call.query))
        return Reply(
            await queries.TRANSFERS.page(db, call.query, where=queries.OF_ACCOUNT, values=[call.caller.account_id])
        )


@operations("GET /transfers/{transfer}", answers=Transfer, errors=[NotYourTransfer])
async def retrieve_transfer(call: Call) -> Reply:
    """Retrieve transfer details.

    For its sender, its recipient, support and administrators.
    """
    async with call.reading() as db:
        return Reply(await queries.transfer_for(db, call.caller, call.path["transfer"]))


@operations("DELETE /transfers/{transfer}", errors=[NotYourTransfer, NotCancellable])
async def cancel_transfer(call: Call) -> Reply:
    """Cancel a transfer.

    By its sender, its recipient or an administrator, as long as it is Pending. The tickets are usable again at once,
    under the serials they had.
    """
    async with call.transaction() as db:
        transfer_id = await queries.find_managed(db, call.caller, call.path["transfer"])
        await actions.cancel_transfer(db, transfer_id, call.caller.account_id)
        uri = queries.transfer_uri(transfer_id)
        await history.record(db, call.new_id(), call.caller, "transfer.cancelled", uri)
    return done("The transfer was cancelled.")


@operations("POST /transfers/{transfer}/claims", answers=Claim, status=201, errors=[NotTheRecipient, NotClaimable])
async def claim_transfer(call: Call) -> Reply:
    """Claim a transfer.

    By its recipient alone. The tickets are the recipient's from now on, issued anew: each has a new serial, and the
    one it had opens nothing any more.
    """
    async with call.transaction() as db:
        transfer = await queries.find_transfer(db, call.path["transfer"])
        if transfer["recipient_id"] != call.caller.account:
            raise NotTheRecipient
        claimed = await actions.claim_transfer(db, transfer, call.new_id)
        claimant = rules.claimant(await get_short_account(db, transfer["recipient_id"]))
        uri = queries.transfer_uri(transfer["id"])
        await history.record(db, call.new_id(), call.caller, "transfer.claimed", uri)
    return created(Claim(clock.stamp(claimed), claimant, True))


@operations("GET /transfers/{transfer}/claims", answers=Page[Claim], listing=queries.CLAIMS, errors=[NotYourTransfer])
async def list_claims(call: Call) -> Reply:
    """List the claims of a transfer.

    One once it is claimed, none before and none when it was cancelled.
    """
    async with call.reading() as db:
        uri = (await queries.transfer_for(db, call.caller, call.path["transfer"])).uri
        claimed = "transfer.id = $1 AND transfer.status = 'Claimed'"
        return Reply(await queries.CLAIMS.page(db, call.query, where=claimed, values=[ids.parse_uri(uri, "transfers")]))


@operations(
    "GET /accounts/{number}/transfers",
    answers=Page[Transfer],
    listing=queries.TRANSFERS,
    tag="Account Activity",
    errors=[NotYourAccount],
)
async def view_transfer_history(call: Call) -> Reply:
    """View transfer history.

    What the account sent, or was sent: `role` is required.
    """
    async with call.reading() as db:
        account = await account_for(db, call.caller, call.path["number"], support_may=True)
        if not call.query.get("role"):
            raise Missing(about("role", "required: sender or recipient"))
        return Reply(await queries.TRANSFERS.page(db, call.query, where=queries.OF_ACCOUNT, values=[account]))
