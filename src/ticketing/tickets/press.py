"""Where tickets are printed: one process beside this one, started when it is needed and gone when it is not.

fpdf2 and its fonts take 70 MB and a second to load, and half a second of a processor for a large order: no process
that answers requests has that to spare. The child ends with us, however we end, since its input ends.
"""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Hashable, Iterator

import msgspec

from ticketing.kit.errors import Busy
from ticketing.kit.threads import BoundedThreads

from .printer import read_frame, write_frame
from .sheets import Order, PrintPng

SECONDS = 8.0  # for one order on the press; 50 pages take two
FILES_PER_ASKER = 2
ORDERS_BEFORE_NEW = 500  # whatever a library keeps in memory for good ends with the child


class PrintingFailed(RuntimeError):
    """The press could not print what it was given; the text is the name of the error."""


class TookTooLong(Busy, PrintingFailed):
    """The press was given up over this order: whoever asked may come back, and need not be told the same for ever."""


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
        self._limit_seconds = limit_seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._printed = 0
        self._closed = False
        self._at_work = threading.Lock()

    async def print(self, order: Order, asker: Hashable = None) -> bytes:
        """The file that was asked for; by whom, so that nobody has the press for himself.

        Raises Busy when too many wait, TookTooLong (which is both), PrintingFailed.
        """
        if self._closed:
            raise Busy(2)
        if isinstance(order, PrintPng):
            return await self._threads.run(lambda: self._print(msgspec.msgpack.encode(order)))
        with self._turn(asker):
            return await self._threads.run(lambda: self._print(msgspec.msgpack.encode(order)))

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
        self._closed = True
        if (child := self._child) is not None:
            child.kill()
        with self._at_work:
            self._end_child()
        self._threads.close()

    def _print(self, order: bytes) -> bytes:
        with self._at_work:
            return self._print_alone(order)

    def _print_alone(self, order: bytes) -> bytes:
        # Twice at most: a child that idled for long may end in the moment in which it is asked.
        for _attempt in range(2):
            answer = self._ask(order)
            if answer is not None:
                break
        else:
            raise PrintingFailed("the press ended")
        if answer[:1] != b"\x01":
            raise PrintingFailed(answer[1:].decode())
        return answer[1:]

    def _ask(self, order: bytes) -> bytes | None:
        """The child's answer, or None when it ended. Raises TookTooLong."""
        child = self._ready_child()
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the press has no pipes")
        late = threading.Event()

        def give_up() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(self._limit_seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            write_frame(child.stdin, order)
            answer = read_frame(child.stdout)
        except OSError:
            answer = None
        finally:
            timer.cancel()
        if answer is None:
            self._end_child()
            if late.is_set():
                raise TookTooLong(2)
        return answer

    def _ready_child(self) -> subprocess.Popen[bytes]:
        if self._closed:  # meanwhile
            raise Busy(2)
        if self._child is not None and (self._child.poll() is not None or self._printed >= ORDERS_BEFORE_NEW):
            self._end_child()
        if self._child is None:
            self._printed = 0
            self._child = subprocess.Popen(
                [sys.executable, "-m", "ticketing.tickets.printer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in a terminal is ours to hear
            )
        self._printed += 1
        return self._child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        child.wait()
