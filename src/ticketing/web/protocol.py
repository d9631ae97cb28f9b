"""The protocol, once for every operation: what is checked in which order, and how answers and errors look.

The order (contract, section 1): unknown path, wrong method, client version, key missing, key unknown, access level -
then the handler: resource missing, who may, uniqueness, body, state.

A request passes `Edge` (request id, log line, last resort), the CORS layer where there is one, `Paths` (which endpoint)
and `Endpoint` (which operation, and all of the above).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from ticketing.kit import logs
from ticketing.kit.database_errors import FULL, LOST_RACE, UNDONE, UNREACHABLE
from ticketing.kit.metrics import Count, Spread
from ticketing.kit.overload import Overloaded

from .budget import ANSWERS, SMALL_ANSWER
from .callers import Caller
from .errors import Busy, Refusal, UnknownEndpoint, UpgradeRequired, WrongMethod
from .operations import Call, ClientGone, Operation, Reply, Services
from .searching import search_turn
from .streaming import Stream, send_in_pieces

ATTEMPTS = 3  # of a handler whose transaction the database undid (deadlock, serialization failure)
CRASH = {"message": "There was a server error while excuting this request. Please see system logs for details."}
VERSIONS_REMEMBERED = 1000

Headers = list[tuple[bytes, bytes]]

# On every answer: it is for whoever bears the key alone, and never anything but what it says it is.
PRIVATE: Headers = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
UNREAD_BYTES = 64 * 1024  # of a body that nobody read: more is not waited for

REQUESTS = Count("requests", "Answers, by operation and status.", "operation", "status")
SECONDS = Spread(
    "request_seconds",
    "How long answers took, by operation.",
    "operation",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

UNLOGGED = "ticketing.unlogged"  # in the scope of a request about which no line is written

log = structlog.get_logger()


class Gatekeeper:
    """What stands before and around every handler: key, level, limits, repeats. `sessions` supplies the real one."""

    async def admit(self, call: Call) -> None:
        """Set the call's `known_caller`, and raise unless it may pass.

        Raises Unauthenticated, Restricted, TooManyRequests.
        """
        raise NotImplementedError

    def refuse_stranger(self, address: str, refusal: Refusal) -> Refusal:
        """Remember that a request without a valid key was refused; the refusal to send, which may be another."""
        return refusal

    def is_repeatable(self, call: Call) -> bool:
        """Whether the request carries an Idempotency-Key that counts."""
        return False

    async def around(self, call: Call, handle: Callable[[Call], Awaitable[Reply]]) -> Reply:
        """Run the handler, with what surrounds it."""
        return await handle(call)

    def answer_headers(self, caller: Caller | None, address: str) -> Headers:
        """Headers that go on every answer."""
        return []


class Endpoint:
    """The ASGI application behind one path: finds the operation by method and sees it through."""

    def __init__(
        self,
        operations: Sequence[Operation],
        services: Services,
        gatekeeper: Gatekeeper,
        minimum_version: str,
    ) -> None:
        self.operations = {operation.method: operation for operation in operations}
        if "GET" in self.operations:
            self.operations["HEAD"] = self.operations["GET"]
        self.allow = ", ".join(sorted(self.operations))
        self.services = services
        self.gatekeeper = gatekeeper
        self.minimum_version = version_numbers(minimum_version) or (3, 0, 0)
        self._versions: dict[bytes, bool] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        operation = self.operations.get(scope["method"])
        if operation is None:
            await send_stranger_refusal(send, scope, WrongMethod(headers={"Allow": self.allow}), self.gatekeeper)
            return
        scope["ticketing.operation"] = operation.id
        call = Call(scope, receive, self.services, operation)
        try:
            await self._see_through(call, send)
        finally:
            call.let_go()

    async def _see_through(self, call: Call, send: Any) -> None:
        scope, operation = call.scope, call.operation
        try:
            reply = await self._answer(call)
        except Refusal as refusal:
            if call.known_caller is None:
                refusal = self.gatekeeper.refuse_stranger(call.address, refusal)
            reply = refused(refusal)
        except ClientGone:
            return
        except Exception as error:
            reply = _broken(error, operation)
        headers = self.gatekeeper.answer_headers(call.known_caller, call.address)
        if isinstance(reply.body, Stream):
            await _send_stream(send, reply, reply.body, scope, headers)
        else:
            await send_reply(send, reply, scope, headers)

    async def _answer(self, call: Call) -> Reply:
        version = call.headers.get(b"x-client-version", b"")
        if not (self._versions.get(version) or self._is_served(version)):
            raise UpgradeRequired
        await self.gatekeeper.admit(call)
        call.scope["ticketing.caller"] = call.caller.number
        if call.operation.form is not None or self.gatekeeper.is_repeatable(call):
            await call.receive_body()
        reply = await self.gatekeeper.around(call, _search if call.is_search else _handle)
        if isinstance(reply.body, Stream) and call.scope["method"] != "HEAD":
            await reply.body.begin(call.receive)
        return reply

    def _is_served(self, version: bytes) -> bool:
        numbers = version_numbers(version.decode("latin-1").strip())
        served = numbers is not None and numbers >= self.minimum_version
        if served and len(self._versions) < VERSIONS_REMEMBERED:
            self._versions[version] = True
        return served


class Paths:
    """Which endpoint a path leads to, found segment by segment: its cost does not grow with their number.

    A fixed segment goes before a parameter, and one with an ending before a bare one: `/sessions/active` before
    `/sessions/{session}`, `/tickets/{serial}.pdf` before `/tickets/{serial}`.
    """

    def __init__(self, prefix: str, endpoints: Iterable[tuple[str, Endpoint]], otherwise: Any) -> None:
        self._prefix = prefix + "/"
        self._otherwise = otherwise
        self._root = _Node()
        for path, endpoint in endpoints:
            node, names = self._root, []
            for segment in path.removeprefix("/").split("/"):
                if segment.startswith("{"):
                    name, ending = segment[1:].split("}")
                    names.append(name)
                    node = node.parameters.setdefault(ending, _Node())
                else:
                    node = node.fixed.setdefault(segment, _Node())
            node.endpoint, node.names = endpoint, names

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["path"].startswith(self._prefix):
            endpoint = self._find(scope)
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await self._otherwise(scope, receive, send)

    def _find(self, scope: Any) -> Endpoint | None:
        node, values = self._root, []
        for segment in scope["path"][len(self._prefix) :].split("/"):
            following = node.fixed.get(segment)
            if following is None:
                value, dot, ending = segment.rpartition(".")
                following = node.parameters.get(dot + ending) if value else None
                if following is None:
                    value, following = segment, node.parameters.get("")
                if following is None or not value:
                    return None
                values.append(value)
            node = following
        scope["path_params"] = dict(zip(node.names, values, strict=True)) if node.endpoint else {}
        return node.endpoint


class _Node:
    __slots__ = ("endpoint", "fixed", "names", "parameters")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        self.parameters: dict[str, _Node] = {}  # by what must follow the value: "" or ".pdf"
        self.endpoint: Endpoint | None = None
        self.names: list[str] = []


async def _search(call: Call) -> Reply:
    """Run the handler of a search when it is the caller's turn."""
    async with search_turn(call.asker):
        return await _handle(call)


