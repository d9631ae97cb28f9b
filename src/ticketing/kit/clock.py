"""Moments as they travel: event times are text, echoed as sent; everything else is the database's clock in UTC."""

import re
from datetime import date, datetime

_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[T ](?P<hour>\d{2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:\.\d{1,9})?)?(?P<offset>Z|[+-](?P<away>\d{2}):?(?P<part>\d{2}))?",
    re.ASCII,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def is_moment(text: str) -> bool:
    """Whether the text is a date and a time, with or without an offset: `2034-06-07T20:00`.

    It never becomes a Python datetime: `9999-12-31T23:59:59.999Z` overflows one in half the world.
    The instant is computed in SQL (`instant(text, zone)`).
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        return False
    if int(match["hour"]) > 23 or int(match["minute"]) > 59 or int(match["second"] or 0) > 59:
        return False
    if match["away"] and int(match["away"]) * 60 + int(match["part"]) > 14 * 60:
        return False
    return is_date(match["date"])


def is_date(text: str) -> bool:
    """Whether the text is a day of the calendar: `1990-02-28`."""
    try:
        return bool(_DATE.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def stamp(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS+00:00`, whole seconds in UTC; the moment comes from the database, so it is UTC already."""
    return moment.isoformat(timespec="seconds")


def session_stamp(moment: datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS`, the form sessions use."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")
