"""Whatever happens to orders, in whatever order: the counters are those of the rows, money buys tickets or goes back.

Hypothesis draws the steps: orders, payments with every card of the sandbox, crashes, cancellations, refunds, removed
sections, cancelled events, time that passes, workers that come by or do not.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest
from bench.seed import seed
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from conftest import NEW_IDS, SECRET, Answer, Client, add_person, move_clock, scratch_database
from makers import AUTHORISED, DECLINED, card
from money import count_open, faults, impatient, settle_all, unbalanced
from ticketing.app import build_app
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.payments import owing, reconciling
from ticketing.payments.errors import NotPayable, PaymentOpen
from ticketing.payments.providers import Card, Failed, Payer, Silent
from ticketing.payments.providers.cards import PARTS
from ticketing.payments.providers.choosing import Providers, build_providers
from ticketing.payments.settling import begin
from ticketing.settings import Settings
from ticketing.web.callers import Caller, Level
from ticketing.web.operations import Services

T = TypeVar("T")
VAULT = Vault(SECRET)

ARRIVES = """
UPDATE sandbox_charges charge SET state = 'succeeded' FROM payments payment JOIN orders ON orders.id = payment.order_id
 WHERE orders.number = $1 AND charge.key = 'payment-' || payment.id AND charge.state = 'cancelled'
   AND payment.status = 'Declined'
