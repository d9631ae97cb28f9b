"""Running an event: how it sells, who comes, the gate, and the large buttons."""

from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from ticketing.kit.collation import sort_key

from .charts import bars
from .client import Refused
from .console import REFUSALS
from .faults import trouble_of
from .frame import Pages, show
from .offers import is_over
from .visits import Visit
from .words import N_

pages = Pages()

GROUPS = ("section", "day", "week", "month")
FILES = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
A_PAGE = 50
MOST_ON_A_LIST = 500  # the API's longest page


async def _event(visit: Visit) -> dict[str, Any]:
    await visit.account()
    found: dict[str, Any] = await visit.api.get(f"/events/{visit.part('event')}")
    return found


@pages("GET /host/events/{event}")
async def overview(visit: Visit) -> Response:
    """An event for who runs it: what is missing, or how it goes."""
    return await _show_overview(visit)


async def _show_overview(visit: Visit, *, status: int = 200, trouble: str = "") -> Response:
    event = await _event(visit)
    statistics = await visit.api.get(f"{event['self']}/statistics")
    admitted = (await visit.api.get(f"{event['self']}/admissions", records=1))["total"]
    return await show(
        visit,
        "event_overview.html",
        status=status,
        is_private=True,
        event=event,
        statistics=statistics,
        admitted=admitted,
        missing=missing_of(event),
        is_over=is_over(event, visit.now),
        trouble=trouble,
    )


def missing_of(event: dict[str, Any]) -> list[tuple[str, bool, str]]:
    """What an event needs before it goes to the reviewers: a sentence, whether it is there, where to mend it."""
    here = f"/host{event['self']}"
    return [
        (N_("A title and a description"), bool(event["title"] and event["description"]), f"{here}/edit"),
        (N_("A date, so that people know when"), bool(event["start"]), f"{here}/edit"),
        (N_("At least one section with places"), any(one["capacity"] for one in event["sections"]), f"{here}/sections"),
    ]


async def _act(visit: Visit, notice: str, method: str, below: str, body: dict[str, Any] | None = None) -> Response:
    """Do something with an event, and say so on its page."""
    await visit.account()
    path = f"/events/{visit.part('event')}"
    try:
        await visit.api.call(method, path + below, body=body or {})
    except Refused as refused:
        if refused.answer.status not in REFUSALS:
            raise
        trouble = trouble_of(refused.answer, visit.language, {})
        return await _show_overview(visit, status=refused.answer.status, trouble=trouble)
    visit.tell(notice)
    return visit.go(f"/host{path}")


@pages("POST /host/events/{event}/submissions")
async def submit(visit: Visit) -> Response:
    """Hand the event to the reviewers."""
    return await _act(visit, "submitted", "POST", "/submissions")


@pages("POST /host/events/{event}/publications")
async def publish(visit: Visit) -> Response:
    """Put an approved event back on sale."""
    return await _act(visit, "listed", "POST", "/publications")


@pages("POST /host/events/{event}/unlisting")
async def unlist(visit: Visit) -> Response:
    """Take it off the lists; tickets stay valid."""
    return await _act(visit, "unlisted", "DELETE", "/publications")


@pages("GET /host/events/{event}/cancellation")
async def cancellation(visit: Visit) -> Response:
    """What cancelling will do, in people and money, before it does."""
    event = await _event(visit)
    statistics = await visit.api.get(f"{event['self']}/statistics")
    sales = await visit.api.get(f"{event['self']}/sales")
    return await show(
        visit, "cancellation.html", is_private=True, event=event, statistics=statistics, sales=sales, trouble=""
    )


@pages("POST /host/events/{event}/cancellation")
async def cancel(visit: Visit) -> Response:
    """Cancel it."""
    form = await visit.form()
    return await _act(visit, "event_cancelled", "POST", "/cancellations", {"reason": form.text("reason")})


@pages("POST /host/events/{event}/removal")
async def remove(visit: Visit) -> Response:
    """Throw a draft away."""
    await visit.account()
    try:
        await visit.api.delete(f"/events/{visit.part('event')}")
    except Refused as refused:
        if refused.answer.status != 409:
            raise
        return await _show_overview(visit, status=409, trouble=trouble_of(refused.answer, visit.language))
    visit.tell("removed")
    return visit.go("/host")


# --- sales


@pages("GET /host/events/{event}/sales")
async def sales_page(visit: Visit) -> Response:
    """What was sold, as a chart and as the same figures in a table; by section, day, week or month."""
    event = await _event(visit)
    group = visit.query("group") if visit.query("group") in GROUPS else "day"
    sales = await visit.api.get(f"{event['self']}/sales", **_asked(visit, group))
    rows = [(row["name"], row["tickets"], str(row["tickets"])) for row in sales["rows"]]
    chart = bars(rows, visit.language.say(N_("Tickets sold")))
    return await show(
        visit,
        "sales.html",
        is_private=True,
        event=event,
        sales=sales,
        group=group,
        chart=chart,
        since=visit.query("from"),
        until=visit.query("to"),
    )


