"""The connections of one worker, looked over several times a second, for what the HTTP server itself sets no bound.

Closed are those on which no request came whole in time (whatever they say or do not say), those that take nothing of
what they were sent, and of one address (or of all together) the ones that lie idle longest where there are too many.
None on which a request is under way is ever closed for being one too many. What is decided is in `choose`; the rest
asks the kernel, through a duplicate of each descriptor, so that whatever the server does with its own meanwhile, what
was looked at is what is closed.
"""

import asyncio
import os
import socket
import stat
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from ticketing.web.addresses import Network, network, trusts

FIRST_REQUEST_SECONDS = 15.0  # from the opening of a connection to the end of its first request's head
STUCK_SECONDS = 20.0  # without taking anything; clients give up after ten
PAUSE_SECONDS = 0.25
CROWDED_SECONDS = 0.02  # as long as there are too many
SHARE = 20  # looking takes one part in so many of a processor at most
SLICE = 256  # connections looked at before requests have their turn again

_INFO = struct.Struct("=8x24I2Q")  # `struct tcp_info` of Linux, up to the count of bytes received
_UNSENT = struct.Struct("=I")
_UNSENT_AT = 144
_INFO_BYTES = 192

Peer = tuple[str, str]  # address and port, as the server writes them in a scope

log = structlog.get_logger()


@dataclass(slots=True)
class Connection:
    """What is known of one, between two looks; times are of the monotonic clock."""

    peer: Peer
    address: str  # the IPv4 address or the IPv6 network that it counts for; "" when it counts for none
    opened: float
    taken: int = -1  # bytes that the other side acknowledged
    taken_at: float = 0.0
    silent: int = 0  # milliseconds since the other side said anything
    waiting: bool = False  # for the other side to take something


@dataclass(frozen=True)
class Bounds:
    """How many connections one address may keep, and all together; 0 stands for any number."""

    per_address: int
    together: int


def choose(
    known: Iterable[tuple[int, Connection]], busy: Counter[Peer], served: set[Peer], bounds: Bounds, now: float
) -> list[int]:
    """The connections (by the key they come with) to close.

    `busy` counts the requests under way by peer, `served` holds those who ever made one.
    """
    closed, idle = [], []
    counts: Counter[str] = Counter()
    together = 0
    for key, one in known:
        is_late = one.peer not in served and now - one.opened > FIRST_REQUEST_SECONDS
        if is_late or (one.waiting and now - one.taken_at > STUCK_SECONDS):
            closed.append(key)
            continue
        together += 1
        counts[one.address] += 1
        if not busy[one.peer] and not one.waiting:
            idle.append((one.silent, key, one.address))
    over = {address: count - bounds.per_address for address, count in counts.items() if address}
    surplus = together - bounds.together if bounds.together else 0
    for _, key, address in sorted(idle, reverse=True):
        if bounds.per_address and over.get(address, 0) > 0:
            over[address] -= 1
        elif surplus <= 0:
            continue
        surplus -= 1
        closed.append(key)
    return closed


class Doorkeeper:
    """The ASGI application of a worker, with its connections looked after."""

    def __init__(self, app: Any, *, port: int, bounds: Bounds, exempt: Sequence[Network]) -> None:
        self._app = app
        self._port = port
        self._bounds = bounds
        self._exempt = exempt
        self._busy: Counter[Peer] = Counter()
        self._served: set[Peer] = set()
        self._known: dict[int, Connection] = {}  # by the number of the socket's file

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request on, or look after the connections for the life of the server."""
        if scope["type"] == "lifespan":
            watching = asyncio.create_task(self._watch(), name="doorkeeper")
            try:
                await self._app(scope, receive, send)
            finally:
                watching.cancel()
            return
        peer: Peer = scope["client"] or ("", "")
        self._served.add(peer)
        self._busy[peer] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._busy[peer] -= 1
            if not self._busy[peer]:
                del self._busy[peer]

    async def _watch(self) -> None:
        if sys.platform != "linux":
            return  # the server's own deadlines are all there is; docs/operations.md says so
        while True:
            pause = PAUSE_SECONDS
            try:
                cost, closed = await self._look()
                pause = CROWDED_SECONDS if closed else max(PAUSE_SECONDS, cost * SHARE)
            except Exception as error:  # whatever it is, the next look may be luckier
                log.warning("connections.unseen", reason=type(error).__name__)
            await asyncio.sleep(pause)

    async def _look(self) -> tuple[float, int]:
        """Look at every connection once and close what must be; the seconds it took, and how many those were."""
        began = time.perf_counter()
        paused = 0.0
        before = set(self._served)  # of these each that is still there is seen
        seen: dict[int, Connection] = {}
        descriptors: dict[int, int] = {}
        for number, descriptor in enumerate(os.listdir("/proc/self/fd")):  # noqa: PTH208 - a thousand times, and names alone
            if number % SLICE == SLICE - 1:
                left = time.perf_counter()
                await asyncio.sleep(0)
                paused += time.perf_counter() - left
            for key, connection in self._examine(int(descriptor)):
                seen[key] = connection
                descriptors[key] = int(descriptor)
        self._known = seen
        # A request that came during the look counts: nothing is awaited from here on.
        self._served -= before - {one.peer for one in seen.values()} - self._busy.keys()
        chosen = choose(seen.items(), self._busy, self._served, self._bounds, time.monotonic())
        for key in chosen:
            _close(descriptors[key], key, is_stuck=seen[key].waiting)
        return time.perf_counter() - began - paused, len(chosen)

    def _examine(self, descriptor: int) -> Iterator[tuple[int, Connection]]:
        """The connection behind a descriptor with the number of its file, if it is one of a client."""
        try:
            copy = os.dup(descriptor)
        except OSError:
            return
        status = os.fstat(copy)
        if not stat.S_ISSOCK(status.st_mode):
            os.close(copy)
            return
        with socket.socket(fileno=copy) as one:
            try:
                known = self._known.get(status.st_ino) or self._meet(one)
                if known is not None:
                    _read(one, known)
                    yield status.st_ino, known
            except OSError:
                return  # closed meanwhile, or never connected

    def _meet(self, one: socket.socket) -> Connection | None:
        if one.family not in (socket.AF_INET, socket.AF_INET6) or one.getsockname()[1] != self._port:
            return None
        host, port = one.getpeername()[:2]
        host = host.partition("%")[0]
        counted = "" if trusts(self._exempt, host) else network(host)
        return Connection((host, str(port)), counted, opened=time.monotonic())


def _read(one: socket.socket, known: Connection) -> None:
    """What the kernel says now. Raises OSError."""
    now = time.monotonic()
    told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    values = _INFO.unpack_from(told)
    (unsent,) = _UNSENT.unpack_from(told, _UNSENT_AT)
    unacknowledged, known.silent, taken = values[4], values[11], values[24]
    known.waiting = bool(unsent or unacknowledged)
    if taken != known.taken or not known.waiting:
        known.taken, known.taken_at = taken, now


def _close(descriptor: int, key: int, *, is_stuck: bool) -> None:
    """End the connection, unless the descriptor is another's by now; the server then lets go of it by itself."""
    try:
        copy = os.dup(descriptor)
    except OSError:
        return
    with socket.socket(fileno=copy) as one:
        if os.fstat(copy).st_ino != key:
            return
        try:
            if is_stuck:  # what it does not take is not kept for it by the kernel either
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
