"""Pure rules of reports: how days, weeks and months are called, and what a spreadsheet must not take for a formula."""

from datetime import date, timedelta
from enum import StrEnum

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MEANS_SOMETHING = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Group(StrEnum):
    """What the rows of a sales report stand for."""

    SECTION = "section"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def period_key(group: Group, first: date) -> str:
    """How the period that begins on this day is told apart: 2026-07-01, 2026-W27, 2026-07."""
    if group is Group.DAY:
        return first.isoformat()
    if group is Group.WEEK:
        year, week, _ = first.isocalendar()
        return f"{year}-W{week:02}"
    return f"{first.year}-{first.month:02}"


def period_name(group: Group, first: date) -> str:
    """What people call it: 1 July 2026, 29 June 2026 - 5 July 2026, July 2026."""
    if group is Group.DAY:
        return _day(first)
    if group is Group.WEEK:
        return f"{_day(first)} - {_day(first + timedelta(days=6))}"
    return f"{MONTHS[first.month - 1]} {first.year}"


def _day(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def defused(text: str) -> str:
    """The text as a cell shows it, never as a formula: one that begins like a formula gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_MEANS_SOMETHING) else text
