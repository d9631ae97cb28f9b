"""Moments as people say them, made from the API's texts.

An event's times are the venue's: a text without an offset is meant there, one with an offset is shown there.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time

from .catalogues import Language

_TEXT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


@dataclass(frozen=True)
class Moment:
    """A moment in the zone in which it is told; `at` knows its zone."""

    at: datetime
    zone: str

    def date(self, language: Language) -> str:
        """`Saturday, 14 June 2027`."""
        return str(format_date(self.at.date(), "full", locale=language.locale))

    def short_date(self, language: Language) -> str:
        """`14 Jun 2027`."""
        return str(format_date(self.at.date(), "medium", locale=language.locale))

    def time(self, language: Language) -> str:
        """`17:00`, `5:00 PM`."""
        return str(format_time(self.at.time(), "short", locale=language.locale))

    def both(self, language: Language) -> str:
        """`14 Jun 2027, 17:00`."""
        return str(format_datetime(self.at.replace(tzinfo=None), "medium", locale=language.locale)).replace(
            ":00\u202f", "\u202f"
        )

    def day(self, language: Language) -> str:
        """The day of the month, `14`."""
        return str(format_date(self.at.date(), "d", locale=language.locale))

    def month(self, language: Language) -> str:
        """The month, short: `Jun`."""
        return str(format_date(self.at.date(), "MMM", locale=language.locale))

    def weekday(self, language: Language) -> str:
        """The day of the week, short: `Sat`."""
        return str(format_date(self.at.date(), "EEE", locale=language.locale))

    @property
    def offset(self) -> str:
        """`UTC-4`, `UTC+5:30`; how the venue's clock stands to the world's at that moment."""
        shift = self.at.utcoffset() or timedelta()
        minutes = int(shift.total_seconds()) // 60
        sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
        rest = f":{minutes % 60:02}" if minutes % 60 else ""
        return f"UTC{sign}{minutes // 60}{rest}" if minutes else "UTC"

    @property
    def iso(self) -> str:
        """For machines: with seconds and offset."""
        return self.at.isoformat(timespec="seconds")


def moment_of(text: str, zone: str = "UTC") -> Moment | None:
    """The moment that a text of the API stands for, as told in this zone; None for `""` and what is no moment.

    A time that clocks show twice is the first of them, one that they leave out is moved on, as everywhere (RFC 5545).
    """
    match = _TEXT.fullmatch(text or "")
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    there = ZoneInfo(zone or "UTC")
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=there)
        if offset := match[7]:
            shift = timedelta() if offset == "Z" else _shift(offset)
            at = at.replace(tzinfo=UTC) - shift
        at = at.astimezone(UTC).astimezone(there)
    except (ValueError, OverflowError):
        return None
    return Moment(at, zone)


def _shift(offset: str) -> timedelta:
    digits = offset[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if offset[0] == "-" else size
