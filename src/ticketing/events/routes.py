"""Events over HTTP."""

from typing import Any

import msgspec

from ticketing.history import recording as history
from ticketing.hosts.errors import HostNotFound, NotHostAdministrator
from ticketing.hosts.queries import host_for
from ticketing.kit.database import Connection
from ticketing.kit.vault import Vault
from ticketing.settings import Settings
from ticketing.web.errors import Taken
from ticketing.web.operations import IMAGES_BODY_LIMIT, Call, Operations, Reply, created, done
from ticketing.web.paging import Page
from ticketing.web.shared_reads import SharedReads

from . import actions, changes, queries, removal
from .errors import AlreadySubmitted, HasSoldTickets, HasTakenPlace, NotApproved, Unlisted
from .finding import page_of_events
from .pictures import PictureChanges, keep_pictures, read_pictures
from .presenting import build_event, presentation
from .queries import RunEvent
from .schemas import CANCELLATION, EVENT, EVENT_CHANGES, Event

operations = Operations("Working with Events")

_TAKEN = Taken("event", {"title": "Dawn of the Seven Premier"})


@operations("GET /events/{event}", answers=Event, errors=[Unlisted])
async def retrieve_event(call: Call) -> Reply:
    """Retrieve event details.

    Whoever has the link sees a listed event, public or not; others only those who run it, its gates and our staff.
    """
    return Reply(await queries.event_for(call, call.path["event"], presentation(call)))


@operations("GET /published-events", answers=Page[Event], listing=queries.PUBLISHED_EVENTS)
async def list_published_events(call: Call) -> Reply:
    """List all published events.

    Those that are listed and public. `before` and `after` are instants: what has ended by one, what starts from one.
    """
    shown = presentation(call)

    async def read(db: Connection) -> bytes:
        page = await page_of_events(
            db,
            queries.PUBLISHED_EVENTS,
            call.query,
            lambda row: build_event(row, shown),
            where="event.status = 'Listed' AND event.public AND event.removed_at IS NULL",
        )
        return msgspec.json.encode(page)

    # The same for everybody who may ask at all.
    asked = ("published events", tuple(sorted(call.query.items())), shown.media)
    return Reply(await call.the(SharedReads).read(asked, read))


@operations("GET /events", answers=Page[Event], listing=queries.EVENTS)
async def list_events(call: Call) -> Reply:
    """List all events.

    In every status; `Scheduled` are the listed ones that have not started.
    """
    shown = presentation(call)
    async with call.reading() as db:
        return Reply(
            await page_of_events(
                db,
                queries.EVENTS,
                call.query,
                lambda row: build_event(row, shown),
                where="event.removed_at IS NULL",
            )
        )


@operations(
    "GET /hosts/{host}/events",
    answers=Page[Event],
    listing=queries.EVENTS,
    tag="Managing Host Accounts",
    errors=[HostNotFound, NotHostAdministrator],
)
async def list_host_events(call: Call) -> Reply:
    """List hosted events.

    All that the host registered, drafts included.
    """
    shown = presentation(call)
    async with call.reading() as db:
        host_id = await host_for(db, call.caller, call.path["host"])
        return Reply(
            await page_of_events(
                db,
                queries.EVENTS,
                call.query,
                lambda row: build_event(row, shown),
                where="event.host_id = $1 AND event.removed_at IS NULL",
                values=[host_id],
            )
        )


@operations(
    "POST /events",
    answers=Event,
    status=201,
    form=EVENT,
    body_limit=IMAGES_BODY_LIMIT,
    errors=[HostNotFound, NotHostAdministrator, _TAKEN],
)
async def register_event(call: Call) -> Reply:
    """Register an event.

    It is a draft until it is submitted and approved. Local times are those of the venue.
    """
    body = _settable(call)
    async with call.reading() as db:
        await _host(db, call, body)
    pictures = await read_pictures(call, body)
    event_id = call.new_id()
    async with call.transaction() as db:
        await _host(db, call, body)
        await actions.ensure_title_free(db, EVENT.text(body, "title"))

        async def check(values: dict[str, Any]) -> dict[str, str]:
            return await actions.misfits(db, values) | pictures.faults

        values = await EVENT.read(body, db, check=check)
        await actions.register_event(db, call.the(Vault), event_id, call.new_id(), values)
        await keep_pictures(db, event_id, pictures)
        await history.record(db, call.new_id(), call.caller, "event.registered", f"/events/{event_id}")
        return created(await queries.get_event(db, event_id, presentation(call)))