async def _handle(call: Call) -> Reply:
    """Run the handler; again when the database undid its transaction."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await call.operation.handler(call)
        except LOST_RACE as error:
            # Two of one name at once: the second run of the loser finds the winner's row and says so.
            if attempt == ATTEMPTS or not call.operation.retried:
                log.warning("transaction.undone", reason=type(error).__name__, operation=call.operation.id)
                raise Busy from None
            await asyncio.sleep(0.01 * attempt)
    raise AssertionError("unreachable")


def _broken(error: Exception, operation: Operation) -> Reply:
    """The answer when something broke: 503 when it is overload, or the database that cannot be had, else 500."""
    if isinstance(error, Overloaded):
        return refused(Busy(error.seconds))
    if isinstance(error, UNDONE):
        return refused(Busy())
    if isinstance(error, FULL):
        log.error("database.disk_full", operation=operation.id)
        return refused(Busy(10))
    if isinstance(error, UNREACHABLE):
        log.warning("database.unreachable", reason=repr(error)[:200])
        return refused(Busy(2))
    log.error("request.crashed", operation=operation.id, exc_info=error)
    return Reply(CRASH, 500)


def version_numbers(text: str) -> tuple[int, ...] | None:
    """`3.0.0` as numbers, or None when malformed."""
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return None
    return tuple(int(part) for part in parts)


_encoder = msgspec.json.Encoder()


def refused(refusal: Refusal) -> Reply:
    """The answer that a refusal stands for."""
    return Reply(refusal.body(), refusal.status, refusal.headers)


def encode_body(reply: Reply) -> bytes:
    """The bytes of an answer."""
    return reply.body if isinstance(reply.body, bytes) else _encoder.encode(reply.body)


async def send_reply(send: Any, reply: Reply, scope: Any, headers: Headers | None = None) -> None:
    """Write an answer; a large one as the client takes it, or not at all when too many are under way."""
    body = encode_body(reply)
    if scope["method"] == "HEAD":
        await _send_start(send, reply, len(body), headers)
        await send({"type": "http.response.body", "body": b""})
        return
    if len(body) <= SMALL_ANSWER:
        await _send_start(send, reply, len(body), headers)
        await send({"type": "http.response.body", "body": body})
        return
    address = scope["client"][0] if scope.get("client") else ""
    try:
        ANSWERS.take(address, len(body))
    except Busy as busy:
        await send_reply(send, refused(busy), scope, headers)
        return
    try:
        await _send_start(send, reply, len(body), headers)
        await send_in_pieces(send, body)
    finally:
        ANSWERS.give_back(address, len(body))


async def _send_stream(send: Any, reply: Reply, stream: Stream, scope: Any, headers: Headers) -> None:
    """Write an answer as it is made; to HEAD only what stands before it."""
    try:
        await _send_start(send, reply, None, headers)
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
        else:
            await stream.send(send)
    finally:
        await stream.close()


async def _send_start(send: Any, reply: Reply, length: int | None, headers: Headers | None) -> None:
    lines = [(b"content-type", reply.content_type.encode())]
    if length is not None:
        lines.append((b"content-length", b"%d" % length))
    common = PRIVATE + headers if headers else PRIVATE
    own = {name.lower().encode() for name in reply.headers}  # the answer knows better which limit it met
    lines += [line for line in common if line[0] not in own] if own else common
    for name, value in reply.headers.items():
        lines.append((name.lower().encode(), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": reply.status, "headers": lines})


async def send_stranger_refusal(send: Any, scope: Any, refusal: Refusal, gatekeeper: Gatekeeper) -> None:
    """Refuse a request before anybody asked for its key."""
    client = scope.get("client")
    address = client[0] if client else ""
    reply = refused(gatekeeper.refuse_stranger(address, refusal))
    await send_reply(send, reply, scope, gatekeeper.answer_headers(None, address))


def unknown_endpoint(gatekeeper: Gatekeeper) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """The ASGI application behind every path that nobody knows; the text shows it as requested, less `/v3`."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        raw: bytes | None = scope.get("raw_path")
        path = raw.partition(b"?")[0].decode("utf-8", "replace") if raw else quote(scope["path"])
        below = path[len("/v3") :] if path == "/v3" or path.startswith("/v3/") else path
        await send_stranger_refusal(send, scope, UnknownEndpoint(below or "/"), gatekeeper)

    return refuse


