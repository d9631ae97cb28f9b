"""The protocol, once for every operation: what is checked in which order, and how answers and errors look.

A package declares its operations with `@operation`; `Endpoint` is the ASGI application behind one path. The order
(contract, section 1): unknown path, wrong method, client version, key missing, key unknown, access level - then the
handler: resource missing, who may, uniqueness, body, state.
"""

import asyncio
import contextlib
import contextvars
import inspect
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import asyncpg
import msgspec
import structlog

from .callers import Caller
from .database import Connection, Database
from .errors import (
    MALFORMED,
    Busy,
    Invalid,
    Refusal,
    TooLarge,
    UpgradeRequired,
    WrongMethod,
)
from .forms import Form
from .paging import Listing

T = TypeVar("T")
Handler = Callable[["Call"], Awaitable["Reply"]]

REQUEST_ID: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")

BODY_LIMIT = 1024 * 1024
IMAGES_BODY_LIMIT = 8 * 1024 * 1024
BODY_SECONDS = 30
ATTEMPTS = 3  # of a handler whose transaction the database undid (deadlock, serialization failure)
CRASH = {"message": "There was a server error while excuting this request. Please see system logs for details."}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a body to be written as JSON (or bytes of another type), a status, further headers."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def created(body: Any) -> Reply:
    """201 with the resource."""
    return Reply(body, 201)


def done(text: str, status: int = 200) -> Reply:
    """The answer of a DELETE or an action: a message."""
    return Reply({"message": text}, status)


@dataclass(frozen=True)
class Operation:
    """One call of the API and all that its description says.

    `answers` is the type of the body (None: a message), `form` the request's, `listing` the list's. `filters`
    describes query members beyond the listing's. `retried` says that the handler may run again when the database
    undid its transaction.
    """

    id: str
    method: str
    path: str
    tag: str
    summary: str
    description: str
    handler: Handler
    answers: Any = None
    status: int = 200
    form: Form | None = None
    listing: Listing[Any] | None = None
    filters: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    errors: Sequence[type[Refusal] | Refusal] = ()
    body_limit: int = BODY_LIMIT
    retried: bool = True


