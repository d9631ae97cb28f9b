"""The host's console: hosts, their people, their events with what they sold."""

import asyncio
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from .charts import sparkline
from .client import Refused
from .faults import faults_of, trouble_of
from .frame import Pages, show
from .visits import Visit
from .words import id_of

pages = Pages()

A_PAGE = 20
SPARK_DAYS = 30
HOST_FIELDS = (
    *("name", "contact", "email", "description", "phone", "website", "country"),
    *("firstAddressLine", "secondAddressLine", "city", "state", "businessNo"),
)
REFUSALS = (400, 403, 404, 409, 422, 429, 503)
NO_SALES: dict[str, Any] = {"rows": [], "totals": {"tickets": 0, "net": 0.0, "orders": 0}}


async def hosts_of(visit: Visit) -> list[dict[str, Any]]:
    """The hosts that who is signed in runs."""
    account = await visit.account()
    found: list[dict[str, Any]] = (await visit.api.get(f"{account['self']}/hosts", records=100))["entries"]
    return found


@pages("GET /host")
async def dashboard(visit: Visit) -> Response:
    """A host's events, and what sold today, this week and in all."""
    hosts = await hosts_of(visit)
    account = await visit.account()
    invitations = (await visit.api.get(f"{account['self']}/invitations", records=100))["entries"]
    if not hosts:
        return await show(visit, "console_welcome.html", is_private=True, invitations=invitations)
    chosen = next((one for one in hosts if id_of(one["self"]) == visit.query("host")), hosts[0])
    status = visit.query("status")
    events = await visit.api.get(
        f"{chosen['self']}/events",
        status=status if status in ("Draft", "Submitted", "Listed", "Unlisted", "Cancelled") else None,
        sort="published",
        order="desc",
        page=visit.number("page"),
        records=A_PAGE,
    )
    sales = await asyncio.gather(*(_recent_sales(visit, event) for event in events["entries"]))
    statistics = await visit.api.get(f"{chosen['self']}/statistics")
    return await show(
        visit,
        "console.html",
        is_private=True,
        hosts=hosts,
        host=chosen,
        invitations=invitations,
        events=events,
        sales=sales,
        statistics=statistics,
        only=status,
    )


async def _recent_sales(visit: Visit, event: dict[str, Any]) -> dict[str, Any]:
    """Tickets by day over the last weeks: of today, of seven days, and a line of them all."""
    if event["status"] in ("Draft", "Submitted"):
        return {"today": 0, "week": 0, "line": None}
    today = visit.now.date() + timedelta(days=1)  # it may be tomorrow already where the venue is
    since = today - timedelta(days=SPARK_DAYS)
    try:
        report = await visit.api.get(f"{event['self']}/sales", group="day", **{"from": since, "to": today})
    except Refused:
        report = NO_SALES
    by_day = {row["key"]: row["tickets"] for row in report["rows"]}
    days = [(since + timedelta(days=number)).isoformat() for number in range(SPARK_DAYS + 1)]
    line = [by_day.get(day, 0) for day in days]
    return {"today": sum(line[-2:]), "week": sum(line[-8:]), "line": sparkline(line) if any(line) else None}


@pages("GET /host/new")
async def host_form(visit: Visit) -> Response:
    """Register a host."""
    account = await visit.account()
    filled = {"contact": f"{account['firstName']} {account['lastName']}".strip(), "email": account["email"]}
    return await _show_host(visit, None, filled)


async def _show_host(
    visit: Visit, host: dict[str, Any] | None, filled: dict[str, Any], *, status: int = 200, **facts: Any
) -> Response:
    people: list[dict[str, Any]] = []
    if host is not None:
        people = (await visit.api.get(f"{host['self']}/administrators", records=100))["entries"]
    given: dict[str, Any] = {"faults": {}, "trouble": "", "about": "", **facts}
    return await show(
        visit,
        "host_form.html",
        status=status,
        is_private=True,
        host=host,
        people=people,
        filled=filled,
        countries=(await visit.api.get("/countries"))["countries"],
        **given,
    )