def _asked(visit: Visit, group: str) -> dict[str, str]:
    return {"group": group, "from": visit.query("from"), "to": visit.query("to")}


@pages("GET /host/events/{event}/sales.{ending}")
async def sales_file(visit: Visit) -> Response:
    """The same as a file."""
    event = await _event(visit)
    ending = visit.request.path_params["ending"]
    if ending not in FILES:
        return visit.go(f"/host{event['self']}/sales")
    group = visit.query("group") if visit.query("group") in GROUPS else "day"
    query = {**_asked(visit, group), "format": ending}
    answer = await visit.api.call("GET", f"{event['self']}/sales", query=query)
    headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    if disposition := answer.headers.get("content-disposition"):
        headers["Content-Disposition"] = disposition
    return Response(answer.body, headers=headers, media_type=FILES[ending])


# --- who comes


@pages("GET /host/events/{event}/guests")
async def guests_page(visit: Visit) -> Response:
    """Who has tickets, found by name, address, order or serial."""
    event = await _event(visit)
    search = visit.query("search")[:100]
    guests = await visit.api.get(f"{event['self']}/guests", search=search, page=visit.number("page"), records=A_PAGE)
    return await show(visit, "guests.html", is_private=True, event=event, guests=guests, search=search)


@pages("GET /host/events/{event}/door-list")
async def door_list(visit: Visit) -> Response:
    """Everybody who may come in, to print on A4."""
    event = await _event(visit)
    guests: list[dict[str, Any]] = []
    page = 1
    while True:
        found = await visit.api.get(f"{event['self']}/guests", status="Issued", page=page, records=MOST_ON_A_LIST)
        guests += found["entries"]
        if page * MOST_ON_A_LIST >= found["total"]:
            break
        page += 1
    guests.sort(key=lambda guest: sort_key(f"{guest['owner']['lastName']} {guest['owner']['firstName']}"))
    return await show(visit, "door_list.html", is_private=True, event=event, guests=guests, printed=visit.now)


# --- the gate


@pages("GET /host/events/{event}/gate")
async def gate_settings(visit: Visit) -> Response:
    """The codes that open the gate, to hand over; who came in, and who was refused."""
    event = await _event(visit)
    tokens = (await visit.api.get(f"{event['self']}/tokens", records=200))["entries"]
    admissions = await visit.api.get(f"{event['self']}/admissions", records=A_PAGE, order="desc")
    refusals = await visit.api.get(f"{event['self']}/refusals", records=20, order="desc")
    expected = sum(one["sold"] for one in event["sections"])
    names = {one["uri"]: one["name"] for one in event["sections"]}
    return await show(
        visit,
        "gate_settings.html",
        is_private=True,
        event=event,
        tokens=tokens,
        codes={one["code"]: _qr(f"{visit.origin}/gate#{one['code']}") for one in tokens},
        admissions=admissions,
        refusals=refusals,
        expected=expected,
        names=names,
    )


def _qr(text: str) -> Markup:
    """A QR code as SVG."""
    import segno  # here: who sells loads nothing that draws

    made = segno.make(text, error="m")
    return Markup(made.svg_inline(scale=4, dark="#000", light="#fff", border=3, svgclass="qr"))  # noqa: S704 - drawn, not typed


@pages("POST /host/events/{event}/tokens")
async def add_token(visit: Visit) -> Response:
    """A code for some sections alone."""
    form = await visit.form()
    return await _act_at_gate(visit, "POST", "", {"sections": form.all("section")})


@pages("POST /host/events/{event}/tokens/{token}/removals")
async def remove_token(visit: Visit) -> Response:
    """Make a code useless at once."""
    return await _act_at_gate(visit, "DELETE", f"/{visit.part('token')}", None)


@pages("POST /host/events/{event}/tokens/{token}/renewals")
async def renew_token(visit: Visit) -> Response:
    """Another code in place of one that too many know."""
    return await _act_at_gate(visit, "POST", f"/{visit.part('token')}/renewals", {})


async def _act_at_gate(visit: Visit, method: str, below: str, body: dict[str, Any] | None) -> Response:
    await visit.account()
    path = f"/events/{visit.part('event')}"
    await visit.api.ask(method, f"{path}/tokens{below}", body=body)
    visit.tell("saved")
    return visit.go(f"/host{path}/gate")
