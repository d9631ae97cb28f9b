"""Connections that are opened and kept, so that nobody else gets one."""

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from arena import ATTACKER, Arena, Bystander, arena
from ticketing.serving.doorkeeper import FIRST_REQUEST_SECONDS

CONNECTIONS = 5000  # one worker took 4096 before there was a bound


@pytest.fixture(scope="module")
async def place(database: str) -> AsyncIterator[Arena]:
    """One worker, so that all connections are its."""
    async with arena(database, workers=1) as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(place: Arena, address: str = ATTACKER) -> socket.socket:
    """A connection that says nothing."""
    made = socket.socket()
    made.settimeout(1)
    made.bind((address, 0))
    with contextlib.suppress(OSError):
        made.connect(place.address)
    made.setblocking(False)
    return made


def is_open(connection: socket.socket) -> bool:
    """Whether the server has not closed it."""
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@contextlib.asynccontextmanager
async def connections(place: Arena, number: int, line: bytes = b"") -> AsyncIterator[list[socket.socket]]:
    """So many connections of the attacker's, each of which said `line`."""
    made = []
    try:
        for _ in range(number):
            made.append(connect(place))
            with contextlib.suppress(OSError):
                made[-1].send(line)
        yield made
    finally:
        for one in made:
            one.close()


LINES = [
    b"",
    pytest.param(b"G", marks=pytest.mark.heavy),
    pytest.param(b"GET /v3/countries HTTP/1.1\r\nHost: a\r\n", marks=pytest.mark.heavy),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("line", LINES)
async def test_bare_connections_keep_nobody_out(place: Arena, bystander: Bystander, line: bytes) -> None:
    await place.ensure_unnoticed(bystander, lambda: connections(place, CONNECTIONS, line))
    place.ensure_small()


async def test_who_says_nothing_is_shut_out_soon(place: Arena) -> None:
    """One connection that never asks, one that asks by halves, one of HTTP/2: all are closed; one in use is not."""
    used, bare = connect(place), connect(place)
    half, other = connect(place), connect(place)
    half.send(b"GET /v3/countries HTTP/1.1\r\nHost: a\r\n")
    other.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    used.send(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await eventually(lambda: not is_open(other), 5), "HTTP/2 is not spoken"
    assert await eventually(lambda: not (is_open(bare) or is_open(half)), FIRST_REQUEST_SECONDS + 10)
    assert b"200 OK" in b"".join(iter_received(used))
    used.send(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await eventually(lambda: b"200 OK" in b"".join(iter_received(used)), 10)
    for one in (used, bare, half, other):
        one.close()


async def test_an_address_keeps_a_few_idle_connections(place: Arena) -> None:
    """Those above the bound are closed, the ones that lie idle longest first."""
    made = [connect(place) for _ in range(300)]
    for one in made:
        one.send(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    for one in made:
        assert await eventually(lambda one=one: any(iter_received(one)) or not is_open(one), 10)
    assert await eventually(lambda: sum(map(is_open, made)) <= 256, 10)
    assert sum(map(is_open, made)) >= 200
    for one in made:
        one.close()


def iter_received(connection: socket.socket) -> Iterator[bytes]:
    """What has arrived."""
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while chunk := connection.recv(65_536):
            yield chunk


async def eventually(met: Callable[[], bool], seconds: float) -> bool:
    """Whether it comes about in time."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
