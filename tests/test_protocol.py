"""What every operation has in common: the order of checks, the bodies of refusals, the edge of the server."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import asyncpg
import httpx
import msgspec
import pytest

import ticketing.app
from conftest import Client, MakePerson, add_person, add_session
from ticketing.kit import logs
from ticketing.kit.database import Database
from ticketing.sessions.permissions import ANY, MAY_CALL
from ticketing.settings import Settings
from ticketing.web.callers import Level
from ticketing.web.forms import Field, Form, text
from ticketing.web.operations import Call, Operations, Reply, private_file
from ticketing.web.protocol import version_numbers

GENERAL = {"error": "There is presently no resource with the given URI."}
UPGRADE = {"error": "Please upgrade your client to complete this request"}
UNAUTHENTICATED = {"message": "Your request could not be authenticated."}
RESTRICTED = {"message": "You are restricted from accessing this resource."}
CRASH = {"message": "There was a server error while excuting this request. Please see system logs for details."}
MALFORMED = (
    "Your request payload is invalid. Please ensure you have included all required fields and values are well-formed."
)

operations = Operations("Tests")
databases: list[Database] = []
ANYTHING = Form([Field("name", text(), required=False)])


@operations("POST /trials", form=ANYTHING)
async def try_body(call: Call) -> Reply:
    """Show the body."""
    databases.append(call.the(Database))
    return Reply(call.json(), 201)


@operations("GET /trials/{trial}")
async def try_crash(call: Call) -> Reply:
    """Fail in a way nobody foresaw."""
    raise ZeroDivisionError("internal: the password is hunter2")


@operations("GET /trials/{trial}.pdf", media_type="application/pdf")
async def try_file(call: Call) -> Reply:
    """Tell what the path holds, as a file."""
    return private_file(call.path["trial"].encode(), "application/pdf", "trial.pdf")


@operations("DELETE /trials/{trial}")
async def try_unreachable(call: Call) -> Reply:
    """Fail because the database cannot be had, or has no room."""
    raise {"full": asyncpg.DiskFullError}.get(call.path["trial"], ConnectionResetError)


@pytest.fixture(scope="module", autouse=True)
def trials() -> Iterator[None]:
    """A few operations of our own beside the real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ticketing.app, "OPERATIONS", [*ticketing.app.OPERATIONS, *operations.all])
        for operation in operations.all:
            patch.setitem(MAY_CALL, operation.id, ANY)
        yield


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return replace(settings, rate_limits="on", traffic_per_minute=100_000, failures_per_minute=100_000)


