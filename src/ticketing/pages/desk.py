"""The desk of administrators and support: what waits for review, people, orders, money, places, programs, health."""

from typing import Any

from starlette.responses import Response

from .client import Refused
from .console import REFUSALS
from .faults import trouble_of
from .frame import Pages, show
from .offers import event_offer, is_over, section_offers
from .visits import Visit
from .wallet import resend_tickets
from .words import N_

pages = Pages()

A_PAGE = 25
LISTS = {
    "orders": N_("Orders"),
    "transfers": N_("Transfers"),
    "transactions": N_("Transactions"),
}


async def ensure_staff(visit: Visit, *, administrator: bool = False) -> str:
    """The role of who is signed in. Raises Refused (403) for others."""
    role = await visit.role()
    if role == "administrator" or (role == "support" and not administrator):
        return role
    raise Refused(await visit.api.ask("GET", "/accounts"))


@pages("GET /desk")
async def desk(visit: Visit) -> Response:
    """What waits, and how the platform does."""
    role = await ensure_staff(visit)
    waiting = None
    if role == "administrator":
        waiting = await visit.api.get("/submissions", records=A_PAGE, page=visit.number("page"))
    events = [await visit.api.get(one["resource"]) for one in (waiting["entries"] if waiting else [])]
    return await show(
        visit,
        "desk.html",
        is_private=True,
        here="review",
        role=role,
        waiting=waiting,
        events=events,
        health=await _health(visit),
    )


async def _health(visit: Visit) -> dict[str, Any]:
    """What `/health/ready` says."""
    health: dict[str, Any] = (await visit.api.ask("GET", "/health/ready", prefix="")).json()
    return health


@pages("GET /desk/submissions/{submission}")
async def submission_page(visit: Visit) -> Response:
    """An event as buyers will see it, with what was changed, and the two buttons."""
    await ensure_staff(visit, administrator=True)
    submission = await visit.api.get(f"/submissions/{visit.part('submission')}")
    event = await visit.api.get(submission["resource"])
    now = visit.now
    return await show(
        visit,
        "submission.html",
        is_private=True,
        here="review",
        role="administrator",
        submission=submission,
        event=event,
        offers=section_offers(event, now),
        offer=event_offer(event, now),
        over=is_over(event, now),
        trouble="",
    )


@pages("POST /desk/submissions/{submission}")
async def decide(visit: Visit) -> Response:
    """Approve it, or send it back with a note."""
    form = await visit.form()
    await ensure_staff(visit, administrator=True)
    approved = form.text("decision") == "approve"
    body = {"approved": "true" if approved else "false", "note": form.text("note")}
    await visit.api.delete(f"/submissions/{visit.part('submission')}", body)
    visit.tell("approved" if approved else "sent_back")
    return visit.go("/desk")


# --- people


@pages("GET /desk/accounts")
async def accounts_page(visit: Visit) -> Response:
    """Find somebody by account number, e-mail address or username."""
    role = await ensure_staff(visit)
    search = visit.query("search").strip()[:254]
    found: dict[str, Any] = {"entries": [], "total": 0, "page": 1, "records": A_PAGE}
    if search:
        for name in ("number", "email", "username"):
            answer = await visit.api.ask("GET", "/accounts", query={name: search})
            if answer.is_ok and answer.json()["total"]:
                found = answer.json()
                break
    else:
        found = await visit.api.get("/accounts", records=A_PAGE, page=visit.number("page"))
    return await show(
        visit, "desk_accounts.html", is_private=True, here="accounts", role=role, accounts=found, search=search
    )


@pages("GET /desk/accounts/{number}")
async def account_page(visit: Visit) -> Response:
    """Somebody's account with orders, tickets, transfers, sessions and hosts."""
    return await _show_account(visit)


async def _show_account(visit: Visit, *, status: int = 200, trouble: str = "") -> Response:
    role = await ensure_staff(visit)
    path = f"/accounts/{visit.part('number')}"
    person = await visit.api.get(path)
    lists = {}
    for name in ("orders", "tickets", "sessions", "hosts"):
        lists[name] = (await visit.api.get(f"{path}/{name}", records=100))["entries"]
    return await show(
        visit,
        "desk_account.html",
        status=status,
        is_private=True,
        here="accounts",
        role=role,
        person=person,
        trouble=trouble,
        **lists,
    )