@pages("POST /host/new")
async def register_host(visit: Visit) -> Response:
    """Make the host; who makes it, runs it."""
    form = await visit.form()
    await visit.account()
    filled = form.values(HOST_FIELDS)
    try:
        host = await visit.api.post("/hosts", filled, once=form.once)
    except Refused as refused:
        return await _host_refused(visit, refused, None, filled)
    visit.tell("host_made")
    return visit.go("/host/events/new", host=id_of(host["self"]))


async def _host_refused(
    visit: Visit, refused: Refused, host: dict[str, Any] | None, filled: dict[str, Any], about: str = "host"
) -> Response:
    answer = refused.answer
    if answer.status not in REFUSALS:
        raise refused
    fields = dict.fromkeys([*HOST_FIELDS, "account"])
    return await _show_host(
        visit,
        host,
        filled,
        status=answer.status,
        about=about,
        faults=faults_of(answer, visit.language),
        trouble=trouble_of(answer, visit.language, fields),
    )


@pages("GET /host/{host}/settings")
async def host_settings(visit: Visit) -> Response:
    """Change a host, and who runs it."""
    await visit.account()
    host = await visit.api.get(f"/hosts/{visit.part('host')}")
    return await _show_host(visit, host, host)


@pages("POST /host/{host}/settings")
async def change_host(visit: Visit) -> Response:
    """Change what is told about a host."""
    form = await visit.form()
    await visit.account()
    path = f"/hosts/{visit.part('host')}"
    filled: dict[str, Any] = {**form.values(HOST_FIELDS), "contactsAtGates": form.has("contactsAtGates")}
    try:
        await visit.api.put(path, filled)
    except Refused as refused:
        return await _host_refused(visit, refused, await visit.api.get(path), filled)
    visit.tell("saved")
    return visit.go(f"/host/{visit.part('host')}/settings")


@pages("POST /host/{host}/people")
async def add_person(visit: Visit) -> Response:
    """Ask somebody to run the host too."""
    form = await visit.form()
    await visit.account()
    path = f"/hosts/{visit.part('host')}"
    try:
        found = await visit.api.post("/lookups", {"identification": form.text("account")})
        number = found.get("number") or form.text("account")
        await visit.api.post(f"{path}/administrators", {"account": number}, once=form.once)
    except Refused as refused:
        host = await visit.api.get(path)
        return await _host_refused(visit, refused, host, host, about="people")
    visit.tell("person_added")
    return visit.go(f"/host/{visit.part('host')}/settings")


@pages("POST /host/{host}/people/{number}/removals")
async def remove_person(visit: Visit) -> Response:
    """Take somebody off."""
    await visit.account()
    path = f"/hosts/{visit.part('host')}"
    try:
        await visit.api.delete(f"{path}/administrators/{visit.part('number')}")
    except Refused as refused:
        host = await visit.api.get(path)
        return await _host_refused(visit, refused, host, host, about="people")
    visit.tell("saved")
    return visit.go(f"/host/{visit.part('host')}/settings")


@pages("POST /host/{host}/people/{number}/acceptances")
async def accept_invitation(visit: Visit) -> Response:
    """Say yes to running a host."""
    await visit.account()
    await visit.api.post(f"/hosts/{visit.part('host')}/administrators/{visit.part('number')}/acceptances", {})
    visit.tell("host_accepted")
    return visit.go("/host", host=visit.part("host"))


@pages("POST /host/{host}/people/{number}/refusals")
async def refuse_invitation(visit: Visit) -> Response:
    """Say no to it."""
    await visit.account()
    await visit.api.delete(f"/hosts/{visit.part('host')}/administrators/{visit.part('number')}")
    visit.tell("host_declined")
    return visit.go("/host")
