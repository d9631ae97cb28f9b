"""What everybody finds: what is on, one event, one host, and what machines read of them."""

import json
from typing import Any
from xml.sax.saxutils import escape

from starlette.responses import Response

from .client import Refused
from .frame import Pages, frame_of, show
from .offers import event_offer, is_over, section_offers
from .visits import Visit, local_path
from .words import ends, event_path, opens_at, slug, starts

pages = Pages()

A_PAGE = 24
YEAR_SECONDS = 365 * 24 * 3600
MOST_IN_SITEMAP = 500


@pages("GET /events/{event}/calendar.ics")
async def event_calendar(visit: Visit) -> Response:
    """An event for a calendar."""
    answer = await visit.api.call("GET", f"/events/{visit.part('event')}.ics")
    headers = {"Content-Disposition": answer.headers["content-disposition"], "Cache-Control": "private, no-cache"}
    return Response(answer.body, headers=headers, media_type=answer.headers["content-type"])


@pages("GET /events/{event}/{slug}")
async def event_page(visit: Visit) -> Response:
    """An event: picture, when, where, what it costs, and the way to tickets."""
    event = await visit.api.get(f"/events/{visit.part('event')}")
    if visit.request.path_params["slug"] != slug(event["title"]):
        return visit.go(event_path(event))
    return await show_event(visit, event)


def _leads(event: dict[str, Any], visit: Visit) -> bool:
    """Whether an event may stand first and large: one that is featured and can be bought."""
    offer = event_offer(event, visit.now)
    return bool(event["featured"]) and offer.lowest is not None and offer.tone != "bad"


async def show_event(visit: Visit, event: dict[str, Any], **facts: Any) -> Response:
    """The page of an event, as it is or with what somebody chose on it."""
    now = visit.now
    offers = section_offers(event, now)
    return await show(
        visit,
        "event.html",
        event=event,
        offers=offers,
        can_buy=any(one.state == "open" for one in offers),
        offer=event_offer(event, now),
        over=is_over(event, now),
        linked_data=_linked_data(visit, event),
        **{"chosen": visit.cart(), "trouble": "", **facts},
    )


@pages("GET /events/{event}")
async def event_without_title(visit: Visit) -> Response:
    """The short address of an event leads to its whole one."""
    return visit.go(event_path(await visit.api.get(f"/events/{visit.part('event')}")))


@pages("GET /")
async def front_page(visit: Visit) -> Response:
    """What is on, soonest first; found by words, region, category and date."""
    wanted = {name: visit.query(name)[:100] for name in ("search", "region", "category", "after")}
    page = visit.number("page")
    nothing: dict[str, Any] = {"page": 1, "records": A_PAGE, "total": 0, "entries": []}
    try:
        events = await visit.api.get("/published-events", **wanted, over=False, sort="start", page=page, records=A_PAGE)
    except Refused as refused:
        if refused.answer.status not in (400, 404):
            raise
        events = nothing
    is_filtered = any(wanted.values())
    if not is_filtered and page == 1:
        lead = next((event for event in events["entries"] if _leads(event, visit)), None)
        events["entries"].sort(key=lambda event: event is not lead)  # a stable sort: the rest stays in order
    others = []
    if not events["entries"] and is_filtered:
        others = (await visit.api.get("/published-events", over=False, sort="start", records=3))["entries"]
    return await show(
        visit,
        "front.html",
        events=events,
        offers=[event_offer(event, visit.now) for event in events["entries"]],
        other_offers=[event_offer(event, visit.now) for event in others],
        others=others,
        wanted=wanted,
        is_filtered=is_filtered,
        regions=(await visit.api.get("/regions", records=500))["entries"],
        categories=(await visit.api.get("/categories", records=500))["entries"],
    )


@pages("GET /hosts/{host}")
async def host_page(visit: Visit) -> Response:
    """A host and what comes."""
    host = await visit.api.get(f"/hosts/{visit.part('host')}")
    events = await visit.api.get(
        "/published-events",
        host=visit.part("host"),
        over=False,
        sort="start",
        records=A_PAGE,
        page=visit.number("page"),
    )
    offers = [event_offer(event, visit.now) for event in events["entries"]]
    return await show(visit, "host.html", host=host, events=events, offers=offers)


@pages("POST /language")
async def choose_language(visit: Visit) -> Response:
    """Remember a language."""
    form = await visit.form()
    if (code := form.text("language")) in visit.site.languages:
        visit.keep("language", code, YEAR_SECONDS)
    return visit.go(local_path(form.text("back")))


@pages("GET /robots.txt")
async def robots(visit: Visit) -> Response:
    """What search engines may read: what everybody may."""
    private = (
        "/cart",
        "/checkout",
        "/tickets",
        "/transfers",
        "/orders",
        "/account",
        "/host",
        "/desk",
        "/gate",
        "/sign",
    )
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in private), f"Sitemap: {visit.origin}/sitemap.xml"]
    return Response("\n".join(lines) + "\n", media_type="text/plain")


@pages("GET /sitemap.xml")
async def sitemap(visit: Visit) -> Response:
    """The addresses of what is on."""
    events = await visit.api.get("/published-events", over=False, sort="start", records=MOST_IN_SITEMAP)
    places = ["/", *(event_path(event) for event in events["entries"])]
    lines = [f"<url><loc>{escape(visit.origin + place)}</loc></url>" for place in places]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return Response(head + "\n".join(lines) + "\n</urlset>\n", media_type="application/xml")


@pages("GET /favicon.ico")
async def icon(visit: Visit) -> Response:
    """Where browsers look for the icon by themselves."""
    return visit.go(frame_of(visit).assets.url("icon.svg"))


def _linked_data(visit: Visit, event: dict[str, Any]) -> str:
    """The event as schema.org has it, safe to stand in a script element."""
    start, end = starts(event), ends(event)
    venue = event["venue"]
    status = "EventCancelled" if event["status"] == "Cancelled" else "EventScheduled"
    states = {"open": "InStock", "sold_out": "SoldOut", "not_yet": "PreOrder"}
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Event",
        "name": event["title"],
        "description": event["description"],
        "image": [event["banner"]],
        "url": visit.origin + event_path(event),
        "eventStatus": f"https://schema.org/{status}",
        "eventAttendanceMode": "https://schema.org/OfflineEventAttendanceMode",
        "location": {
            "@type": "Place",
            "name": venue["name"],
            "address": venue["address"],
            "geo": {"@type": "GeoCoordinates", "latitude": venue["latitude"], "longitude": venue["longitude"]},
        },
        "organizer": {"@type": "Organization", "name": event["host"]["name"]},
        "offers": [
            {
                "@type": "Offer",
                "name": one.section["name"],
                "price": one.price,
                "priceCurrency": visit.site.currency,
                "availability": f"https://schema.org/{states.get(one.state, 'SoldOut')}",
                "url": visit.origin + event_path(event),
                **({"validFrom": one.opens.iso} if one.opens else {}),
            }
            for one in section_offers(event, visit.now)
        ],
    }
    if start is not None:
        data["startDate"] = start.iso
    if end is not None:
        data["endDate"] = end.iso
    if (opens := opens_at(event)) is not None:
        data["doorTime"] = opens.iso
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "").replace("\u2029", "")
