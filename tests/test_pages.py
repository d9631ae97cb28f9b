"""The pages over HTTP: nobody is lured into anything, every link leads somewhere, no form breaks the server."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from conftest import Client
from makers import list_event, make_event, make_section, make_venue
from ticketing.demo import PASSWORD, plant
from ticketing.settings import Settings

ORIGIN = "http://localhost:8000"
OURS = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
MOST_PAGES = 150


@pytest.fixture(scope="module", autouse=True)
async def demo(settings: Settings) -> None:
    await plant(settings, lambda _line: None)


class Visitor:
    """A browser without scripts."""

    def __init__(self, app: Any, base: str = ORIGIN) -> None:
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base)

    async def sign_in(self, user: str) -> "Visitor":
        form = {"identification": user, "password": PASSWORD, "next": "/tickets"}
        answer = await self.http.post("/sign-in", data=form, headers=OURS)
        assert (answer.status_code, answer.headers["location"]) == (303, "/tickets"), answer.text
        return self

    async def get(self, path: str, **details: Any) -> httpx.Response:
        return await self.http.get(path, **details)

    async def post(self, path: str, data: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        return await self.http.post(path, data=data or {}, headers=headers or OURS)


@pytest.fixture
async def visitor(app: Any) -> AsyncIterator[Visitor]:
    made = Visitor(app)
    yield made
    await made.http.aclose()


async def test_a_form_of_another_site_is_refused(visitor: Visitor) -> None:
    await visitor.sign_in("customer")
    for headers in (
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {"Accept": "text/html"},
        {"Origin": ORIGIN + ".evil.example"},
    ):
        answer = await visitor.post("/account/deletions", {"reason": "x"}, **headers)
        assert answer.status_code == 403, headers
        assert "came from somewhere else" in answer.text
    assert (await visitor.get("/account")).status_code == 200


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/x", "//evil.example/x", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)"],
)
async def test_no_sign_in_leads_to_another_site(visitor: Visitor, target: str) -> None:
    form = {"identification": "customer", "password": PASSWORD, "next": target}
    answer = await visitor.http.post("/sign-in", data=form, headers=OURS)
    assert answer.status_code == 303
    parts = urlsplit(answer.headers["location"])
    assert (parts.scheme, parts.netloc) == ("", "")
    assert not answer.headers["location"].startswith("//")


async def test_the_session_travels_where_nobody_reads_it(app: Any, visitor: Visitor) -> None:
    form = {"identification": "customer", "password": PASSWORD}
    answer = await visitor.post("/sign-in", form)
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("session=")]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    secure = Visitor(app, "https://shop.example")
    headers = {"Origin": "https://shop.example", "Sec-Fetch-Site": "same-origin"}
    answer = await secure.http.post("/sign-in", data=form, headers=headers)
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if "session=" in one]
    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie
    # Over plain http that is not this machine, nobody signs in, and a session that comes along counts for nothing.
    open_to_all = Visitor(app, "http://shop.example")
    headers = {"Origin": "http://shop.example", "Sec-Fetch-Site": "same-origin"}
    answer = await open_to_all.http.post("/sign-in", data=form, headers=headers)
    assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)
    assert "secure address" in answer.text
    key = cookie.partition("=")[2].partition(";")[0]
    assert (await open_to_all.get("/tickets", headers={"Cookie": f"session={key}"})).status_code == 303
    for one in (secure, open_to_all):
        await one.http.aclose()


async def test_every_page_says_what_it_may_do(visitor: Visitor) -> None:
    answer = await visitor.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "'wasm-unsafe-eval'" in (await visitor.get("/gate")).headers["content-security-policy"]
    await visitor.sign_in("customer")
    for path in ("/", "/tickets", "/account", "/cart"):
        assert (await visitor.get(path)).headers["cache-control"] == "private, no-store", path


async def test_what_people_type_is_shown_and_never_run(visitor: Visitor, alice: Client, administrator: Client) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    venue = await make_venue(administrator, name=f"Hall {evil}")
    event = await make_event(
        alice, administrator, title=f"Night {evil}", description=f"</script>{evil}", venue=venue["self"]
    )
    await make_section(alice, event, name=f"Floor {evil}")
    await list_event(administrator, event)
    number = event["self"].rsplit("/", 1)[1]
    for path in (f"/events/{number}", "/?search=night", f"/?search={evil}", f"/nothing/{evil}"):
        answer = await visitor.get(path, follow_redirects=True, headers={"Accept": "text/html"})
        assert "<script>alert" not in answer.text, path
        assert "<img src=x" not in answer.text, path
    whole = await visitor.get(f"/events/{number}", follow_redirects=True)
    (data,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', whole.text, re.DOTALL)
    assert "<" not in data


async def test_the_cart_bears_what_is_no_cart(visitor: Visitor) -> None:
    for nonsense in ("x", "e30", "bnVsbA", "WyJhIl0", "=" * 3000, "eyIxL3NlY3Rpb25zLzIiOi0xfQ"):
        answer = await visitor.get("/cart", headers={"Cookie": f"cart={nonsense}"})
        assert answer.status_code == 200, nonsense
        assert "Nothing in it yet" in answer.text
    answer = await visitor.post("/cart/items", {"event": "1", "quantity:/events/1/sections/2": "99999999999"})
    assert answer.status_code in (303, 404)
    answer = await visitor.http.post("/checkout", content=b"x" * 300_000, headers=OURS)
    assert answer.status_code in (303, 413)


async def test_a_path_that_leads_nowhere_is_a_page_for_people_and_json_for_programs(visitor: Visitor) -> None:
    page = await visitor.get("/nothing/here", headers={"Accept": "text/html,*/*"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    for path, accept in (("/nothing/here", "*/*"), ("/v3/nothing", "text/html")):
        answer = await visitor.get(path, headers={"Accept": accept})
        assert answer.json() == {
            "message": f"The requested endpoint {path.removeprefix('/v3')} does not exist on this server."
        }


async def test_the_language_is_chosen_and_kept(visitor: Visitor) -> None:
    assert "Was läuft" not in (await visitor.get("/")).text
    assert 'lang="de"' in (await visitor.get("/", headers={"Accept-Language": "de-CH,de;q=0.9"})).text
    answer = await visitor.post("/language", {"language": "fr", "back": "/cart"})
    assert answer.headers["location"] == "/cart"
    assert "Votre panier" in (await visitor.get("/cart")).text
    assert (await visitor.post("/language", {"language": "../x", "back": "//evil.example"})).headers["location"] == "/"


async def test_machines_read_what_is_on(visitor: Visitor) -> None:
    robots = await visitor.get("/robots.txt")
    assert "Disallow: /account" in robots.text
    sitemap = await visitor.get("/sitemap.xml")
    places = re.findall(r"<loc>(.*?)</loc>", sitemap.text)
    assert len(places) > 3
    for place in places:
        assert (await visitor.get(urlsplit(place).path)).status_code == 200
    event = next(place for place in places if "/events/" in place)
    calendar = await visitor.get(urlsplit(event).path.rsplit("/", 1)[0] + "/calendar.ics")
    assert calendar.headers["content-type"].startswith("text/calendar")
    assert "BEGIN:VEVENT" in calendar.text


async def test_a_first_visit_of_an_event_is_small(visitor: Visitor) -> None:
    front = await visitor.get("/")
    event = re.search(r'href="(/events/\d+/[a-z-]+)"', front.text)
    assert event is not None
    page = await visitor.get(event[1], headers={"Accept-Encoding": "gzip"})
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))
    size = len(page.content)
    for path in files:
        answer = await visitor.http.send(visitor.http.build_request("GET", path), stream=True)
        size += sum([len(chunk) async for chunk in answer.aiter_raw()])
        assert "immutable" in answer.headers["cache-control"]
    assert size < 60_000
    assert len(files) + 2 <= 8  # the page, its files, one picture


@pytest.mark.parametrize("user", ["", "customer", "host", "support", "admin"])
async def test_every_link_leads_somewhere_and_no_empty_form_breaks_anything(app: Any, user: str) -> None:
    visitor = Visitor(app)
    if user:
        await visitor.sign_in(user)
    waiting, seen, forms = ["/"], {"/"}, set()
    while waiting and len(seen) < MOST_PAGES:
        path = waiting.pop(0)
        answer = await visitor.get(path, headers={"Accept": "text/html"})
        assert answer.status_code in (200, 303), (answer.status_code, path)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        html = answer.text
        found = re.findall(r'(?:href|src)="(/[^"#]*)', html) + re.findall(
            r'<form method="post"[^>]*action="([^"]+)"', html
        )
        for link in map(unescape, re.findall(r'(?:href|src)="(/[^"#]*)', html)):
            kind = re.sub(r"\d{6,}|[A-Z]{2}-[0-9A-Z]{8}|[0-9A-F]{12}|[0-9A-Z]{6}-[0-9A-Z]{12}|=.*|[a-z-]+$", "*", link)
            if link not in seen and not link.startswith(("/static/", "/docs", "//")):
                seen.add(link)
                if sum(kind == other for other in forms) < 1 or len(waiting) < 40:
                    waiting.append(link)
        assert found
        for action in map(unescape, re.findall(r'<form method="post"[^>]*action="([^"]+)"', html)):
            kind = re.sub(r"\d{6,}|[A-Z]{2}-[0-9A-Z]{8}|[0-9A-F]{12}", "*", action)
            if kind not in forms and not re.search(
                r"sign-out|removal|deletions|unlisting|cancell|refusals|activation", action
            ):
                forms.add(kind)
                sent = await visitor.post(action)
                assert sent.status_code < 500, (sent.status_code, action)
    assert len(seen) > 15
    await asyncio.gather(visitor.http.aclose())


async def test_the_tickets_of_an_order_are_mailed_again_by_a_button(app: Any, db: Any) -> None:
    """Pressed twice by a double click, one letter goes out; the desk has the button too."""
    customer, support = await Visitor(app).sign_in("customer"), await Visitor(app).sign_in("support")
    numbers = re.findall(r'href="/orders/([0-9A-F]+)"', (await customer.get("/orders")).text)
    sent = 0
    for number in numbers:
        for visitor, page in ((customer, f"/orders/{number}"), (support, f"/desk/orders/{number}")):
            form = rf'<form method="post" action="{page}/letters".*?name="once" value="([^"]+)"'
            found = re.search(form, (await visitor.get(page)).text, re.DOTALL)
            if found is None:
                continue
            before = await db.fetchval("SELECT count(*) FROM mails WHERE letter = 'order_fulfilled'")
            answers = [await visitor.post(f"{page}/letters", {"once": found[1]}) for _click in range(2)]
            after = await db.fetchval("SELECT count(*) FROM mails WHERE letter = 'order_fulfilled'")
            if answers[0].status_code == 409:
                assert ("There is nothing to send" in answers[0].text, after) == (True, before)
                continue
            assert [one.headers["location"] for one in answers] == [page, page]
            assert "on their way to the address" in (await visitor.get(page)).text
            assert after == before + 1
            sent += 1
    assert sent >= 2
    for visitor in (customer, support):
        await visitor.http.aclose()
