"""An event as a calendar takes it: an iCalendar file (RFC 5545); pure.

Moments are instants in UTC, computed in SQL: no language's datetime takes all that an event may be set to.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

CONTENT_TYPE = "text/calendar; charset=utf-8"
_OCTETS = 75  # of a line, without its end


@dataclass(frozen=True, slots=True)
class Appointment:
    """An event to be at. `starts`, `ends` (may be "") and `stamped` are like `20340608T000000Z`.

    `uid` is the event's own, so that a file that is taken in again moves the entry instead of making another.
    """

    uid: str
    stamped: str
    starts: str
    ends: str
    summary: str
    location: str
    latitude: float
    longitude: float
    description: str
    cancelled: bool = False


def calendar_file(appointments: Iterable[Appointment]) -> bytes:
    """The file with these events."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//TickeTing//Tickets//EN", "CALSCALE:GREGORIAN"]
    for one in appointments:
        lines += _lines(one)
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _lines(one: Appointment) -> list[str]:
    lines = [
        "BEGIN:VEVENT",
        f"UID:{one.uid}",
        f"DTSTAMP:{one.stamped}",
        f"DTSTART:{one.starts}",
        f"SUMMARY:{_text(one.summary)}",
        f"LOCATION:{_text(one.location)}",
        f"GEO:{one.latitude:.6f};{one.longitude:.6f}",
        f"DESCRIPTION:{_text(one.description)}",
        f"STATUS:{'CANCELLED' if one.cancelled else 'CONFIRMED'}",
        "END:VEVENT",
    ]
    if one.ends > one.starts:  # an end must lie after the start
        lines.insert(4, f"DTEND:{one.ends}")
    return lines


def _text(text: str) -> str:
    """A value of type TEXT; control characters have no place in one."""
    escaped = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    escaped = escaped.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")
    return "".join(letter for letter in escaped if unicodedata.category(letter) != "Cc")


def _folded(line: str) -> bytes:
    """The line with its end, broken so that no part is too long and no letter is torn apart."""
    parts, part = [], b""
    for letter in line:
        encoded = letter.encode()
        if len(part) + len(encoded) > _OCTETS:
            parts.append(part)
            part = b" "
        part += encoded
    return b"\r\n".join([*parts, part]) + b"\r\n"
