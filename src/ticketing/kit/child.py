"""A process beside this one for work that takes memory or a processor: started when needed, ended with us.

What it may take over one thing is time of a processor, which does not pass while others have it: on a busy machine the
same work is done, later. The child ends when its input ends, as it does however we end, and when nobody asked for a
while.

A frame is four bytes of length and so many of content. An answer's first byte is 1 for what was asked for, 0 for the
text of a failure.
"""

import contextlib
import os
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO

from .overload import Overloaded

IDLE_SECONDS = 60
NICENESS = 10  # whoever buys goes before
WRITTEN_AT_ONCE = 256 * 1024

_LENGTH = struct.Struct(">I")


class ChildFailed(RuntimeError):
    """The child could not do what it was asked for; its text says why, or names the error."""


class ChildEnded(ChildFailed):
    """The child ended twice over the same thing, or as often as it was asked."""


class TookTooLong(Overloaded, ChildFailed):
    """The child ended over this: whoever asked may come back, and need not be told the same for ever."""


class Child:
    """`python -m MODULE`, asked one thing at a time, by threads.

    It has `seconds` of a processor for each, and is given up when they have not come together in `patience_seconds`.
    After `uses` of them it is another process: whatever a library keeps in memory for good ends with it.
    """

    def __init__(self, module: str, *, seconds: float, patience_seconds: float, uses: int) -> None:
        self._module = module
        self._seconds = seconds
        self._patience_seconds = patience_seconds
        self._uses = uses
        self._used = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._at_work = threading.Lock()

    def ask(self, *question: bytes | str) -> bytes:
        """What the child answers to these parts put together; text is sent as ASCII.

        Raises ChildFailed, TookTooLong (which is Overloaded too), and Overloaded when the machine is too busy.
        """
        with self._at_work:
            # Twice at most: a child that idled for long may end in the moment in which it is asked.
            for _attempt in range(2):
                answer = self._ask(question)
                if answer is not None:
                    break
            else:
                raise ChildEnded("the child ended")
        if answer[:1] != b"\x01":
            raise ChildFailed(answer[1:].decode())
        return answer[1:]

    def close(self) -> None:
        """End the child; what it is at is lost."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()
        with self._at_work:
            self._end()

    def _ask(self, question: Sequence[bytes | str]) -> bytes | None:
        """The answer, or None when the child ended. Raises TookTooLong, Overloaded."""
        process = self._ready()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the child has no pipes")
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._patience_seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            write_frame(process.stdin, *question)
            answer = read_frame(process.stdout)
        except OSError:
            answer = None
        finally:
            timer.cancel()
        if answer is None:
            status = self._end()
            if late.is_set():
                raise Overloaded(2)
            if status == -signal.SIGPROF:
                raise TookTooLong(2)
        return answer

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._closed:  # meanwhile
            raise Overloaded(2)
        if self._process is not None and (self._process.poll() is not None or self._used >= self._uses):
            self._end()
        if self._process is None:
            self._used = 0
            self._process = subprocess.Popen(  # noqa: S603 - this program
                [sys.executable, "-m", self._module, str(self._seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in a terminal is ours to hear
            )
        self._used += 1
        return self._process

    def _end(self) -> int | None:
        """How the child ended: the number of a signal is below zero."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        return process.wait()


def answer_questions(answer: Callable[[bytes], bytes], *, told: type[Exception] | None = None) -> None:
    """Be the child: answer until told to end, when nobody else wants the processor.

    The seconds of a processor that there are for each are the program's argument; whoever needs more is ended by
    SIGPROF, whatever it is at. Of an error of the type `told` the asker learns the text, of any other the name.
    """
    seconds = float(sys.argv[1])
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while select.select([source], [], [], IDLE_SECONDS)[0]:
        question = read_frame(source)
        if question is None:
            return
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            reply = b"\x01" + answer(question)
        except Exception as error:  # whatever it is, the next question is another
            text = str(error) if told is not None and isinstance(error, told) else type(error).__name__
            reply = b"\x00" + text.encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        del question
        write_frame(sink, reply)


def read_frame(source: IO[bytes]) -> bytes | None:
    """The next frame, or None where the input ends."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = source.read(length)
    return body if len(body) == length else None


def write_frame(sink: IO[bytes], *parts: bytes | str) -> None:
    """Write a frame; large text is never held a second time."""
    sink.write(_LENGTH.pack(sum(map(len, parts))))
    for part in parts:
        for start in range(0, len(part), WRITTEN_AT_ONCE):
            piece = part[start : start + WRITTEN_AT_ONCE]
            sink.write(piece.encode("ascii", "replace") if isinstance(piece, str) else piece)
    sink.flush()
