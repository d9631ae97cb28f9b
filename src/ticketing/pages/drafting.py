"""Making an event: what it is, its pictures, its sections and prices, until it goes to the reviewers."""

from typing import Any

from starlette.responses import Response

from ticketing.kit.collation import sort_key

from .client import Refused
from .console import REFUSALS, hosts_of
from .faults import faults_of, trouble_of
from .frame import Pages, show
from .visits import Form, Visit
from .words import N_, id_of

pages = Pages()

TEXTS = ("title", "description", "start", "end", "doors", "disclaimer", "venue", "host", "type", "ticketsPerCustomer")
SECTION_FIELDS = ("name", "description", "basePrice", "salesStart", "salesEnd", "capacity")
PRICE_FIELDS = ("name", "price", "from", "to", "quantity")


@pages("GET /host/events/new")
async def new_event(visit: Visit) -> Response:
    """The form of a new event."""
    hosts = await hosts_of(visit)
    if not hosts:
        return visit.go("/host/new")
    filled = {"host": visit.query("host") or id_of(hosts[0]["self"]), "type": "Standard", "public": "yes"}
    return await _show_form(visit, None, filled)


async def _show_form(
    visit: Visit, event: dict[str, Any] | None, filled: dict[str, Any], *, status: int = 200, **facts: Any
) -> Response:
    given: dict[str, Any] = {"faults": {}, "trouble": "", **facts}
    venues = (await visit.api.get("/venues", records=500))["entries"]
    return await show(
        visit,
        "event_form.html",
        status=status,
        is_private=True,
        event=event,
        filled=filled,
        hosts=await hosts_of(visit),
        venues=sorted(venues, key=lambda venue: sort_key(venue["name"])),
        categories=(await visit.api.get("/categories", records=500))["entries"],
        regions={one["self"]: one for one in (await visit.api.get("/regions", records=500))["entries"]},
        **given,
    )


async def _read_event(form: Form) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was filled in, and the body of the call that it makes."""
    filled: dict[str, Any] = {
        **form.values(TEXTS),
        "kind": form.text("kind"),
        "tags": form.text("tags"),
        "public": "yes" if form.has("public") else "",
    }
    category, _, subcategory = filled["kind"].partition("|")
    body: dict[str, Any] = {
        "type": filled["type"] or "Standard",
        "title": filled["title"],
        "description": filled["description"],
        "category": f"/categories/{category}" if category else "",
        "subcategory": subcategory,
        "public": bool(filled["public"]),
        "venue": f"/venues/{filled['venue']}" if filled["venue"] else "",
        **{name: filled[name] for name in ("start", "end", "doors", "disclaimer")},
        "ticketsPerCustomer": filled["ticketsPerCustomer"] or None,
        "tags": [tag.strip() for tag in filled["tags"].split(",") if tag.strip()],
    }
    for kind in ("banner", "thumbnail"):
        if picture := await form.data_url(kind):
            body[kind] = picture
        elif form.has(f"remove-{kind}"):
            body[kind] = None
    return filled, body


@pages("POST /host/events/new")
async def register_event(visit: Visit) -> Response:
    """Keep the draft."""
    form = await visit.form(with_files=True)
    await visit.account()
    filled, body = await _read_event(form)
    try:
        event = await visit.api.post("/events", {"host": filled["host"], **body}, once=form.once)
    except Refused as refused:
        return await _event_refused(visit, refused, None, filled)
    visit.tell("draft_kept")
    return visit.go(f"/host{event['self']}/sections")


async def _event_refused(
    visit: Visit, refused: Refused, event: dict[str, Any] | None, filled: dict[str, Any]
) -> Response:
    answer = refused.answer
    if answer.status not in (*REFUSALS, 413):
        raise refused
    faults = faults_of(answer, visit.language)
    if said := faults.get("category") or faults.get("subcategory"):
        faults["kind"] = said
    if answer.status == 413:
        faults = {"banner": visit.language.say(N_("The pictures are too large together: 10 MB each at most."))}
    fields = dict.fromkeys([*TEXTS, "kind", "category", "subcategory", "tags", "public", "banner", "thumbnail"])
    trouble = trouble_of(answer, visit.language, fields)
    return await _show_form(visit, event, filled, status=answer.status, faults=faults, trouble=trouble)


@pages("GET /host/events/{event}/edit")
async def edit_event(visit: Visit) -> Response:
    """Change what an event says of itself."""
    await visit.account()
    event = await visit.api.get(f"/events/{visit.part('event')}")
    return await _show_form(visit, event, _filled_from(event))


def _filled_from(event: dict[str, Any]) -> dict[str, Any]:
    """An event as its form shows it; times without the offset that a browser's field knows nothing of."""
    return {
        **{name: event.get(name, "") for name in ("title", "description", "disclaimer", "type")},
        **{name: event[name][:16] for name in ("start", "end", "doors")},
        "host": id_of(event["host"]["self"]),
        "venue": id_of(event["venue"]["self"]),
        "kind": f"{id_of(event['category']['self'])}|{event['subcategory']}",
        "tags": ", ".join(event["tags"]),
        "ticketsPerCustomer": event["ticketsPerCustomer"] or "",
        "public": "yes" if event["public"] else "",
    }