async def _host(db: Connection, call: Call, body: dict[str, Any]) -> None:
    """Raise HostNotFound or NotHostAdministrator when the caller may not register events for the host in the body."""
    named = body.get("host")
    if isinstance(named, str | int) and not isinstance(named, bool) and named != "":
        await host_for(db, call.caller, str(named))
    # Else it is missing or malformed, as the form will say in its turn.


def _settable(call: Call) -> dict[str, Any]:
    """The body, without what only administrators may set."""
    body = call.json()
    if not call.caller.administers:
        body.pop("featured", None)
    return body


@operations(
    "PUT /events/{event}",
    answers=Event,
    form=EVENT_CHANGES,
    body_limit=IMAGES_BODY_LIMIT,
    errors=[NotHostAdministrator, _TAKEN],
)
async def update_event(call: Call) -> Reply:
    """Update event details.

    The host stays. Optional members that are left out keep their value; `null` or `""` clears them. An approved event
    takes its changes at once; those of title, description, pictures, place and dates by its host make a submission, and
    are undone when it is turned back. Where the platform says so they wait for its approval instead.
    """
    async with call.reading() as db:
        await queries.run_event(db, call.caller, call.path["event"])
    body = _settable(call)
    pictures = await read_pictures(call, body)
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        await actions.ensure_title_free(db, EVENT_CHANGES.text(body, "title"), but=event.id)

        async def check(values: dict[str, Any]) -> dict[str, str]:
            dates = await changes.waiting_dates(db, event)
            return await actions.misfits(db, values, **dates) | pictures.faults

        values = await EVENT_CHANGES.read(body, db, replacing=True, check=check)
        if event.approved and event.status != "Cancelled":
            values, pictures = await _submit_change(db, call, event, values, pictures)
        await actions.update_event(db, event, values)
        await keep_pictures(db, event.id, pictures)
        await history.record(db, call.new_id(), call.caller, "event.updated", event.uri)
        return Reply(await queries.get_event(db, event.id, presentation(call)))


async def _submit_change(
    db: Connection, call: Call, event: RunEvent, values: dict[str, Any], pictures: PictureChanges
) -> tuple[dict[str, Any], PictureChanges]:
    """Put before the desk what an approved event is to be; what of it takes effect at once."""
    change = await changes.weigh(
        db,
        event,
        values,
        pictures,
        by_administrator=call.caller.administers,
        holds_back=call.the(Settings).hold_back_changes == "on",
    )
    if change.is_news:
        await changes.submit_change(db, event, change, call.new_id(), call.caller.account_id)
    return change.values, change.pictures


@operations("DELETE /events/{event}", errors=[NotHostAdministrator, HasSoldTickets])
async def delete_event(call: Call) -> Reply:
    """Remove an event.

    Only one that nobody holds tickets to; it can be unlisted or cancelled instead. Its gate keys end at once.
    """
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        await removal.remove_event(db, event)
        await history.record(db, call.new_id(), call.caller, "event.removed", event.uri)
    return done("The event was removed.")


@operations("POST /events/{event}/publications", errors=[NotHostAdministrator, NotApproved])
async def publish_event(call: Call) -> Reply:
    """List an approved event again."""
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        await actions.list_event(db, event)
        await history.record(db, call.new_id(), call.caller, "event.listed", event.uri)
    return done("The event is listed.")


@operations("DELETE /events/{event}/publications", errors=[NotHostAdministrator, NotApproved])
async def unpublish_event(call: Call) -> Reply:
    """Unlist an approved event.

    It is no longer seen or sold; tickets stay valid.
    """
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        await actions.unlist_event(db, event)
        await history.record(db, call.new_id(), call.caller, "event.unlisted", event.uri)
    return done("The event is no longer listed.")


@operations(
    "POST /events/{event}/cancellations",
    answers=Event,
    form=CANCELLATION,
    errors=[NotHostAdministrator, AlreadySubmitted, HasTakenPlace],
)
async def cancel_event(call: Call) -> Reply:
    """Cancel an event.

    For good: nothing is sold any more, open orders end, its gates admit nobody. Once it was over, whatever its
    dates became since, or anybody was admitted, only administrators may.
    """
    async with call.transaction() as db:
        event = await queries.run_event(db, call.caller, call.path["event"])
        values = await CANCELLATION.read(call.json(), db)
        await removal.cancel_event(db, event, values["reason"], by_administrator=call.caller.administers)
        await history.record(db, call.new_id(), call.caller, "event.cancelled", event.uri, reason=values["reason"])
        return Reply(await queries.get_event(db, event.id, presentation(call)))
