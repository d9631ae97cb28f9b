"""What an operation is, and what its handler is given: a package declares its own with `@operations("GET /things")`.

How a request reaches the handler and what becomes of the answer is in `protocol`.
"""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from ticketing.kit.database import Connection, Database
from ticketing.kit.turns import Asker

from .addresses import network
from .budget import REQUESTS, SMALL_REQUEST
from .callers import Caller, Level
from .errors import BodyTooSlow, Malformed, Refusal, TooLarge
from .forms import Form
from .paging import Listing

T = TypeVar("T")
Handler = Callable[["Call"], Awaitable["Reply"]]

BODY_LIMIT = 1024 * 1024
IMAGES_BODY_LIMIT = 16 * 1024 * 1024
BODY_SECONDS = 30

# What a request counts for where a plain one counts for one.
HASH_COST = 5  # of a password
FILE_COST = 10
SEARCH_COST = 10
PICTURES_COST = 10  # a body that is large enough for some


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a body to be written as JSON (or bytes, or a `Stream`, of another type), a status, further headers."""

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


def private_file(body: bytes, content_type: str, name: str) -> Reply:
    """A file for the caller alone, to be saved under this name (letters, digits, hyphens, an ending)."""
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Reply(body, headers=headers, content_type=content_type)


@dataclass(frozen=True)
class Operation:
    """One call of the API and all that its description says.

    `answers` is the type of the body (None: a message), `form` the request's, `listing` the list's; `media_type` says
    that a file is answered instead, and of which type, `other_media_types` as what else it can be had. `filters`
    describes query members beyond the listing's. `retried` says that the handler may run again when the database
    undid its transaction. `cost` is what a request counts for among the traffic of who sends it, where a plain one
    counts for one.
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
    media_type: str = "application/json"
    form: Form | None = None
    listing: Listing[Any] | None = None
    filters: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    other_media_types: Sequence[str] = ()
    errors: Sequence[type[Refusal] | Refusal] = ()
    body_limit: int = BODY_LIMIT
    retried: bool = True
    secret_members: Sequence[str] = ()
    carries_key: bool = False
    cost: int = 1


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
        return self._things[kind]  # type: ignore[return-value]


class Call:
    """One request on its way through an operation."""

    __slots__ = (
        "_body",
        "_headers",
        "_held",
        "_query",
        "known_caller",
        "operation",
        "path",
        "receive",
        "scope",
        "services",
    )

    def __init__(self, scope: Any, receive: Any, services: Services, operation: Operation) -> None:
        self.scope = scope
        self.receive = receive
        self.services = services
        self.operation = operation
        self.path: dict[str, str] = scope.get("path_params", {})
        self.known_caller: Caller | None = None
        self._headers: dict[bytes, bytes] | None = None
        self._query: dict[str, str] | None = None
        self._body: bytes | None = None
        self._held = 0  # bytes of it that count among those of the process

    def the(self, kind: type[T]) -> T:
        """A service of the process: `call.the(Database)`."""
        return self.services.the(kind)

    @property
    def caller(self) -> Caller:
        """Who is calling; known in every handler."""
        if self.known_caller is None:
            raise RuntimeError("nobody was admitted yet")
        return self.known_caller

    @property
    def is_search(self) -> bool:
        """Whether something is to be looked for in texts."""
        listing = self.operation.listing
        return listing is not None and bool(self.scope["query_string"]) and listing.is_search(self.query)

    @property
    def cost(self) -> int:
        """What it counts for among the traffic of who sends it."""
        cost = self.operation.cost
        if self.is_search:
            cost += SEARCH_COST
        if self.operation.body_limit > BODY_LIMIT and self._may_be_large():
            cost += PICTURES_COST
        return cost

    def _may_be_large(self) -> bool:
        length = self.header("content-length")
        return not length.isdecimal() or int(length) > SMALL_REQUEST

    @property
    def asker(self) -> Asker:
        """By which names turns are counted: the address, and the account unless everybody has its key."""
        place = network(self.address)
        caller = self.caller
        return (place,) if caller.level is Level.PUBLIC or caller.account is None else (place, caller.account)

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The request's headers, names in lower case; of a repeated one the last counts."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers

    def header(self, name: str) -> str:
        """A request header (name in lower case), or ""."""
        return self.headers.get(name.encode(), b"").decode("latin-1").strip()

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

        Raises BodyTooSlow, ClientGone, Busy.
        """
        chunks, size = [], 0
        more = True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size <= self.operation.body_limit:
                        self._hold(size)
                        chunks.append(chunk)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise BodyTooSlow from None
        self.scope["ticketing.read"] = True
        self._body = b"".join(chunks) if size <= self.operation.body_limit else None

    def _hold(self, size: int) -> None:
        """Let a body of this size be held, if it is one that counts. Raises Busy."""
        if size > SMALL_REQUEST:
            REQUESTS.take(self.address, size - self._held)
            self._held = size

    def let_go(self) -> None:
        """Nobody needs the body any more."""
        if self._held:
            REQUESTS.give_back(self.address, self._held)
            self._held = 0

    @contextlib.contextmanager
    def client_watched(self) -> Iterator[Callable[[], bool]]:
        """Tells, while the block runs, whether the client has hung up. Its body must have been received."""
        hung_up = asyncio.ensure_future(self.receive())
        try:
            yield hung_up.done
        finally:
            hung_up.cancel()

    @property
    def body(self) -> bytes:
        """The body as it came. Raises TooLarge over the operation's limit."""
        if self._body is None:
            raise TooLarge(self.operation.body_limit)
        return self._body

    def json(self) -> dict[str, Any]:
        """The body, a JSON object.

        Raises Malformed when it is none, TooLarge over the limit.
        """
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed from None
        if not isinstance(value, dict):
            raise Malformed
        return value


class ClientGone(Exception):
    """The client closed the connection before its request was read."""
