"""A ticket as it is printed: what the press gets to know. Texts are final, times are local to the venue.

Imports little: the press's process loads this, and need not know a database.
"""

import msgspec


class Sheet(msgspec.Struct, frozen=True):
    """One page. Texts are as people wrote them, in any script; `seed` gives an event its colour.

    `day` is "Wednesday 7 June 2034" and `hours` "20:00 to 23:00", both "" for an event without a date; `zone` is the
    venue's, "America/Antigua (UTC-04:00)", "" where no time is told. `doors` is "19:00", on another day "6 June 2034,
    19:00", or "".
    """

    serial: str
    payload: str
    seed: str
    title: str
    host: str
    section: str
    holder: str
    venue: str
    address: str
    day: str
    hours: str
    zone: str
    disclaimer: str
    doors: str = ""


class PrintPdf(msgspec.Struct, frozen=True, tag="pdf"):
    """Asks for a PDF file, a page per sheet."""

    sheets: list[Sheet]


class PrintPng(msgspec.Struct, frozen=True, tag="png"):
    """Asks for a picture of a payload's QR code."""

    payload: str


class PrintPart(msgspec.Struct, frozen=True, tag="part"):
    """Asks for a PDF file of the first sheets: as many as there is time for, and of them the first in any case.

    `seconds` are those of a processor. The answer is a Part.
    """

    sheets: list[Sheet]
    seconds: float


class Part(msgspec.Struct, frozen=True):
    """A file, and how many sheets it has."""

    pages: int
    file: bytes


class BindPdf(msgspec.Struct, frozen=True, tag="bind"):
    """Asks for one PDF file of several, in their order."""

    parts: list[bytes]


Order = PrintPdf | PrintPng
Question = PrintPart | BindPdf | PrintPng
