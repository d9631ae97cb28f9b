"""Turns at something that does few things at a time: whose is next, and who has to come back.

Who asks goes by names - an address, an account. Next is who waited longest since any of his names was last served, and
before him whoever never was: nobody's second turn comes before another's first. Where there are several lanes, the
first goes before the next, which has every fourth turn then. Work may be of one turn, or of many parts that have a turn
each.
"""

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from .overload import Overloaded

T = TypeVar("T")

# By every name that somebody is known by: neither many accounts at one address nor many addresses of one account have
# more turns than one. Whoever has no name is not counted, and comes first.
Asker = tuple[Hashable, ...]

PASSED_OVER_AT_MOST = 3
NAMES_REMEMBERED = 1000


class OneLane(Enum):
    """The lane where there is no other."""

    LANE = "lane"


@dataclass(eq=False)
class _Place:
    """Somebody's work that waits or is done, and until when."""

    asker: Asker
    ends: asyncio.Timeout


@dataclass(eq=False)
class _Waiter:
    """Somebody who waits for a turn."""

    asker: Asker
    begins: asyncio.Future[None]


class Turns:
    """The turns at one thing, of which so many are taken `at_once`, by any one name at most `each`.

    So many pieces of work wait or are under way in each of the lanes, which are told in their order. Each waits no
    longer than `seconds`, and who has to come back is told to do so in `come_again` seconds.
    """

    def __init__(
        self,
        lanes: Mapping[Enum, int],
        seconds: float,
        *,
        at_once: int = 1,
        each: int | None = None,
        come_again: int = 2,
    ) -> None:
        self._most = dict(lanes)
        self._seconds = seconds
        self._at_once = at_once
        self._each = at_once if each is None else each
        self._come_again = come_again
        self._places: dict[Enum, list[_Place]] = {lane: [] for lane in lanes}
        self._waiting: dict[Enum, list[_Waiter]] = {lane: [] for lane in lanes}
        self._passed_over: Counter[Enum] = Counter()  # turns of others since a lane's last, whoever waited
        self._taken = 0
        self._taken_by: Counter[Hashable] = Counter()
        self._served: OrderedDict[Hashable, int] = OrderedDict()  # a name's last turn, by its number
        self._number = 0
        self._doing: set[asyncio.Task[Any]] = set()

    def ensure_room(self, lane: Enum, asker: Asker) -> None:
        """Raise Overloaded where a place would be refused now."""
        askers = [*(place.asker for place in self._places[lane]), asker]
        if len(askers) > self._most[lane] and _greediest(askers) == len(askers) - 1:
            raise Overloaded(self._come_again)

    @contextlib.asynccontextmanager
    async def place(self, lane: Enum, asker: Asker) -> AsyncIterator[None]:
        """A place for some work in a lane, in which it takes its turns.

        Where there is none left, who has most of them gives up his latest. Raises Overloaded for who must come back,
        also when the time is over.
        """
        places = self._places[lane]
        async with self._in_time() as ends:
            place = _Place(asker, ends)
            places.append(place)
            try:
                if len(places) > self._most[lane]:
                    greediest = places[_greediest([one.asker for one in places])]
                    if greediest is place:
                        raise Overloaded(self._come_again)
                    places.remove(greediest)
                    if not greediest.ends.expired():
                        greediest.ends.reschedule(0)  # at once
                yield
            finally:
                if place in places:
                    places.remove(place)

    async def take(self, lane: Enum, asker: Asker, work: Callable[[], Awaitable[T]]) -> T:
        """What the work comes to, done when it is the asker's turn.

        It is done to its end once it has begun, whether or not the asker stays; raises what it raises.
        """
        await self._wait(lane, asker)
        doing = asyncio.create_task(self._do(asker, work))
        self._doing.add(doing)
        doing.add_done_callback(self._doing.discard)
        return await asyncio.shield(doing)

    async def run(self, lane: Enum, asker: Asker, work: Callable[[], Awaitable[T]]) -> T:
        """What work of one turn comes to. Raises Overloaded, and what it raises."""
        async with self.place(lane, asker):
            return await self.take(lane, asker, work)

    @contextlib.asynccontextmanager
    async def hold(self, lane: Enum, asker: Asker) -> AsyncIterator[None]:
        """A turn that lasts as long as the block, however long. Raises Overloaded when it does not come in time."""
        async with self.place(lane, asker):
            await self._wait(lane, asker)
        try:
            yield
        finally:
            self._end(asker)

    @contextlib.asynccontextmanager
    async def _in_time(self) -> AsyncIterator[asyncio.Timeout]:
        ends = asyncio.timeout(self._seconds)
        try:
            async with ends:
                yield ends
        except TimeoutError:
            if not ends.expired():  # it is the work's own
                raise
            raise Overloaded(self._come_again) from None

    async def _wait(self, lane: Enum, asker: Asker) -> None:
        """Return when it is the asker's turn, which he must end."""
        waiter = _Waiter(asker, asyncio.get_running_loop().create_future())
        self._waiting[lane].append(waiter)
        self._begin()
        try:
            await waiter.begins
        except asyncio.CancelledError:
            if waiter in self._waiting[lane]:
                self._waiting[lane].remove(waiter)
            else:  # it came in the same moment
                self._end(asker)
            raise

    async def _do(self, asker: Asker, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        finally:
            self._end(asker)

    def _begin(self) -> None:
        """Begin the turns for which there is room."""
        while self._taken < self._at_once and (waiter := self._next()):
            self._number += 1
            self._taken += 1
            self._taken_by.update(waiter.asker)
            for name in waiter.asker:
                self._served[name] = self._number
                self._served.move_to_end(name)
            while len(self._served) > NAMES_REMEMBERED:
                self._served.popitem(last=False)
            waiter.begins.set_result(None)

    def _end(self, asker: Asker) -> None:
        self._taken -= 1
        for name in asker:
            self._taken_by[name] -= 1
            if not self._taken_by[name]:
                del self._taken_by[name]
        self._begin()

    def _next(self) -> _Waiter | None:
        """Whose turn it is; he waits no more."""
        ready = {lane: [one for one in waiters if self._may(one)] for lane, waiters in self._waiting.items()}
        lanes = [lane for lane, waiters in ready.items() if waiters]
        if not lanes:
            return None
        lane = next((one for one in lanes if self._passed_over[one] >= PASSED_OVER_AT_MOST), lanes[0])
        self._passed_over.update(self._most)
        self._passed_over[lane] = 0
        waiter = min(ready[lane], key=self._last_turns)  # the first of them
        self._waiting[lane].remove(waiter)
        return waiter

    def _may(self, waiter: _Waiter) -> bool:
        """Whether he is still there, and has fewer turns than anybody may."""
        return not waiter.begins.done() and all(self._taken_by[name] < self._each for name in waiter.asker)

    def _last_turns(self, waiter: _Waiter) -> list[int]:
        return sorted((self._served.get(name, 0) for name in waiter.asker), reverse=True)


def _greediest(askers: Sequence[Asker]) -> int:
    """Where the latest of those stands who ask for most."""
    wanted = Counter(name for asker in askers for name in asker)
    greed = [sorted((wanted[name] for name in asker), reverse=True) for asker in askers]
    return max(reversed(range(len(askers))), key=greed.__getitem__)
