"""The queue in front of placing: what arrives together is placed together.

One transaction per order on a hot section waits, each, for the row lock and the disk flush of the one before. Here
whatever is waiting when the last batch is done goes into the next. No artificial wait: without a crowd a batch is one
order. Several processes compete through the row locks and the CHECK, as ever.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from ticketing.events.rules import fee_cents, parse_bands
from ticketing.kit.database import Database
from ticketing.kit.database_errors import UNDONE, UNREACHABLE
from ticketing.kit.metrics import Count, Level, Spread
from ticketing.settings import Settings
from ticketing.web.errors import Busy
from ticketing.web.operations import ClientGone

from .placing import Placement, Terms, place_orders
from .rules import Limits, Refused, Wish

BATCH = 64
BUSY = "busy"
LONGEST_QUEUE = 2048
RECOVERY_SECONDS = 8  # within which a database is asked again what became of a batch; clients give up after ten
ASK_AGAIN_SECONDS = 0.25
LONGEST_WAIT = 3.0  # seconds; clients give up after ten
FAILED = (*UNDONE, *UNREACHABLE)  # what may be placed once more, when it does not stand after all

PLACED = Count("orders_placed", "Orders that were placed.")
REFUSED = Count("orders_refused", "Orders that were not placed, by reason.", "reason")
BATCHES = Spread("order_batch_size", "Orders decided in one transaction.", buckets=(1, 2, 4, 8, 16, 32, 64))
QUEUED = Level("orders_queued", "Orders that wait for their turn.")

_FIND_PLACED = """
SELECT orders.id FROM orders
  JOIN unnest($1::bigint[], $2::text[]) AS wish (id, number) ON wish.id = orders.id AND wish.number = orders.number"""

log = structlog.get_logger()


class AlreadyPlaced(Exception):
    """The order stands although its placing seemed to fail: its commit went through unheard."""


@dataclass(slots=True)
class _Waiting:
    wish: Wish
    since: float
    answer: asyncio.Future[Placement | Refused]
    is_gone: Callable[[], bool]


class Intake:
    """The orders of this process on their way in."""

    def __init__(self, database: Database, terms: Terms) -> None:
        self._database = database
        self._terms = terms
        self._queue: deque[_Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def place(self, wish: Wish, is_gone: Callable[[], bool]) -> Placement | Refused:
        """Place one order; returns when its batch is committed, or when it is refused.

        Raises Busy when it cannot be taken within three seconds, ClientGone when nobody waits for it any more
        (`is_gone`); then it is not placed. Raises AlreadyPlaced when it was, and has to be read.
        """
        if len(self._queue) >= LONGEST_QUEUE:
            REFUSED.add(BUSY)
            raise Busy(2)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(wish, loop.time(), loop.create_future(), is_gone)
        self._queue.append(waiting)
        if self._worker is None or self._worker.done():
            # A task of its own: one request's cancellation never reaches the batch it is in.
            self._worker = loop.create_task(self._work(), name="order-intake")
        return await waiting.answer

    async def _work(self) -> None:
        while self._queue:
            batch = self._take()
            if not batch:
                continue
            try:
                await self._place_batch(batch)
            except Exception as error:  # everybody waiting must hear something
                log.exception("orders.batch_failed", orders=len(batch))
                for waiting in batch:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)

    def _take(self) -> list[_Waiting]:
        """What goes into the next batch: not what waited too long, nor what nobody waits for any more."""
        now = asyncio.get_running_loop().time()
        batch: list[_Waiting] = []
        while self._queue and len(batch) < BATCH:
            waiting = self._queue.popleft()
            if waiting.answer.done():
                continue
            if waiting.is_gone():
                waiting.answer.set_exception(ClientGone())
            elif now - waiting.since > LONGEST_WAIT:
                REFUSED.add(BUSY)
                waiting.answer.set_exception(Busy(2))
            else:
                batch.append(waiting)
        QUEUED.set(len(self._queue))
        return batch

    async def _place_batch(self, batch: Sequence[_Waiting]) -> None:
        """Together; together once more when the database undid it; then one by one."""
        for _attempt in range(2):
            try:
                self._answer(batch, await self._place([waiting.wish for waiting in batch]))
            except FAILED as error:
                log.warning("orders.batch_undone", reason=type(error).__name__, orders=len(batch))
                batch = await self._without_placed(batch)
            else:
                return
        for waiting in batch:
            await self._place_alone(waiting)

    async def _place_alone(self, waiting: _Waiting) -> None:
        try:
            self._answer([waiting], await self._place([waiting.wish]))
        except FAILED as error:
            log.warning("orders.order_undone", reason=type(error).__name__)
            if await self._without_placed([waiting]) and not waiting.answer.done():
                waiting.answer.set_exception(Busy(2))

    async def _place(self, wishes: Sequence[Wish]) -> list[Placement | Refused]:
        async with self._database.transaction() as db:
            return await place_orders(db, wishes, self._terms, self._database.new_id)

    async def _without_placed(self, batch: Sequence[_Waiting]) -> list[_Waiting]:
        """The batch less the orders that stand after all; their requests are told to read them.

        A connection can break after the commit and before we hear of it. The ids were given beforehand, so the
        orders are either there, or a second placing of the same id cannot be there twice.
        """
        placed = await self._find_placed([waiting.wish for waiting in batch])
        for waiting in batch:
            if waiting.wish.order_id in placed and not waiting.answer.done():
                waiting.answer.set_exception(AlreadyPlaced())
        return [waiting for waiting in batch if waiting.wish.order_id not in placed]

    async def _find_placed(self, wishes: Sequence[Wish]) -> set[int]:
        """Which of these orders stand, by id. A database that is recovering is waited for: it alone knows.

        The number is random, and compared too: an id could be another process's, that took our node number while we
        were cut off.
        """
        ids, numbers = [wish.order_id for wish in wishes], [wish.number for wish in wishes]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RECOVERY_SECONDS
        while loop.time() < deadline:
            try:
                async with self._database.reading() as db:
                    rows = await db.fetch(_FIND_PLACED, ids, numbers)
                    return {row["id"] for row in rows}
            except FAILED:
                await asyncio.sleep(ASK_AGAIN_SECONDS)
        raise RuntimeError("the database did not come back; whether the last orders were placed is not known")

    @staticmethod
    def _answer(batch: Sequence[_Waiting], outcomes: Sequence[Placement | Refused]) -> None:
        BATCHES.add(len(batch))
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Refused):
                REFUSED.add(outcome.reason.name.lower())
            else:
                PLACED.add()
            if not waiting.answer.done():
                waiting.answer.set_result(outcome)


def new_number() -> str:
    """An order number: 12 upper-case hex digits."""
    return secrets.token_hex(6).upper()


def limits_of(settings: Settings) -> Limits:
    """How much one customer may have, as the settings say."""
    return Limits(
        settings.open_orders_per_customer,
        settings.tickets_per_customer,
        settings.free_tickets_per_customer,
        free_verified=settings.free_tickets_verified == "on",
    )


def build_intake(database: Database, settings: Settings) -> Intake:
    """The intake of a process, on the terms that the settings give."""
    bands = parse_bands(settings.fees)
    terms = Terms(
        limits=limits_of(settings),
        fee=lambda cents: fee_cents(cents, bands),
        hold_seconds=settings.hold_seconds,
        currency=settings.currency,
    )
    return Intake(database, terms)
