"""Hosts over HTTP."""

from ticketing.accounts.errors import AccountNotFound, NotYourAccount
from ticketing.accounts.queries import account_for, find_account, lock_live, lock_own
from ticketing.history import recording as history
from ticketing.kit.database import Connection
from ticketing.kit.vault import Vault
from ticketing.settings import Settings
from ticketing.web.errors import Taken
from ticketing.web.operations import Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import actions, invitations, queries
from .errors import HostNotFound, LastAdministrator, NotHostAdministrator, TooManyInvitations
from .schemas import ADMINISTRATOR, HOST, Administrator, Host

operations = Operations("Managing Host Accounts")

_TAKEN = Taken("host", {"name": "Wadadli Nights"})
_PERSON = "account.removed_at IS NULL"


@operations("GET /hosts", answers=Page[Host], listing=queries.HOSTS)
async def list_hosts(call: Call) -> Reply:
    """List event hosts.

    `account` is the number of one of a host's administrators.
    """
    async with call.reading() as db:
        return Reply(await queries.HOSTS.page(db, call.query, where="host.removed_at IS NULL"))


@operations("POST /hosts", answers=Host, status=201, form=HOST, errors=[_TAKEN])
async def create_host(call: Call) -> Reply:
    """Create an event host.

    A host lists events and sells tickets. Who creates it administers it.
    """
    body = call.json()
    host_id = call.new_id()
    async with call.transaction() as db:
        await actions.ensure_name_free(db, HOST.text(body, "name"))
        await actions.create_host(db, host_id, await HOST.read(body, db), call.caller.account_id)
        await history.record(db, call.new_id(), call.caller, "host.created", f"/hosts/{host_id}")
        return created(await queries.get_host(db, str(host_id)))


@operations("GET /hosts/{host}", answers=Host, errors=[HostNotFound])
async def retrieve_host(call: Call) -> Reply:
    """Retrieve host details."""
    async with call.reading() as db:
        return Reply(await queries.get_host(db, call.path["host"]))


@operations("PUT /hosts/{host}", answers=Host, form=HOST, errors=[HostNotFound, NotHostAdministrator, _TAKEN])
async def update_host(call: Call) -> Reply:
    """Update host details."""
    async with call.transaction() as db:
        host_id = await queries.host_for(db, call.caller, call.path["host"], locking=True)
        body = call.json()
        await actions.ensure_name_free(db, HOST.text(body, "name"), but=host_id)
        await actions.update_host(db, host_id, await HOST.read(body, db, replacing=True))
        return Reply(await queries.get_host(db, str(host_id)))


@operations("DELETE /hosts/{host}", errors=[HostNotFound, NotHostAdministrator])
async def delete_host(call: Call) -> Reply:
    """Remove an event host.

    Its events stay, its administrators go on running them, and sold tickets stay valid.
    """
    async with call.transaction() as db:
        host_id = await queries.host_for(db, call.caller, call.path["host"], locking=True)
        await actions.remove_host(db, host_id)
        await history.record(db, call.new_id(), call.caller, "host.removed", f"/hosts/{host_id}")
    return done("The event host was removed.")


@operations(
    "GET /hosts/{host}/administrators",
    answers=Page[Administrator],
    listing=queries.ADMINISTRATORS,
    errors=[HostNotFound, NotHostAdministrator],
)
async def list_host_administrators(call: Call) -> Reply:
    """List host administrators.

    And who was asked to become one: `accepted` tells them apart.
    """
    async with call.reading() as db:
        host_id = await queries.host_for(db, call.caller, call.path["host"])
        return Reply(
            await queries.ADMINISTRATORS.page(
                db, call.query, where=f"administrator.host_id = $1 AND {_PERSON}", values=[host_id]
            )
        )


@operations(
    "POST /hosts/{host}/administrators",
    answers=Administrator,
    status=201,
    form=ADMINISTRATOR,
    errors=[HostNotFound, NotHostAdministrator, AccountNotFound, TooManyInvitations(50)],
)
async def add_host_administrator(call: Call) -> Reply:
    """Add a host administrator.

    It is an invitation until the person accepts it, within 30 days; added by an administrator of the platform it takes
    effect at once. Adding one who is one already, or was invited, changes nothing and is answered alike.
    """
    async with call.transaction() as db:
        await queries.host_for(db, call.caller, call.path["host"])
        values = await ADMINISTRATOR.read(call.json(), db)
        account_id = await find_account(db, values["account"])
        if account_id is None:
            raise AccountNotFound
        # Accounts before their hosts, as in erasing them.
        live = await lock_live(db, [account_id, call.caller.account_id])
        host_id = await queries.host_for(db, call.caller, call.path["host"], locking=True)
        if account_id in live:
            act = await _add(call, db, host_id, account_id, is_active=live[account_id])
            if act:
                await _record(call, db, act, host_id, values["account"])
        administrator = await queries.find_administrator(db, host_id, account_id)
        if administrator is None:  # one of them was removed or closed this very moment
            raise AccountNotFound
        return created(administrator)


