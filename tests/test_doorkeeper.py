"""Which connections are closed; what that does to visitors is in abuse/test_connections.py."""

import asyncio
from collections import Counter

import httpx

from ticketing.serving.doorkeeper import FIRST_REQUEST_SECONDS, STUCK_SECONDS, Bounds, Connection, choose
from ticketing.web.at_once import AtOnce

NOW = 1000.0
OPEN = Bounds(0, 0)


def connection(port: int, address: str = "192.0.2.1", **known: float | bool) -> Connection:
    return Connection((address or "10.0.0.1", str(port)), address, **{"opened": NOW, "taken_at": NOW} | known)


def chosen(
    connections: list[Connection],
    *,
    bounds: Bounds = OPEN,
    busy: tuple[int, ...] = (),
    unserved: tuple[int, ...] = (),
) -> list[int]:
    """The ports of those that are closed."""
    ports = [int(one.peer[1]) for one in connections]
    served = {one.peer for one, port in zip(connections, ports, strict=True) if port not in unserved}
    at_work = Counter(one.peer for one, port in zip(connections, ports, strict=True) if port in busy)
    return sorted(choose(zip(ports, connections, strict=True), at_work, served, bounds, NOW))


def test_who_made_no_request_in_time_is_shut_out():
    late, early = NOW - FIRST_REQUEST_SECONDS - 1, NOW - FIRST_REQUEST_SECONDS + 1
    connections = [connection(1, opened=late), connection(2, opened=early), connection(3, opened=late)]
    assert chosen(connections, unserved=(1, 2)) == [1]


def test_who_takes_nothing_is_shut_out_even_with_a_request_under_way():
    stuck, slow = NOW - STUCK_SECONDS - 1, NOW - STUCK_SECONDS + 1
    connections = [connection(1, waiting=True, taken_at=stuck), connection(2, waiting=True, taken_at=slow)]
    connections.append(connection(3, taken_at=stuck))  # nothing waits for it
    assert chosen(connections, busy=(1, 2)) == [1]


def test_of_one_address_the_longest_idle_go_first_and_never_a_busy_one():
    connections = [connection(port, silent=10 * port) for port in range(1, 6)]
    connections.append(connection(6, "192.0.2.2", silent=1000))
    assert chosen(connections, bounds=Bounds(3, 0)) == [4, 5]
    assert chosen(connections, bounds=Bounds(3, 0), busy=(5,)) == [3, 4]
    assert chosen(connections, bounds=Bounds(1, 0), busy=(1, 2, 3, 4, 5)) == []


def test_a_trusted_proxy_has_no_bound_of_its_own():
    connections = [connection(port, "") for port in range(1, 6)]
    assert chosen(connections, bounds=Bounds(1, 0)) == []
    assert chosen(connections, bounds=Bounds(1, 4)) == [5]


def test_all_together_have_one():
    connections = [connection(port, f"192.0.2.{port}", silent=port) for port in range(1, 9)]
    assert chosen(connections, bounds=Bounds(4, 6)) == [7, 8]
    assert chosen(connections, bounds=Bounds(4, 6), busy=(8,)) == [6, 7]


def test_what_an_address_loses_counts_for_the_whole():
    connections = [connection(port, silent=port) for port in range(1, 5)]
    connections += [connection(port, f"192.0.2.{port}", silent=0) for port in range(5, 7)]
    assert chosen(connections, bounds=Bounds(2, 4)) == [3, 4]


async def test_one_address_has_so_many_requests_under_way():
    arrived, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def app(_scope: object, _receive: object, send) -> None:
        arrived.release()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    layer = AtOnce(app, 2)

    async def ask(address: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=layer, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as http:
            return await http.get("/")

    two = [asyncio.create_task(ask("2001:db8::1")), asyncio.create_task(ask("2001:db8::2"))]
    await arrived.acquire()
    await arrived.acquire()
    refused = await ask("2001:db8::3")  # one customer of a provider has the whole network
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    other = asyncio.create_task(ask("192.0.2.1"))
    await arrived.acquire()
    go_on.set()
    assert [(await one).status_code for one in (*two, other)] == [200] * 3
    assert (await ask("2001:db8::1")).status_code == 200
