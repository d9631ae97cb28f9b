"""Where tickets are printed: one process beside this one, started when it is needed and gone when it is not.

fpdf2 and its fonts take 70 MB and a second to load, and half a second of a processor for a large order: no process
that answers requests has that to spare. The child ends with us, however we end, since its input ends.
"""

import contextlib
from collections.abc import Hashable, Iterator

import msgspec

from ticketing.kit.child import Child, ChildFailed, TookTooLong
from ticketing.kit.threads import BoundedThreads
from ticketing.web.errors import Busy

from .sheets import Order, PrintPng

SECONDS = 8.0  # for one order on the press; 50 pages take two
FILES_PER_ASKER = 2
ORDERS_BEFORE_NEW = 500  # whatever a library keeps in memory for good ends with the child


# The press could not print what it was given; the text is the name of the error.
PrintingFailed = ChildFailed

__all__ = ["Press", "PrintingFailed", "TookTooLong"]


class Press:
    """The press of one process.

    At most `waiting` orders wait or are printed, `files` of them PDFs (a code is drawn in a hundredth of the time), and
    each waits no longer than `seconds` in all.
    """

    def __init__(
        self, *, waiting: int = 64, files: int = 8, seconds: float = 9.0, limit_seconds: float = SECONDS
    ) -> None:
        self._files: list[Hashable] = []  # who asked for those under way
        self._most_files = files
        self._threads = BoundedThreads("press", threads=1, waiting=waiting, seconds=seconds)
        self._child = Child("ticketing.tickets.printer", seconds=limit_seconds, uses=ORDERS_BEFORE_NEW)

    async def print(self, order: Order, asker: Hashable = None) -> bytes:
        """The file that was asked for; by whom, so that nobody has the press for himself.

        Raises Busy when too many wait, TookTooLong (which is both), PrintingFailed.
        """
        if isinstance(order, PrintPng):
            return await self._threads.run(lambda: self._child.ask(msgspec.msgpack.encode(order)))
        with self._turn(asker):
            return await self._threads.run(lambda: self._child.ask(msgspec.msgpack.encode(order)))

    @contextlib.contextmanager
    def _turn(self, asker: Hashable) -> Iterator[None]:
        """A place among the files under way. Raises Busy."""
        has_enough = asker is not None and self._files.count(asker) >= FILES_PER_ASKER
        if has_enough or len(self._files) >= self._most_files:
            raise Busy(2)
        self._files.append(asker)
        try:
            yield
        finally:
            self._files.remove(asker)

    def close(self) -> None:
        """End the child; what is being printed is lost."""
        self._child.close()
        self._threads.close()
