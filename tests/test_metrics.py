"""What Prometheus is told: counted over all workers, on a port of its own, and nothing unless it was asked for."""

import asyncio
import contextlib
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from conftest import SECRET, Client, add_person, scratch_database
from makers import DECLINED, card, list_event, make_event, make_section, pay, place, section_uri
from serving import Server, ready, running
from ticketing.kit.metrics import FOLDER
from ticketing.serving import CannotServe
from ticketing.serving.handover import WORKERS_MODULE
from ticketing.serving.supervisor import _ensure_metrics_port
from ticketing.settings import Settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
async def stage(postgres: str) -> AsyncIterator[tuple[Server, int, str]]:
    """A server with two workers, the port of its metrics, and its database."""
    port = free_port()
    async with scratch_database(postgres) as dsn:
        settings = {
            "DATABASE_URL": dsn,
            "TICKETING_SECRET": SECRET,
            "TICKETING_RATE_LIMITS": "off",
            "TICKETING_METRICS_PORT": str(port),
        }
        async with running("serve", "--port", "0", "--workers", "2", environment=settings) as server:
            await ready(server)
            yield server, port, dsn


async def figures(port: int) -> dict[str, float]:
    """The lines of /metrics; the job worker may still be starting."""
    async with httpx.AsyncClient() as http:
        for _ in range(100):
            with contextlib.suppress(httpx.TransportError):
                text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                break
            await asyncio.sleep(0.1)
    return {name: float(value) for name, value in re.findall(r"^(ticketing_\S+) (\S+)$", text, re.MULTILINE)}


async def test_a_sale_can_be_watched(stage: tuple[Server, int, str]) -> None:
    server, port, dsn = stage
    db = await asyncpg.connect(dsn)
    async with httpx.AsyncClient(base_url=server.url) as http:
        administrator = await add_person(http, db, "admin", "administrator")
        alice, bob = await add_person(http, db, "alice"), await add_person(http, db, "bob")
        event = await make_event(alice, administrator)
        free = await make_section(alice, event, capacity=5)
        paid = await make_section(alice, event, capacity=5, basePrice=20)
        await list_event(administrator, event)
        assert (await bob.post("/orders", items={section_uri(event, free): 2})).status == 201
        assert (await bob.post("/orders", items={section_uri(event, paid): 3})).status == 201
        assert (await bob.post("/orders", items={section_uri(event, paid): 4})).status == 400
        # The connections of a client stay with one worker each; strangers reach both.
        for _ in range(8):
            async with httpx.AsyncClient(base_url=server.url) as stranger:
                assert (await Client(stranger, "").get("/regions")).status == 401
        order = await place(bob, event, paid, 2)
        assert (await bob.post(order["payments"], card(DECLINED))).status == 201
        await pay(bob, order)
    await db.close()
    seen = await figures(port)
    assert seen['ticketing_requests_total{operation="place_order",status="201"}'] == 3
    assert seen['ticketing_payments_total{outcome="declined"}'] == 1
    assert seen['ticketing_payments_total{outcome="authorised"}'] == 1
    assert seen['ticketing_requests_total{operation="place_order",status="400"}'] == 1
    assert seen['ticketing_requests_total{operation="list_regions",status="401"}'] == 8
    assert seen['ticketing_request_seconds_count{operation="place_order"}'] == 4
    assert seen["ticketing_orders_placed_total"] == 3
    assert seen['ticketing_orders_refused_total{reason="not_available"}'] == 1
    assert seen["ticketing_order_batch_size_count"] == 4
    assert (seen["ticketing_places"], seen["ticketing_places_sold"], seen["ticketing_places_held"]) == (10, 4, 3)
    assert seen["ticketing_database_up"] == 1
    assert seen['ticketing_job_late{job="orders.time_out_orders"}'] == 0
    assert seen['ticketing_job_failures{job="orders.time_out_orders"}'] == 0
    assert seen['ticketing_job_success_age_seconds{job="orders.time_out_orders"}'] < 240
    assert "ticketing_mail_oldest_seconds" in seen
    assert seen['ticketing_pool_connections{state="idle"}'] >= 1


async def test_what_was_counted_outlives_a_worker(stage: tuple[Server, int, str]) -> None:
    server, port, _dsn = stage
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert (await Client(http, "").get("/countries")).status == 401
    below = psutil.Process(server.process.pid).children(recursive=True)
    answering = next(one for one in below if WORKERS_MODULE in one.cmdline() and not one.children())
    jobs = next(one for one in below if "ticketing.serving.job_worker" in one.cmdline())
    levels = Path(jobs.environ()[FOLDER]) / f"gauge_livesum_{answering.pid}.db"
    assert levels.exists()
    os.kill(answering.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while psutil.pid_exists(answering.pid):
            await asyncio.sleep(0.05)
    seen = await figures(port)
    assert seen['ticketing_requests_total{operation="retrieve_countries",status="401"}'] == 1
    assert not levels.exists()  # a dead process has no open connections


async def test_nothing_of_it_is_on_the_public_port(stage: tuple[Server, int, str]) -> None:
    server, _port, _dsn = stage
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.get("/metrics")).status_code == 404
        assert (await http.get("/v3/metrics")).status_code == 404


async def test_a_port_in_use_is_said_at_the_start() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotServe, match=str(port)):
            await _ensure_metrics_port(Settings(metrics_port=port), lambda _line: None)