@pages("POST /host/events/{event}/edit")
async def change_event(visit: Visit) -> Response:
    """Keep the changes; those of a listed event go past the reviewers too."""
    form = await visit.form(with_files=True)
    await visit.account()
    path = f"/events/{visit.part('event')}"
    event = await visit.api.get(path)
    filled, body = await _read_event(form)
    for name in ("start", "end", "doors"):  # a moment that the form cannot show is kept where it was not touched
        if filled[name] == event[name][:16]:
            body[name] = event[name]
    try:
        await visit.api.put(path, body)
        if form.has("move-sales"):
            await _move_sales(visit, event, body["start"])
    except Refused as refused:
        return await _event_refused(visit, refused, event, filled)
    visit.tell("saved")
    return visit.go(f"/host{path}")


async def _move_sales(visit: Visit, event: dict[str, Any], start: str) -> None:
    """Let sales that ended when the event began end when it begins now."""
    for section in event["sections"]:
        if section["salesEnd"] == event["start"]:
            await visit.api.put(section["uri"], {**_section_body(section), "salesEnd": start})


def _section_body(section: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: section[name] for name in ("name", "description", "salesStart", "salesEnd", "capacity", "active")},
        "basePrice": section["price"]["base"],
    }


# --- sections


@pages("GET /host/events/{event}/sections")
async def sections_page(visit: Visit) -> Response:
    """The sections of an event, with their prices, and a form for one more."""
    return await _show_sections(visit)


async def _show_sections(visit: Visit, *, status: int = 200, **facts: Any) -> Response:
    await visit.account()
    event = await visit.api.get(f"/events/{visit.part('event')}")
    prices = {}
    for section in event["sections"]:
        prices[section["uri"]] = (await visit.api.get(f"{section['uri']}/prices", records=100))["entries"]
    opens = visit.now.strftime("%Y-%m-%dT%H:00")
    filled = {"salesStart": opens, "salesEnd": event["start"][:16] or "", "basePrice": "0", "capacity": "100"}
    given: dict[str, Any] = {"faults": {}, "trouble": "", "about": "", "filled": filled, **facts}
    return await show(visit, "sections.html", status=status, is_private=True, event=event, prices=prices, **given)


def _read_section(form: Form) -> tuple[dict[str, str], dict[str, Any]]:
    filled = form.values(SECTION_FIELDS)
    body: dict[str, Any] = {**filled, "active": form.has("active")}
    for name in ("basePrice", "capacity"):
        body[name] = number_of(filled[name])
    return {**filled, "active": "yes" if form.has("active") else ""}, body


def number_of(text: str) -> Any:
    """A number as the API takes it: `12.50`, `12,50` and `12` are ones; what is none goes as it is, to be refused."""
    plain = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    try:
        return int(plain) if plain.isdecimal() else float(plain)
    except ValueError:
        return text