async def _add(call: Call, db: Connection, host_id: int, account_id: int, *, is_active: bool) -> str:
    """Add or invite the account, as the caller may; what was done, "" when that was nothing."""
    if call.caller.administers:
        await invitations.end_invitation(db, host_id, account_id)
        return "host.administrator_added" if await actions.add_administrator(db, host_id, account_id) else ""
    if await queries.find_administrator(db, host_id, account_id):
        return ""
    most = call.the(Settings).invitations_per_day
    await invitations.invite(db, host_id, account_id, call.caller.account_id, is_active=is_active, most=most)
    return "host.administrator_invited"


@operations(
    "DELETE /hosts/{host}/administrators/{number}",
    errors=[HostNotFound, NotHostAdministrator, AccountNotFound, LastAdministrator],
)
async def remove_host_administrator(call: Call) -> Reply:
    """Remove a host administrator.

    The last one cannot be removed. All gate codes of the host's events are renewed, with their keys. An invitation is
    taken back by those who run the host, and refused by whom it was sent to.
    """
    async with call.transaction() as db:
        host_id = await _host_of_person(call, db)
        account_id = await find_account(db, call.path["number"])
        known = None if account_id is None else await queries.find_administrator(db, host_id, account_id)
        if account_id is None or known is None:
            raise AccountNotFound
        if not known.accepted:
            await invitations.end_invitation(db, host_id, account_id)
            outcome = "refused" if account_id == call.caller.account else "taken back"
            act = f"host.invitation_{outcome.replace(' ', '_')}"
            await _record(call, db, act, host_id, call.path["number"])
            return done(f"The invitation was {outcome}.")
        await actions.remove_administrator(db, call.the(Vault), host_id, account_id)
        await _record(call, db, "host.administrator_removed", host_id, call.path["number"])
    return done("The administrator was removed from the event host. The gate codes of its events were renewed.")


async def _host_of_person(call: Call, db: Connection) -> int:
    """The host in the path, locked, for those who run it and for who was asked to; raises what `host_for` raises."""
    try:
        return await queries.host_for(db, call.caller, call.path["host"], locking=True)
    except NotHostAdministrator:
        if call.path["number"].upper() != call.caller.number:
            raise
    host_id = await queries.host_id_of(db, call.path["host"])
    if await queries.find_administrator(db, host_id, call.caller.account_id) is None:
        raise NotHostAdministrator
    return host_id


@operations(
    "POST /hosts/{host}/administrators/{number}/acceptances",
    answers=Administrator,
    status=201,
    errors=[HostNotFound, AccountNotFound, NotYourAccount],
)
async def accept_host_invitation(call: Call) -> Reply:
    """Accept an invitation to run a host.

    For the person alone who was invited.
    """
    async with call.transaction() as db:
        await queries.host_id_of(db, call.path["host"])
        account_id = await lock_own(db, call.caller, call.path["number"])
        host_id = await queries.host_id_of(db, call.path["host"], locking=True)
        if await invitations.accept(db, host_id, account_id):
            await _record(call, db, "host.administrator_added", host_id, call.caller.number)
        administrator = await queries.find_administrator(db, host_id, account_id)
        if administrator is None:
            raise AccountNotFound
        return created(administrator)


@operations(
    "GET /accounts/{number}/invitations",
    tag="Account Management",
    answers=Page[invitations.Invitation],
    listing=invitations.INVITATIONS,
    errors=[AccountNotFound, NotYourAccount],
)
async def list_account_invitations(call: Call) -> Reply:
    """List invitations to run hosts.

    Those that can be accepted.
    """
    async with call.reading() as db:
        account_id = await account_for(db, call.caller, call.path["number"], support_may=True)
        return Reply(
            await invitations.INVITATIONS.page(db, call.query, where=invitations.OF_ACCOUNT, values=[account_id])
        )


@operations(
    "GET /accounts/{number}/hosts",
    tag="Account Management",
    answers=Page[Host],
    listing=queries.ACCOUNT_HOSTS,
    errors=[AccountNotFound, NotYourAccount],
)
async def list_account_hosts(call: Call) -> Reply:
    """List managed hosts."""
    async with call.reading() as db:
        account_id = await account_for(db, call.caller, call.path["number"], support_may=True)
        return Reply(
            await queries.ACCOUNT_HOSTS.page(
                db,
                call.query,
                where="administrator.account_id = $1 AND host.removed_at IS NULL",
                values=[account_id],
            )
        )


async def _record(call: Call, db: Connection, act: str, host_id: int, number: str) -> None:
    await history.record(db, call.new_id(), call.caller, act, f"/hosts/{host_id}", account=number.upper())