class Operations:
    """The operations of one package under one tag, collected by decorators."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.all: list[Operation] = []

    def __call__(self, call: str, **details: Any) -> Callable[[Handler], Handler]:
        """Declare the decorated handler as an operation.

        `call` is the method and the path: `"GET /regions/{region}"`. The operation's id is the function's name, its
        summary the first line of the docstring (less the full stop), its description the rest.
        """
        method, path = call.split(" ")

        def declare(handler: Handler) -> Handler:
            summary, _, description = inspect.cleandoc(handler.__doc__ or "").partition("\n")
            details.setdefault("tag", self.tag)
            self.all.append(
                Operation(
                    id=handler.__name__,
                    method=method,
                    path=path,
                    summary=summary.rstrip("."),
                    description=description.strip(),
                    handler=handler,
                    **details,
                )
            )
            return handler

        return declare


class Services:
    """What a process keeps for its life - database, settings, caches, queues - each under its type."""

    def __init__(self, *things: object) -> None:
        self._things: dict[type, object] = {type(thing): thing for thing in things}

    def add(self, thing: object) -> None:
        """Keep one more."""
        self._things[type(thing)] = thing

    def the(self, kind: type[T]) -> T:
        """The one of this type."""
        thing = self._things[kind]
        return thing  # type: ignore[return-value]


class Call:
    """One request on its way through an operation."""

    __slots__ = ("_body", "_headers", "_query", "caller", "operation", "path", "receive", "scope", "services")

    def __init__(self, scope: Any, receive: Any, services: Services, operation: Operation) -> None:
        self.scope = scope
        self.receive = receive
        self.services = services
        self.operation = operation
        self.path: dict[str, str] = scope.get("path_params", {})
        self.caller: Caller
        self._headers: dict[bytes, bytes] | None = None
        self._query: dict[str, str] | None = None
        self._body: bytes | None = None

    def the(self, kind: type[T]) -> T:
        """A service of the process: `call.the(Database)`."""
        return self.services.the(kind)

    def header(self, name: str) -> str:
        """A request header (name in lower case), or ""."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers.get(name.encode(), b"").decode("latin-1").strip()

    @property
    def query(self) -> dict[str, str]:
        """The query's members; of a repeated one the last counts."""
        if self._query is None:
            raw = self.scope["query_string"]
            self._query = dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}
        return self._query

    @property
    def address(self) -> str:
        """The client's address."""
        client = self.scope.get("client")
        return client[0] if client else ""

    def reading(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection without a transaction."""
        return self.services.the(Database).reading()

    def transaction(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A transaction, committed at the end of the block."""
        return self.services.the(Database).transaction()

    def new_id(self) -> int:
        """A new id."""
        return self.services.the(Database).new_id()

    async def receive_body(self) -> None:
        """Take the body in before any transaction is open: a slow client must not hold one.

        A body over the limit is refused where it would be read, in the contract's order of checks.
        """
        chunks, size = [], 0
        more = True
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size <= self.operation.body_limit:
                    chunks.append(chunk)
                more = message.get("more_body", False)
        self._body = b"".join(chunks) if size <= self.operation.body_limit else None

    @property
    def body(self) -> bytes:
        """The body as it came. Raises TooLarge over the operation's limit."""
        if self._body is None:
            raise TooLarge
        return self._body

    def json(self) -> dict[str, Any]:
        """The body, a JSON object.

        Raises Invalid when it is malformed or no object, TooLarge over the limit.
        """
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Invalid(MALFORMED) from None
        if not isinstance(value, dict):
            raise Invalid(MALFORMED)
        return value


class ClientGone(Exception):
    """The client closed the connection before its request was read."""


class Gatekeeper:
    """What stands before every handler: version, key, level, limits. `sessions` supplies the real one."""

    async def admit(self, call: Call) -> Caller:
        """The caller. Raises Unauthenticated, Restricted, TooManyRequests."""
        raise NotImplementedError

    async def around(self, call: Call, handle: Callable[[], Awaitable[Reply]]) -> Reply:
        """Run the handler; a place for what surrounds it (idempotency)."""
        return await handle()

    def answer_headers(self, call: Call) -> list[tuple[bytes, bytes]]:
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

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        operation = self.operations.get(scope["method"])
        if operation is None:
            refusal = WrongMethod(headers={"Allow": self.allow})
            await send_reply(send, _refused(refusal), scope)
            return
        call = Call(scope, receive, self.services, operation)
        scope["ticketing.operation"] = operation.id
        try:
            self._check_version(call)
            call.caller = await self.gatekeeper.admit(call)
            if operation.form is not None:
                await call.receive_body()
            scope["ticketing.caller"] = call.caller.number
            reply = await self.gatekeeper.around(call, lambda: _handle(call))
        except Refusal as refusal:
            reply = _refused(refusal)
        except (ClientGone, TimeoutError):
            return
        await send_reply(send, reply, scope, self.gatekeeper.answer_headers(call))

    def _check_version(self, call: Call) -> None:
        sent = call.header("x-client-version")
        if sent == "3.0.0" and self.minimum_version == (3, 0, 0):
            return
        version = version_numbers(sent)
        if version is None or version < self.minimum_version:
            raise UpgradeRequired


async def _handle(call: Call) -> Reply:
    """Run the handler; again when the database undid its transaction."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await call.operation.handler(call)
        except (
            asyncpg.DeadlockDetectedError,
            asyncpg.SerializationError,
            asyncpg.UniqueViolationError,
        ) as error:
            # Two of one name at once: the second run of the loser finds the winner's row and says so.
            if attempt == ATTEMPTS or not call.operation.retried:
                log.warning("transaction.undone", reason=type(error).__name__, operation=call.operation.id)
                raise Busy from None
            await asyncio.sleep(0.01 * attempt)
        except asyncpg.LockNotAvailableError:
            raise Busy from None
        except (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError, asyncpg.AdminShutdownError):
            raise Busy(2) from None
        except (
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            ConnectionError,
            TimeoutError,
        ) as error:
            log.warning("database.unreachable", reason=repr(error)[:200])
            raise Busy(2) from None
    raise AssertionError("unreachable")


def version_numbers(text: str) -> tuple[int, ...] | None:
    """`3.0.0` as numbers, or None when malformed."""
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return None
    return tuple(int(part) for part in parts)


_encoder = msgspec.json.Encoder()


def _refused(refusal: Refusal) -> Reply:
    return Reply(refusal.body(), refusal.status, refusal.headers)


async def send_reply(send: Any, reply: Reply, scope: Any, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Write an answer."""
    body = reply.body if isinstance(reply.body, bytes) else _encoder.encode(reply.body)
    lines = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    lines += [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class Edge:
    """The outermost layer: a request id in every answer and log line, and the last resort when something breaks."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        REQUEST_ID.set(request_id)
        started = time.perf_counter()
        status = 0

        async def send_marked(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_marked)
        except Exception:
            log.exception("request.crashed", method=scope["method"])
            if status == 0:
                await send_reply(send_marked, Reply(CRASH, 500), scope)
        finally:
            log.info(
                "request",
                operation=scope.get("ticketing.operation"),
                caller=scope.get("ticketing.caller"),
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )
