"""Where tickets are printed: one process beside this one, started when it is needed and gone when it is not.

fpdf2 and its fonts take 70 MB and a second to load, and three seconds of a processor for a large order: no process
that answers requests has that to spare. The child ends with us, however we end, since its input ends.

A file is printed in parts, by turns with those of others, and what has been printed is kept for a while: who could not
be served in his time comes again, and is served from there on.
"""

from enum import Enum

import msgspec

from ticketing.kit.child import Child, ChildFailed, TookTooLong
from ticketing.kit.threads import BoundedThreads
from ticketing.kit.turns import Asker, Turns

from .kept import Kept
from .sheets import BindPdf, Order, Part, PrintPart, PrintPdf, PrintPng, Question, Sheet

REQUEST_SECONDS = 9.0  # then whoever waits must come again; clients give up after ten
PAGES_OF_A_PART = 16
PART_SECONDS = 0.7  # of a processor, after which a part ends with the page that it is at; a usual one takes 0.05
LIMIT_SECONDS = 20.0  # of a processor, for a part that does not end; a page full of strange letters takes three
PATIENCE_SECONDS = 60.0  # until a part comes, however busy the machine is
SHORT_PRINTS, LONG_PRINTS = 64, 8  # under way at once: codes and files of one part; files of several
KEPT_BYTES, KEPT_SECONDS = 8 * 1024 * 1024, 600.0
PARTS_BEFORE_NEW = 500  # whatever a library keeps in memory for good ends with the child


# The press could not print what it was given; the text is the name of the error.
PrintingFailed = ChildFailed

__all__ = ["Press", "PrintingFailed", "TookTooLong"]


class Lane(Enum):
    """Prints of one part, or of many."""

    SHORT = "short"
    LONG = "long"


class Press:
    """The press of one process.

    `seconds`: how long one waits at most, before he must come again; `part_seconds` and `limit_seconds`: of a
    processor, what a part takes and what it may take; `short`, `long`: the prints that are under way at once.
    """

    def __init__(
        self,
        *,
        seconds: float = REQUEST_SECONDS,
        part_seconds: float = PART_SECONDS,
        limit_seconds: float = LIMIT_SECONDS,
        short: int = SHORT_PRINTS,
        long: int = LONG_PRINTS,
    ) -> None:
        self._turns = Turns({Lane.SHORT: short, Lane.LONG: long}, seconds)
        self._part_seconds = part_seconds
        self._kept = Kept(most_bytes=KEPT_BYTES, seconds=KEPT_SECONDS)
        self._thread = BoundedThreads("press", threads=1, waiting=2, seconds=2 * PATIENCE_SECONDS)
        self._child = Child(
            "ticketing.tickets.printer",
            seconds=limit_seconds,
            patience_seconds=PATIENCE_SECONDS,
            uses=PARTS_BEFORE_NEW,
        )

    async def print(self, order: Order, asker: Asker = ()) -> bytes:
        """The file that was asked for; by whom, so that nobody has the press for himself.

        Raises Overloaded when the asker must come again, TookTooLong (which is both), PrintingFailed.
        """
        is_long = isinstance(order, PrintPdf) and len(order.sheets) > PAGES_OF_A_PART
        lane = Lane.LONG if is_long else Lane.SHORT
        async with self._turns.place(lane, asker):
            if isinstance(order, PrintPng):
                return await self._answer(order, lane, asker)
            return await self._print_file(order.sheets, lane, asker)

    async def _print_file(self, sheets: list[Sheet], lane: Lane, asker: Asker) -> bytes:
        parts: list[bytes] = []
        pages = 0
        while pages < len(sheets):
            wanted = PrintPart(sheets[pages : pages + PAGES_OF_A_PART], self._part_seconds)
            part = msgspec.msgpack.decode(await self._answer(wanted, lane, asker), type=Part)
            parts.append(part.file)
            pages += part.pages
            lane = Lane.LONG  # from now on, if that was not all
        return parts[0] if len(parts) == 1 else await self._answer(BindPdf(parts), lane, asker)

    async def _answer(self, wanted: Question, lane: Lane, asker: Asker) -> bytes:
        question = msgspec.msgpack.encode(wanted)

        async def work() -> bytes:
            kept = self._kept.find(question)  # somebody else's turn may have been for the same
            return kept if kept is not None else await self._ask(question)

        kept = self._kept.find(question)
        return kept if kept is not None else await self._turns.take(lane, asker, work)

    async def _ask(self, question: bytes) -> bytes:
        printed = await self._thread.run(lambda: self._child.ask(question))
        self._kept.keep(question, printed)
        return printed

    def close(self) -> None:
        """End the child; what is being printed is lost."""
        self._child.close()
        self._thread.close()
