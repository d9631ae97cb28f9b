"""Connections that are opened and kept, so that nobody else gets one."""

import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from arena import ATTACKER, Arena, Bystander, arena

CONNECTIONS = 2000


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