class Edge:
    """The outermost layer: a request id in every answer and log line, and the last resort when something breaks.

    `front` sees every request, `app` the server's start and end. `wrap` puts a layer around the last resort, so that
    crashes are answered through it too.
    """

    def __init__(self, app: Any, front: Any, wrap: Callable[[Any], Any] = lambda app: app) -> None:
        self.app = app
        self._front = front
        self._wrapped = wrap(self._guarded)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, and write it down."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = f"{random.getrandbits(64):016x}"
        logs.REQUEST_ID.set(request_id)
        marked = (b"x-request-id", request_id.encode())
        started = time.perf_counter()

        async def send_marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                scope["ticketing.status"] = message["status"]
                message["headers"] = [*message["headers"], marked]
                if "ticketing.read" not in scope and _brings_much(scope):
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            await self._wrapped(scope, receive, send_marked)
        finally:
            seconds = time.perf_counter() - started
            operation, status = scope.get("ticketing.operation"), scope.get("ticketing.status", 0)
            REQUESTS.add(operation or "none", status)
            SECONDS.add(seconds, operation or "none")
            if UNLOGGED not in scope:
                milliseconds = round(seconds * 1000, 1)
                logs.write_request(
                    request_id, scope["method"], operation, scope.get("ticketing.caller"), status, milliseconds
                )

    async def _guarded(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._front(scope, receive, send)
        except Exception:
            log.exception("request.crashed", method=scope["method"])
            if "ticketing.status" not in scope:
                await send_reply(send, Reply(CRASH, 500), scope)


def _brings_much(scope: Any) -> bool:
    """Whether a large body comes with the request, or one of which nobody knows how large it is."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return not value.isdigit() or len(value) > 9 or int(value) > UNREAD_BYTES
        if name == b"transfer-encoding":
            return True
    return False