RETURNING payment.id"""

CARDS = [AUTHORISED, AUTHORISED, AUTHORISED, DECLINED, *PARTS]
JOBS = [
    reconciling.finish_payments,
    reconciling.finish_refunds,
    owing.return_cancelled,
    owing.refund_owed,
    settle_all,
]
PRICES = {"floor": 2000, "balcony": 0, "dock": 5000}  # the dock is of another event
SOMEBODY = Payer("Marvin Hunte", "marvin@example.com", "+1 268 460 1234", ("1 High Street", ""), "", "", "")


@dataclass
class World:
    """One application and its database, driven step by step."""

    runner: asyncio.Runner
    dsn: str
    db: asyncpg.Connection
    services: Services
    buyer: Client
    administrator: Client
    offset: int = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def pass_time(self, seconds: int) -> None:
        self.offset += seconds
        self.run(move_clock(self.db, self.offset))


class Money(RuleBasedStateMachine):
    """What may happen to the orders of one customer."""

    world: World
    orders = Bundle("orders")

    @initialize()
    def open_the_sale(self) -> None:
        """Two sections of one event, one of them free, and one of another; few places, and fewer early ones."""
        self.sections: dict[str, str] = {}
        self.events: list[str] = []
        for names in (["floor", "balcony"], ["dock"]):
            stage = self.world.run(seed(self.world.dsn, sections=len(names)))
            self.events.append(f"/events/{stage.event}")
            for name, section in zip(names, stage.sections, strict=True):
                self.sections[name] = f"/events/{stage.event}/sections/{section}"
                self.write(
                    "UPDATE sections SET capacity = 4, base_price_cents = $2 WHERE id = $1", section, PRICES[name]
                )
                if name == "floor":
                    self.write(
                        "INSERT INTO prices (id, section_id, name, price_cents, from_text, to_text, quantity)"
                        " VALUES ($1, $2, 'Early', 1000, '', '', 2)",
                        NEW_IDS.new(),
                        section,
                    )

    @rule(
        target=orders,
        wanted=st.dictionaries(st.sampled_from(sorted(PRICES)), st.integers(1, 3), min_size=1, max_size=2),
        number=st.none() | st.sampled_from(CARDS),
    )
    def place(self, wanted: dict[str, int], number: str | None) -> Any:
        """Place an order, and pay for it at once or not."""
        items = {self.sections[name]: quantity for name, quantity in wanted.items()}
        placed = self.ask(self.world.buyer.post("/orders", items=items), {201, 400})
        if placed.status != 201:
            return multiple()
        if number is not None:
            self.pay(placed.body, number)
        return placed.body

    @rule(order=orders, number=st.sampled_from(CARDS))
    def pay(self, order: dict[str, Any], number: str) -> None:
        self.ask(self.world.buyer.post(order["payments"], card(number)), {201, 202, 409})

    @rule(order=orders, number=st.sampled_from(CARDS), gets_an_answer=st.booleans())
    def die_while_paying(self, order: dict[str, Any], number: str, gets_an_answer: bool) -> None:
        """A process that is killed before the provider is asked, or when it has answered."""

        async def remember(_reference: str) -> None: ...

        async def die() -> None:
            services, provider = self.world.services, self.world.services.the(Providers).current
            order_id = await self.world.db.fetchval("SELECT id FROM orders WHERE number = $1", order["number"])
            caller = Caller(Level.CUSTOMER, b"", self.world.buyer.id)
            attempt, _ = await begin(services.the(Database), provider, caller, order_id, ())
            if gets_an_answer:
                await provider.charge(attempt.charge(), Card(number, "737", 12, 2049), SOMEBODY, remember)

        with contextlib.suppress(NotPayable, PaymentOpen, Failed, Silent):
            self.world.run(die())

    @rule(order=orders)
    def money_arrives_after_all(self, order: dict[str, Any]) -> None:
        """A provider that took money although it had said that it would not."""
        taken = self.world.run(self.world.db.fetch(ARRIVES, order["number"]))
        services = self.world.services
        for row in taken:
            asking = reconciling.ask_about_payment(services.the(Database), services.the(Providers), row["id"])
            self.world.run(asking)

    @rule(order=orders)
    def cancel(self, order: dict[str, Any]) -> None:
        self.ask(self.world.buyer.delete(order["self"]), {200, 409})

    @rule(order=orders)
    def refund(self, order: dict[str, Any]) -> None:
        self.ask(self.world.administrator.post(order["refunds"], reason="Goodwill"), {201, 202, 409})

    @rule(seconds=st.sampled_from([1, 16, 25, 300, 601, 901, 3700]))
    def let_time_pass(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    @rule(job=st.sampled_from(JOBS))
    def work(self, job: Any) -> None:
        self.world.run(job(self.world.services))

    @precondition(lambda self: len(self.sections) == len(PRICES))
    @rule(name=st.sampled_from(sorted(PRICES)))
    def remove_a_section(self, name: str) -> None:
        self.ask(self.world.administrator.delete(self.sections[name]), {200})
        self.sections[name + " (removed)"] = self.sections[name]

    @precondition(lambda self: len(self.events) == 2)
    @rule(which=st.integers(0, 1))
    def cancel_an_event(self, which: int) -> None:
        path = f"{self.events[which]}/cancellations"
        self.ask(self.world.administrator.post(path, reason="Rain"), {200})
        self.events.append("one was cancelled")

    @invariant()
    def the_counters_are_those_of_the_rows(self) -> None:
        assert self.world.run(faults(self.world.db)) == []

    def teardown(self) -> None:
        """Let all that is under way come to its end; then every cent is where it should be."""
        for _ in range(8):
            self.world.pass_time(4000)
            self.world.run(settle_all(self.world.services))
        assert self.world.run(faults(self.world.db)) == []
        assert self.world.run(count_open(self.world.db)) == 0
        assert self.world.run(unbalanced(self.world.db)) == []

    def ask(self, request: Coroutine[Any, Any, Answer], expected: set[int]) -> Answer:
        answer = self.world.run(request)
        assert answer.status in expected, (answer.status, answer.body)
        return answer

    def write(self, statement: str, *values: Any) -> None:
        self.world.run(self.world.db.execute(statement, *values))


@pytest.fixture
def world(postgres: str) -> Iterator[World]:
    """A world with an event loop of its own, which Hypothesis can step through."""
    with asyncio.Runner() as runner, impatient():
        scratch = scratch_database(postgres)
        dsn = runner.run(scratch.__aenter__())
        forever = {"session_idle_minutes": 0, "session_minutes": 0}  # the clock moves by months
        options = Settings(database_url=dsn, secret=SECRET, rate_limits="off", pool_size=4, **forever)
        edge = build_app(options)
        lifespan = edge.app.router.lifespan_context(edge.app)
        runner.run(lifespan.__aenter__())
        database = Database(dsn, pool_size=4)
        runner.run(database.open())
        db = runner.run(connect(dsn))
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=edge), base_url="http://tickets.test")
        yield World(
            runner,
            dsn,
            db,
            Services(options, database, VAULT, build_providers(options, database, VAULT)),
            runner.run(add_person(http, db, "bob")),
            runner.run(add_person(http, db, "admin", "administrator")),
        )
        runner.run(http.aclose())
        runner.run(db.close())
        runner.run(database.close())
        runner.run(lifespan.__aexit__(None, None, None))
        runner.run(scratch.__aexit__(None, None, None))


async def connect(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn)


@pytest.mark.parametrize(("examples", "steps"), [(10, 20), pytest.param(200, 40, marks=pytest.mark.heavy)])
def test_money_buys_tickets_or_goes_back_whatever_happens(world: World, examples: int, steps: int) -> None:
    Money.world = world
    quick = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_machine(Money, settings=quick)