async def ask(http: httpx.AsyncClient, method: str, path: str, **headers: str) -> httpx.Response:
    """A request with just these headers (names with underscores)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.request(method, path, headers=named)


# --- the order of checks


async def test_an_unknown_path_is_told_first(http: httpx.AsyncClient) -> None:
    """Before the method, the version and the key; the path stands in the text as it was requested."""
    for path, shown in {
        "/v3/invalid/endpoint": "/invalid/endpoint",
        "/v3/invalid/endpoint?page=1": "/invalid/endpoint",
        "/v3/caf%C3%A9/a%2Fb": "/caf%C3%A9/a%2Fb",
        "/v3": "/",
        "/v3/": "/",
        "/v3/regions/": "/regions/",
        "/v3/regions/1/2": "/regions/1/2",
        "/v3//regions": "//regions",
        "/v30/regions": "/v30/regions",
        "/regions": "/regions",
        "/wp-login.php": "/wp-login.php",
    }.items():
        for method in ("GET", "POST", "BREW"):
            answer = await ask(http, method, path)
            assert (answer.status_code, answer.json()) == (
                404,
                {"message": f"The requested endpoint {shown} does not exist on this server."},
            )


@pytest.mark.parametrize("value", ["1", "1.txt", "a.pdf", "..", "%F0%9F%8E%AB"])
async def test_a_file_stands_beside_the_thing_it_is_made_of(public: Client, value: str) -> None:
    answer = await public.get(f"/trials/{value}.pdf")
    assert (answer.status, answer.body.decode()) == (200, unquote(value))
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == 'attachment; filename="trial.pdf"'


async def test_an_ending_alone_or_another_is_no_file(public: Client, http: httpx.AsyncClient) -> None:
    for value in (".pdf", "1.txt", "1.PDF", "1pdf"):
        assert (await public.get(f"/trials/{value}")).body == CRASH  # the operation without an ending answers
    answer = await ask(http, "DELETE", "/v3/trials/1.pdf")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_the_wrong_method_comes_before_version_and_key(http: httpx.AsyncClient) -> None:
    answer = await ask(http, "PATCH", "/v3/regions")
    text = "The requested method is not supported by this endpoint."
    assert (answer.status_code, answer.json()) == (405, {"error": text, "message": text})
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert (await ask(http, "OPTIONS", "/v3/regions")).status_code == 405
    assert (await ask(http, "POST", "/v3/openapi.json")).json() == {"error": text, "message": text}


@pytest.mark.parametrize(
    "version", ["", "2.9.9", "3", "3.0", "3.0.0.0", "v3.0.0", "3.0.x", "3.0.-1", "٣.0.0", "3.0." + "9" * 5000]
)
async def test_an_old_or_malformed_version_comes_before_the_key(http: httpx.AsyncClient, version: str) -> None:
    answer = await http.get("/v3/regions", headers={"X-Client-Version": version.encode()} if version else {})
    assert (answer.status_code, answer.json()) == (412, UPGRADE)


@pytest.mark.parametrize("version", ["3.0.0", "3.1.3", "10.0.0", " 3.0.0 "])
async def test_versions_are_compared_as_numbers(public: Client, version: str) -> None:
    for _again in range(2):
        assert (await public.send("GET", "/regions", headers={"X-Client-Version": version})).status == 200


def test_versions_as_numbers() -> None:
    assert version_numbers("10.0.0") > version_numbers("9.9.9") > version_numbers("3.0.10")  # type: ignore[operator]


async def test_a_missing_key_comes_before_an_unknown_one_and_that_before_the_thing(
    http: httpx.AsyncClient, alice: Client
) -> None:
    for key in (None, "", "   "):
        headers = {"X-Client-Version": "3.0.0"} | ({} if key is None else {"X-API-Key": key})
        answer = await http.get("/v3/regions/1", headers=headers)
        assert (answer.status_code, answer.json()) == (401, UNAUTHENTICATED)
    for key in ("f" * 32, "nonsense", "é", "x" * 5000, "a\x01b"):
        answer = await http.get("/v3/regions/1", headers={"X-Client-Version": "3.0.0", "X-API-Key": key.encode()})
        assert (answer.status_code, answer.json()) == (403, RESTRICTED)
    # The level, before the thing and the body.
    refused = await alice.send("PUT", "/regions/1", content=b"{")
    assert (refused.status, refused.body) == (403, RESTRICTED)


async def test_a_missing_thing_comes_before_the_body(administrator: Client) -> None:
    for segment in ("1", "0000000", "undefined", "%00", "1%00", "-1", "9" * 400, "%F0%9F%8E%AB", "1.0", "+1", "١"):
        for method in ("GET", "PUT", "DELETE"):
            answer = await administrator.send(method, f"/regions/{segment}", content=b"{")
            assert (answer.status, answer.body) == (404, GENERAL), segment


# --- bodies


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"7", b"{'a': 1}", b'{"a": NaN}', b"\xff\xfe", b'{"a":' + b"[" * 100_000],
)
async def test_a_malformed_body_or_no_object(public: Client, body: bytes) -> None:
    answer = await public.send("POST", "/trials", content=body)
    assert (answer.status, answer.error) == (400, MALFORMED)


async def test_a_body_over_the_limit(public: Client) -> None:
    exact = b'{"name":"' + b"x" * (1024 * 1024 - 11) + b'"}'
    assert len(exact) == 1024 * 1024
    assert (await public.send("POST", "/trials", content=exact)).status == 201
    answer = await public.send("POST", "/trials", content=exact + b" ")
    assert (answer.status, answer.error) == (413, MALFORMED)


async def test_an_object_travels_with_get_and_delete(public: Client, administrator: Client) -> None:
    assert (await public.send("GET", "/regions", json={})).status == 200
    assert (await administrator.send("DELETE", "/regions/1", json={})).body == GENERAL
    assert (await public.send("GET", "/regions", content=b"{")).status == 200


async def test_unknown_members_are_ignored(public: Client) -> None:
    assert (await public.post("/trials", name="a", other=[1])).status == 201


async def test_a_slow_body_holds_no_connection(app: Any, public: Client) -> None:
    begun, finish = asyncio.Event(), asyncio.Event()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        begun.set()
        await finish.wait()
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await public.post("/trials")
    pool = databases[-1].pool
    slow = asyncio.create_task(app(_scope("POST", "/v3/trials", public.key), receive, send))
    await begun.wait()
    assert pool.get_idle_size() == pool.get_size()
    finish.set()
    await slow
    assert sent[0]["status"] == 201


async def test_a_client_that_hangs_up_is_not_answered(app: Any, public: Client) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    await app(_scope("POST", "/v3/trials", public.key), receive, send)


def _scope(method: str, path: str, key: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "client": ("10.0.0.1", 1),
        "headers": [(b"x-api-key", key.encode()), (b"x-client-version", b"3.0.0")],
    }


# --- the edge


async def test_head_is_get_without_the_body(public: Client, http: httpx.AsyncClient) -> None:
    headers = {"X-Client-Version": "3.0.0", "X-API-Key": public.key}
    got, head = [await http.request(method, "/v3/regions", headers=headers) for method in ("GET", "HEAD")]
    assert (head.status_code, head.headers["content-length"]) == (200, got.headers["content-length"])
    assert head.content == b""
    assert (await ask(http, "HEAD", "/v3/nowhere")).status_code == 404


async def test_a_crash_tells_nothing(public: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.BytesIO()
    monkeypatch.setattr(logs, "_lines", lines)
    answer = await public.get("/trials/1")
    assert (answer.status, answer.body) == (500, CRASH)
    assert answer.headers["content-type"] == "application/json"
    line = msgspec.json.decode(lines.getvalue())
    assert (line["request"], line["status"]) == (answer.headers["x-request-id"], 500)


async def test_an_unreachable_database_is_no_crash(public: Client) -> None:
    answer = await public.delete("/trials/1")
    assert (answer.status, answer.error) == (503, "The server is busy. Please try again in 2 seconds.")
    assert answer.headers["retry-after"] == "2"


async def test_a_full_disk_is_no_crash(public: Client) -> None:
    answer = await public.delete("/trials/full")
    assert (answer.status, answer.error) == (503, "The server is busy. Please try again in 10 seconds.")


async def test_every_answer_and_its_line_in_the_log_bear_the_same_id(
    http: httpx.AsyncClient, public: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = io.BytesIO()
    monkeypatch.setattr(logs, "_lines", lines)
    headers = {"X-Client-Version": "3.0.0", "X-API-Key": public.key}
    answers = [
        await http.get("/v3/nowhere"),
        await http.patch("/v3/regions"),
        await http.get("/v3/regions"),
        await http.get("/v3/regions", headers={"X-Client-Version": "3.0.0"}),
        await http.get("/v3/regions", headers={**headers, "X-API-Key": "unknown"}),
        await http.get("/v3/regions?page=secret", headers=headers),
        await http.get("/v3/trials/1", headers=headers),
        await http.get("/docs"),
    ]
    well = await http.get("/health/live")  # asked every few seconds: that all is well leaves no line
    assert (well.status_code, len(well.headers["x-request-id"])) == (200, 16)
    written = [msgspec.json.decode(line) for line in lines.getvalue().splitlines()]
    written = [line for line in written if line["event"] == "request"]
    assert [line["request"] for line in written] == [answer.headers["x-request-id"] for answer in answers]
    assert [line["status"] for line in written] == [404, 405, 412, 401, 403, 400, 500, 200]
    assert len({line["request"] for line in written}) == len(answers)
    assert written[5]["operation"] == "list_regions"
    assert written[5]["caller"] == public.number
    assert b"secret" not in lines.getvalue()
    assert public.key.encode() not in lines.getvalue()


async def test_limits_are_told_on_every_answer(http: httpx.AsyncClient, public: Client) -> None:
    headers = {"X-Client-Version": "3.0.0", "X-API-Key": public.key}
    for answer in (
        await http.get("/v3/nowhere"),
        await http.patch("/v3/regions"),
        await http.get("/v3/regions"),
        await http.get("/v3/regions", headers={"X-Client-Version": "3.0.0"}),
        await http.get("/v3/regions", headers=headers),
        await http.get("/v3/regions?page=0", headers=headers),
        await http.get("/v3/integrations", headers=headers),
        await http.get("/v3/trials/1", headers=headers),
    ):
        assert answer.headers["ratelimit-limit"] == "100000"
        assert 0 < int(answer.headers["ratelimit-remaining"]) < 100_000
        assert 0 < int(answer.headers["ratelimit-reset"]) <= 60


# --- browsers


@pytest.fixture(scope="module")
async def shop(database: str, settings: Settings, trials: None) -> AsyncIterator[httpx.AsyncClient]:
    """A server that lets the pages of one origin call it."""
    edge = ticketing.app.build_app(replace(settings, cors_origins="https://shop.example, https://other.example"))
    async with edge.app.router.lifespan_context(edge.app):
        transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as client:
            yield client


async def test_a_preflight_is_answered_before_version_and_key(shop: httpx.AsyncClient) -> None:
    answer = await shop.options(
        "/v3/orders",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key, x-client-version, content-type, idempotency-key",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "x-api-key" in answer.headers["access-control-allow-headers"].lower()


async def test_a_browser_may_read_refusals_too(shop: httpx.AsyncClient, public: Client) -> None:
    known = {"X-Client-Version": "3.0.0", "X-API-Key": public.key}
    for expected, path, headers in (
        (404, "/v3/nowhere", {}),
        (412, "/v3/regions", {}),
        (401, "/v3/regions", {"X-Client-Version": "3.0.0"}),
        (403, "/v3/regions", {"X-Client-Version": "3.0.0", "X-API-Key": "unknown"}),
        (200, "/v3/regions", known),
        (500, "/v3/trials/1", known),
    ):
        answer = await shop.get(path, headers={"Origin": "https://other.example", **headers})
        assert answer.status_code == expected
        assert answer.headers["access-control-allow-origin"] == "https://other.example"
        assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
        assert "x-request-id" in answer.headers


async def test_a_strange_origin_is_not_let_in(shop: httpx.AsyncClient) -> None:
    answer = await shop.get("/v3/regions", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    preflight = await shop.options(
        "/v3/regions", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    )
    assert "access-control-allow-origin" not in preflight.headers


async def test_without_origins_there_is_no_cors(http: httpx.AsyncClient, public: Client) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    preflight = await http.options("/v3/regions", headers=headers)
    assert preflight.status_code == 405
    answer = await public.send("GET", "/regions", headers=headers)
    assert not [name for name in (*preflight.headers, *answer.headers) if name.startswith("access-control")]


# --- traffic


@pytest.fixture
async def narrow(database: str, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A server that allows very little."""
    edge = ticketing.app.build_app(replace(settings, traffic_per_minute=5, failures_per_minute=3))
    async with edge.app.router.lifespan_context(edge.app):
        transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False, client=("10.1.1.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as client:
            yield client


async def test_a_key_makes_so_many_requests_a_minute(narrow: httpx.AsyncClient, db: Any) -> None:
    shop, visitor = [await add_person(narrow, db, name) for name in ("shop", "visitor")]
    for left in (4, 3, 2, 1, 0):
        answer = await shop.get("/regions", page=0)  # refused or not
        assert (answer.status, answer.headers["ratelimit-remaining"]) == (404, str(left))
    over = await shop.get("/regions")
    seconds = over.headers["retry-after"]
    assert (over.status, over.error) == (429, f"Too many requests. Please try again in {seconds} seconds.")
    assert (over.headers["ratelimit-limit"], over.headers["ratelimit-remaining"]) == ("5", "0")
    assert (await visitor.get("/regions")).status == 200


async def test_an_account_has_one_share_however_many_keys(narrow: httpx.AsyncClient, public: Client, db: Any) -> None:
    shop = replace(public, http=narrow)
    person = await add_person(narrow, db, "marvin")
    second = await add_session(db, person)
    assert [(await one.get("/regions")).status for one in (person, second, person, second, person, second)] == [
        *[200] * 5,
        429,
    ]
    # What is looked for in texts, a password, a large body count for more.
    assert (await shop.get("/published-events", search="jazz")).status == 429
    assert (await shop.post("/sessions", identification="nobody", password="x")).status == 429


async def test_an_address_has_a_bound_of_its_own_but_our_machine_has_none(settings: Settings, db: Any) -> None:
    edge = ticketing.app.build_app(replace(settings, address_traffic_per_minute=4))
    async with edge.app.router.lifespan_context(edge.app):
        for address, last in (("2001:db8::1", 429), ("127.0.0.7", 200)):
            transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as http:
                people = [await add_person(http, db, "one of many") for _ in range(5)]
                statuses = [(await person.get("/regions")).status for person in people]
            assert statuses == [200, 200, 200, 200, last]
        transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False, client=("2001:db8::2", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as http:
            assert (await replace(people[0], http=http).get("/regions")).status == 429  # of the same /64


async def test_strangers_are_shut_out_but_nobody_behind_the_same_proxy(
    narrow: httpx.AsyncClient, db: Any, make_person: MakePerson
) -> None:
    headers = {"X-Client-Version": "3.0.0", "X-API-Key": "unknown"}
    assert [(await narrow.get("/v3/regions", headers=headers)).status_code for _ in range(5)] == [403] * 3 + [429] * 2
    assert (await narrow.get("/v3/nowhere")).status_code == 429
    neighbour = await add_person(narrow, db, "neighbour")
    assert (await neighbour.get("/regions")).status == 200
    for _ in range(30):
        await narrow.get("/v3/regions", headers=headers)
    late = await add_person(narrow, db, "late")
    assert (await late.get("/regions")).status == 429  # a flood: unknown keys are not even looked up
    assert (await neighbour.get("/regions")).status == 200


def test_levels_are_spelt_as_the_contract_does() -> None:
    assert {str(level) for level in Level} == {"public", "gate", "customer", "support", "host", "administrator"}