@pages("POST /desk/accounts/{number}/activation")
async def toggle(visit: Visit) -> Response:
    """Close an account, or open it again; what is meant is said, so that two clicks do not undo each other."""
    form = await visit.form()
    await ensure_staff(visit)
    body = {"reason": form.text("reason") or "-", "activated": form.text("activated") == "yes"}
    try:
        await visit.api.post(f"/accounts/{visit.part('number')}/toggles", body)
    except Refused as refused:
        if refused.answer.status not in REFUSALS:
            raise
        trouble = trouble_of(refused.answer, visit.language, {})
        return await _show_account(visit, status=refused.answer.status, trouble=trouble)
    visit.tell("saved")
    return visit.go(f"/desk/accounts/{visit.part('number')}")


@pages("POST /desk/accounts/{number}/removal")
async def erase(visit: Visit) -> Response:
    """Erase somebody who asked to be."""
    await ensure_staff(visit, administrator=True)
    try:
        await visit.api.delete(f"/accounts/{visit.part('number')}")
    except Refused as refused:
        if refused.answer.status != 409:
            raise
        return await _show_account(visit, status=409, trouble=trouble_of(refused.answer, visit.language, {}))
    visit.tell("removed")
    return visit.go("/desk/accounts")


# --- orders and money


@pages("GET /desk/orders", "GET /desk/transfers", "GET /desk/transactions")
async def lists_page(visit: Visit) -> Response:
    """Orders, transfers or transactions, newest first."""
    kind = visit.request.url.path.rsplit("/", 1)[-1]
    role = await ensure_staff(visit, administrator=kind == "transactions")
    search, status = visit.query("search").strip()[:40], visit.query("status")[:20]
    if kind == "orders" and search:
        return visit.go(f"/desk/orders/{search.upper()}")
    sort = {} if kind == "transfers" else {"sort": "date", "order": "desc"}
    found = await visit.api.get(f"/{kind}", status=status, page=visit.number("page"), records=A_PAGE, **sort)
    return await show(
        visit,
        "desk_list.html",
        is_private=True,
        here=kind,
        role=role,
        kind=kind,
        title=LISTS[kind],
        found=found,
        only=status,
    )


@pages("GET /desk/orders/{order}")
async def order_page(visit: Visit) -> Response:
    """One order with its payments and refunds, and what can be done about it."""
    return await _show_order(visit)


async def _show_order(visit: Visit, *, status: int = 200, trouble: str = "") -> Response:
    role = await ensure_staff(visit)
    order = await visit.api.get(f"/orders/{visit.part('order')}")
    payments = (await visit.api.get(order["payments"], records=100))["entries"]
    refunds = (await visit.api.get(order["refunds"], records=100))["entries"]
    return await show(
        visit,
        "desk_order.html",
        status=status,
        is_private=True,
        here="orders",
        role=role,
        order=order,
        payments=payments,
        refunds=refunds,
        trouble=trouble,
    )


@pages("POST /desk/orders/{order}/refunds")
async def refund(visit: Visit) -> Response:
    """Give an order back."""
    form = await visit.form()
    await ensure_staff(visit, administrator=True)
    path = f"/orders/{visit.part('order')}"
    return await _about_order(visit, "POST", f"{path}/refunds", {"reason": form.text("reason")}, once=form.once)


@pages("POST /desk/orders/{order}/letters")
async def send_again(visit: Visit) -> Response:
    """Mail the tickets of an order to its customer once more."""
    form = await visit.form()
    await ensure_staff(visit)
    if trouble := await resend_tickets(visit, form.once):
        return await _show_order(visit, **trouble)
    visit.tell("tickets_mailed")
    return visit.go(f"/desk/orders/{visit.part('order')}")


@pages("POST /desk/orders/{order}/cancellations")
async def cancel_order(visit: Visit) -> Response:
    """Let the places of an unpaid order go."""
    await ensure_staff(visit, administrator=True)
    return await _about_order(visit, "DELETE", f"/orders/{visit.part('order')}", {})


@pages("POST /desk/orders/{order}/attempts/end")
async def end_attempt(visit: Visit) -> Response:
    """End a payment that nobody finishes."""
    await ensure_staff(visit, administrator=True)
    return await _about_order(visit, "DELETE", f"/orders/{visit.part('order')}/payments", {})


async def _about_order(visit: Visit, method: str, path: str, body: dict[str, Any], *, once: str = "") -> Response:
    try:
        await visit.api.call(method, path, body=body, once=once)
    except Refused as refused:
        if refused.answer.status not in REFUSALS:
            raise
        trouble = trouble_of(refused.answer, visit.language, {})
        return await _show_order(visit, status=refused.answer.status, trouble=trouble)
    visit.tell("saved")
    return visit.go(f"/desk/orders/{visit.part('order')}")
