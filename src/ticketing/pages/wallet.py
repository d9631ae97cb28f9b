"""What a buyer has: tickets, orders, and tickets on their way to somebody else."""

from collections import Counter
from typing import Any

from starlette.responses import Response

from .buying import event_ids
from .client import Refused
from .faults import faults_of, trouble_of
from .frame import Pages, show
from .visits import Visit
from .words import N_, id_of

pages = Pages()

MOST_TICKETS = 500
A_PAGE = 20
SENT_OFTEN = N_("These tickets were sent several times already. Look among the junk mail too, or try again later.")
FILES = {"pdf": "application/pdf", "png": "image/png", "ics": "text/calendar"}


@pages("GET /tickets")
async def wallet_page(visit: Visit) -> Response:
    """All tickets by event, what comes first on top; what is over below."""
    account = await visit.account()
    is_past = visit.query("past") == "yes"
    events = await visit.api.get(
        f"{account['self']}/events", over=is_past, sort="start", order="desc" if is_past else "asc", records=100
    )
    tickets = (await visit.api.get(f"{account['self']}/tickets", records=MOST_TICKETS))["entries"]
    by_event: dict[str, list[dict[str, Any]]] = {}
    for ticket in tickets:
        if ticket["status"] != "Voided":
            by_event.setdefault(ticket["section"]["self"].split("/")[2], []).append(ticket)
    groups = [
        (event, by_event[id_of(event["self"])]) for event in events["entries"] if id_of(event["self"]) in by_event
    ]
    incoming = await visit.api.get(f"{account['self']}/transfers", role="recipient", status="Pending", records=100)
    return await show(
        visit, "tickets.html", is_private=True, groups=groups, is_past=is_past, incoming=incoming["entries"]
    )


@pages("GET /tickets/{serial}")
async def ticket_page(visit: Visit) -> Response:
    """One ticket: its code, large and bright, and what to know at the gate."""
    account = await visit.account()
    ticket = await visit.api.get(f"{account['self']}/tickets/{visit.part('serial')}")
    event = await visit.api.get(f"/events/{ticket['section']['self'].split('/')[2]}")
    section = next((one for one in event["sections"] if one["uri"] == ticket["section"]["self"]), None)
    return await show(visit, "ticket.html", is_private=True, ticket=ticket, event=event, section=section)


@pages("GET /tickets/{serial}/{file}")
async def ticket_file(visit: Visit) -> Response:
    """A ticket as PDF, its code as a picture, its event for a calendar."""
    account = await visit.account()
    ending = visit.request.path_params["file"].rpartition(".")[2]
    if ending not in FILES:
        return visit.go(f"/tickets/{visit.part('serial')}")
    return await _file(visit, f"{account['self']}/tickets/{visit.part('serial')}.{ending}", is_shown=ending == "png")


async def _file(visit: Visit, path: str, *, is_shown: bool = False) -> Response:
    """A file of the API, handed through."""
    answer = await visit.api.call("GET", path)
    headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    if not is_shown and (disposition := answer.headers.get("content-disposition")):
        headers["Content-Disposition"] = disposition
    return Response(answer.body, headers=headers, media_type=answer.headers["content-type"])


@pages("GET /orders")
async def orders_page(visit: Visit) -> Response:
    """What was ordered, newest first."""
    account = await visit.account()
    orders = await visit.api.get(
        f"{account['self']}/orders", sort="date", order="desc", page=visit.number("page"), records=A_PAGE
    )
    return await show(visit, "orders.html", is_private=True, orders=orders)


@pages("GET /orders/{order}")
async def order_page(visit: Visit) -> Response:
    """One order: what it had, what it cost, what became of the money; to print."""
    return await _show_order(visit)


async def _show_order(visit: Visit, *, status: int = 200, trouble: str = "") -> Response:
    await visit.account()
    order = await visit.api.get(f"/orders/{visit.part('order')}")
    payments = (await visit.api.get(order["payments"], records=100))["entries"]
    refunds = (await visit.api.get(order["refunds"], records=100))["entries"]
    events = []
    for event_id in event_ids(order):
        try:
            events.append(await visit.api.get(f"/events/{event_id}"))
        except Refused as refused:
            if refused.answer.status not in (403, 404):
                raise
    return await show(
        visit,
        "order.html",
        status=status,
        is_private=True,
        order=order,
        payments=payments,
        refunds=refunds,
        events=events,
        trouble=trouble,
    )


