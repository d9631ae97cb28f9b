"""The press's process: reads orders from standard input, writes what was printed to standard output.

`python -m ticketing.tickets.printer`. It ends when its input ends, as it does with the process that started it, and
when nobody asked for anything for a while. A frame is four bytes of length and so many of content; an answer's first
byte is 1 for what was asked for, 0 for the name of the error.
"""

import os
import select
import struct
import sys
from typing import IO

import msgspec

from .sheets import Order, PrintPdf

IDLE_SECONDS = 60
NICENESS = 10  # whoever buys goes before the tickets of whoever bought
LENGTH = struct.Struct(">I")


def main() -> None:
    """Print until told to end, when nobody else wants the processor."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while select.select([source], [], [], IDLE_SECONDS)[0]:
        order = read_frame(source)
        if order is None:
            return
        try:
            answer = b"\x01" + _print(msgspec.msgpack.decode(order, type=Order))
        except Exception as error:  # whatever it is, the next ticket is another
            answer = b"\x00" + type(error).__name__.encode()
        write_frame(sink, answer)


def _print(order: Order) -> bytes:
    # Each loads what it needs when it is first asked for.
    if isinstance(order, PrintPdf):
        from .drawing import draw_pdf

        return draw_pdf(order.sheets)
    from .codes import draw_code

    return draw_code(order.payload)


def read_frame(source: IO[bytes]) -> bytes | None:
    """The next frame, or None where the input ends."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = source.read(length)
    return body if len(body) == length else None


def write_frame(sink: IO[bytes], body: bytes) -> None:
    """Write a frame."""
    sink.write(LENGTH.pack(len(body)) + body)
    sink.flush()


if __name__ == "__main__":
    main()
