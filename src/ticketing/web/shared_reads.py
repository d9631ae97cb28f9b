"""Reads that arrive together are read together: requests that ask the same at the same moment share one answer.

A request joins only a read that has not begun when it arrives, so nobody is answered from before his own question: an
order that was answered is seen by whoever asks after it. No artificial wait: without a crowd a read is one request's.
While one is under way for a question, those who ask it meanwhile wait for the next, together.

What is shared must be the same for everybody who may ask (the key names everything it depends on). Who may see it is
decided afterwards, for each by himself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from ticketing.kit.database import Connection, Database
from ticketing.kit.metrics import Spread

from .errors import Busy, Refusal

T = TypeVar("T")

Ask = Callable[[Connection], Awaitable[T]]

MOST_WAITING = 4096  # of a process; with more, clients give up before their turn comes

SHARED = Spread("shared_read_size", "Requests answered by one read.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256))


class _Question:
    """What is asked under one key: who waits for a read that has not begun, and whether one is under way."""

    __slots__ = ("is_under_way", "waiting")

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Any]] = []
        self.is_under_way = False


class SharedReads:
    """The reads of this process that may be shared."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._questions: dict[Hashable, _Question] = {}
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, key: Hashable, ask: Ask[T]) -> T:
        """What `ask` reads, on a connection without a transaction, possibly for others with the same key too.

        Raises what `ask` raises, and Busy when too many wait.
        """
        if self._waiting >= MOST_WAITING:
            raise Busy(2)
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = _Question()
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        question.waiting.append(answer)
        if not question.is_under_way:
            question.is_under_way = True
            # A task of its own: whoever asked first may go away, and the others still want to know.
            task = asyncio.create_task(self._work(key, question, ask), name="shared-read")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._waiting += 1
        try:
            return await answer
        finally:
            self._waiting -= 1

    async def _work(self, key: Hashable, question: _Question, ask: Ask[Any]) -> None:
        """Read until nobody waits, with a connection anew for each turn: others are in the queue for one, too."""
        waiting: list[asyncio.Future[Any]] = []
        try:
            while question.waiting:
                async with self._database.reading() as db:
                    waiting, question.waiting = question.waiting, []
                    await self._answer(waiting, ask, db)
        except Exception as error:  # the connection could not be had, or broke: everybody waiting must hear of it
            for answer in [*waiting, *question.waiting]:
                if not answer.done():
                    answer.set_exception(error)
        finally:
            del self._questions[key]

    @staticmethod
    async def _answer(waiting: list[asyncio.Future[Any]], ask: Ask[Any], db: Connection) -> None:
        """Read once, for all of these; a refusal (it is not there) is an answer too."""
        if all(answer.done() for answer in waiting):  # they have all gone
            return
        SHARED.add(len(waiting))
        try:
            found = await ask(db)
        except Refusal as refusal:
            for answer in waiting:
                if not answer.done():
                    answer.set_exception(refusal)
        else:
            for answer in waiting:
                if not answer.done():
                    answer.set_result(found)