@pages("POST /orders/{order}/letters")
async def send_again(visit: Visit) -> Response:
    """Mail the tickets of an order once more."""
    form = await visit.form()
    await visit.account()
    if trouble := await resend_tickets(visit, form.once):
        return await _show_order(visit, **trouble)
    visit.tell("tickets_mailed")
    return visit.go(f"/orders/{visit.part('order')}")


async def resend_tickets(visit: Visit, once: str) -> dict[str, Any]:
    """Mail the tickets of the visit's order to its customer; if that is refused, the status and the reason."""
    try:
        await visit.api.post(f"/orders/{visit.part('order')}/letters", {}, once=once)
    except Refused as refused:
        answer = refused.answer
        if answer.status not in (409, 429, 503):
            raise
        said = visit.language.say(SENT_OFTEN) if answer.status == 429 else trouble_of(answer, visit.language)
        return {"status": answer.status, "trouble": said}
    return {}


@pages("GET /orders/{order}/tickets.pdf")
async def order_tickets(visit: Visit) -> Response:
    """All tickets of an order, to print."""
    await visit.account()
    return await _file(visit, f"/orders/{visit.part('order')}/tickets.pdf")


# --- tickets on their way


@pages("GET /transfers")
async def transfers_page(visit: Visit) -> Response:
    """Tickets that come, and tickets that go."""
    account = await visit.account()
    coming = await visit.api.get(f"{account['self']}/transfers", role="recipient", records=100)
    going = await visit.api.get(f"{account['self']}/transfers", role="sender", records=100)
    newest_first = [list(reversed(one["entries"])) for one in (coming, going)]
    return await show(visit, "transfers.html", is_private=True, coming=newest_first[0], going=newest_first[1])


@pages("GET /transfers/new")
async def transfer_form(visit: Visit) -> Response:
    """Hand tickets of one event to somebody."""
    return await _show_transfer(visit, visit.query("event"), {})


async def _show_transfer(
    visit: Visit, event_id: str, filled: dict[str, str], *, status: int = 200, **facts: Any
) -> Response:
    account = await visit.account()
    if not event_id.isdecimal():
        return visit.go("/tickets")
    event = await visit.api.get(f"/events/{event_id}")
    tickets = await visit.api.get(f"{account['self']}/tickets", event=event_id, status="Issued", records=MOST_TICKETS)
    held = Counter(ticket["section"]["self"] for ticket in tickets["entries"])
    names = {ticket["section"]["self"]: ticket["section"]["name"] for ticket in tickets["entries"]}
    given: dict[str, Any] = {"faults": {}, "trouble": "", "quantities": {}, **facts}
    return await show(
        visit,
        "transfer.html",
        status=status,
        is_private=True,
        event=event,
        held=held,
        names=names,
        filled=filled,
        **given,
    )


@pages("POST /transfers")
async def send_tickets(visit: Visit) -> Response:
    """Send them; they stay in the wallet, and open no gate, until the other takes them."""
    form = await visit.form()
    await visit.account()
    to, quantities = form.text("recipient"), form.quantities()
    try:
        recipient = await _recipient(visit, to)
        body = {**recipient, "tickets": quantities}
        await visit.api.post("/transfers", body, once=form.once)
    except Refused as refused:
        answer = refused.answer
        if answer.status not in (400, 403, 404, 409, 422, 429, 503):
            raise
        faults = faults_of(answer, visit.language)
        trouble = trouble_of(answer, visit.language, {"recipient": to, "tickets": 1})
        return await _show_transfer(
            visit,
            form.text("event"),
            {"recipient": to},
            status=answer.status,
            faults=faults,
            trouble=trouble,
            quantities=quantities,
        )
    visit.tell("tickets_sent")
    return visit.go("/transfers")


async def _recipient(visit: Visit, to: str) -> dict[str, str]:
    """Whom a name, an address or an account number means, as a transfer names him."""
    found = await visit.api.post("/lookups", {"identification": to})
    return {"recipient": found.get("number") or to}


@pages("POST /transfers/{transfer}/claims")
async def claim(visit: Visit) -> Response:
    """Take tickets that somebody sent."""
    form = await visit.form()
    await visit.account()
    await visit.api.post(f"/transfers/{visit.part('transfer')}/claims", {}, once=form.once)
    visit.tell("tickets_claimed")
    return visit.go("/tickets")


@pages("POST /transfers/{transfer}/cancellations")
async def take_back(visit: Visit) -> Response:
    """Take tickets back that were not claimed yet, or say no to them."""
    await visit.account()
    await visit.api.delete(f"/transfers/{visit.part('transfer')}")
    visit.tell("transfer_cancelled")
    return visit.go("/transfers")