async def _section_refused(visit: Visit, refused: Refused, about: str, filled: dict[str, str]) -> Response:
    answer = refused.answer
    if answer.status not in REFUSALS:
        raise refused
    fields = dict.fromkeys([*SECTION_FIELDS, *PRICE_FIELDS, "active"])
    facts: dict[str, Any] = {"about": about, "faults": faults_of(answer, visit.language)}
    if about == "new" or about.startswith("section"):
        facts["filled"] = filled
    return await _show_sections(
        visit, status=answer.status, trouble=trouble_of(answer, visit.language, fields), **facts
    )


@pages("POST /host/events/{event}/sections")
async def add_section(visit: Visit) -> Response:
    """Add a section."""
    form = await visit.form()
    await visit.account()
    filled, body = _read_section(form)
    body["active"] = True
    body["description"] = body["description"] or body["name"]
    try:
        await visit.api.post(f"/events/{visit.part('event')}/sections", body, once=form.once)
    except Refused as refused:
        return await _section_refused(visit, refused, "new", filled)
    visit.tell("saved")
    return visit.go(f"/host/events/{visit.part('event')}/sections")


@pages("POST /host/events/{event}/sections/{section}")
async def change_section(visit: Visit) -> Response:
    """Change a section."""
    form = await visit.form()
    await visit.account()
    filled, body = _read_section(form)
    section = visit.part("section")
    try:
        await visit.api.put(f"/events/{visit.part('event')}/sections/{section}", body)
    except Refused as refused:
        return await _section_refused(visit, refused, f"section {section}", filled)
    visit.tell("saved")
    return visit.go(f"/host/events/{visit.part('event')}/sections")


@pages("POST /host/events/{event}/sections/{section}/prices")
async def add_price(visit: Visit) -> Response:
    """Add a reduced price, for a time or a number of tickets."""
    form = await visit.form()
    await visit.account()
    filled = form.values(PRICE_FIELDS)
    section = visit.part("section")
    body: dict[str, Any] = {name: value for name, value in filled.items() if value}
    for name in ("price", "quantity"):
        if name in body:
            body[name] = number_of(body[name])
    try:
        await visit.api.post(f"/events/{visit.part('event')}/sections/{section}/prices", body, once=form.once)
    except Refused as refused:
        return await _section_refused(visit, refused, f"prices {section}", filled)
    visit.tell("saved")
    return visit.go(f"/host/events/{visit.part('event')}/sections")


@pages("POST /host/events/{event}/sections/{section}/prices/{price}/removals")
async def remove_price(visit: Visit) -> Response:
    """Take a reduced price away."""
    await visit.account()
    path = f"/events/{visit.part('event')}/sections/{visit.part('section')}/prices/{visit.part('price')}"
    await visit.api.delete(path)
    visit.tell("saved")
    return visit.go(f"/host/events/{visit.part('event')}/sections")


@pages("GET /host/events/{event}/sections/{section}/removal")
async def section_removal(visit: Visit) -> Response:
    """What removing a section will do, before it does."""
    await visit.account()
    event = await visit.api.get(f"/events/{visit.part('event')}")
    section = next((one for one in event["sections"] if id_of(one["self"]) == visit.part("section")), None)
    if section is None:
        return visit.go(f"/host{event['self']}/sections")
    return await show(visit, "section_removal.html", is_private=True, event=event, section=section, trouble="")


@pages("POST /host/events/{event}/sections/{section}/removal")
async def remove_section(visit: Visit) -> Response:
    """Remove it."""
    await visit.account()
    path = f"/events/{visit.part('event')}"
    try:
        await visit.api.delete(f"{path}/sections/{visit.part('section')}")
    except Refused as refused:
        if refused.answer.status != 409:
            raise
        event = await visit.api.get(path)
        section = next(one for one in event["sections"] if id_of(one["self"]) == visit.part("section"))
        trouble = trouble_of(refused.answer, visit.language)
        return await show(
            visit, "section_removal.html", status=409, is_private=True, event=event, section=section, trouble=trouble
        )
    visit.tell("saved")
    return visit.go(f"/host{path}/sections")
