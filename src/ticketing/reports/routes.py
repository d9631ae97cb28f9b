"""Reports over HTTP."""

from collections.abc import AsyncGenerator
from datetime import date

from ticketing.hosts.errors import HostNotFound, NotHostAdministrator
from ticketing.hosts.queries import host_for
from ticketing.kit import ids
from ticketing.kit.database import Connection
from ticketing.settings import Settings
from ticketing.web.errors import InvalidValues, Restricted, about
from ticketing.web.operations import FILE_COST, Call, Operations, Reply
from ticketing.web.paging import Page, UnknownFilters

from . import queries
from .files import Batch, Cell, Exports, Table
from .formats import FILE_TYPES, FORMAT, Format, wanted_format
from .queries import Period, Reported
from .rules import Group
from .schemas import EventStatistics, Figures, HostStatistics, Sales, SalesRow, Transaction
from .transactions import A_DAY, DAY, TRANSACTIONS, Asked, asked_for, build_transaction, ensure_in_order, parse_day

operations = Operations("Event Reporting")


@operations("GET /hosts/{host}/statistics", answers=HostStatistics, errors=[HostNotFound, NotHostAdministrator])
async def view_host_statistics(call: Call) -> Reply:
    """View host statistics.

    Over all its events: orders with places that are live, live tickets, what they cost without fees, and how many
    customers they are of.
    """
    async with call.reading() as db:
        host = await host_for(db, call.caller, call.path["host"])
        return Reply(await queries.host_statistics(db, host))


@operations("GET /events/{event}/statistics", answers=EventStatistics, errors=[NotHostAdministrator])
async def view_event_statistics(call: Call) -> Reply:
    """View event statistics.

    Orders with places here that are live, live tickets, and what they cost without fees.
    """
    async with call.reading() as db:
        event = await queries.reported_event(db, call.caller, call.path["event"])
        return Reply(await queries.event_statistics(db, event))


_SALES_COLUMNS = SalesRow.__struct_fields__


@operations(
    "GET /events/{event}/sales",
    answers=Sales,
    errors=[NotHostAdministrator, InvalidValues(about("from", f"must be {A_DAY}"))],
    filters={
        "from": DAY,
        "to": DAY,
        "section": {"type": "string", "pattern": "^[0-9]+$"},
        "group": {"type": "string", "enum": [str(one) for one in Group], "default": str(Group.SECTION)},
        "format": FORMAT,
    },
    other_media_types=FILE_TYPES,
    cost=FILE_COST,
)
async def report_event_sales(call: Call) -> Reply:
    """Report event sales.

    By section, or by the day, week or month in which was ordered, in the event's time zone; `from` and `to` are days
    there, both included. `gross` is all that was ever sold, `refunded` what of it was given back, `net` the rest;
    `orders`, `tickets` and `fees` are of what is live. An order over two sections counts in both rows, and once in the
    totals. As a file (`Accept` or `format`) the totals are the last row.
    """
    async with call.transaction() as db:
        await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        event = await queries.reported_event(db, call.caller, call.path["event"])
        wanted = wanted_format(call)
        group, period, section = await _read_criteria(db, call, event)
        rows, totals = await queries.event_sales(db, event, group, period, section)
    if wanted is not Format.JSON:
        table = Table(f"sales-{event.id}", _SALES_COLUMNS, _sales_rows(group, rows, totals))
        return call.the(Exports).reply(wanted, table, call.asker)
    return Reply(
        Sales(
            uri=f"{event.uri}/sales",
            event=event.uri,
            currency=call.the(Settings).currency,
            since=call.query.get("from", ""),
            until=call.query.get("to", ""),
            group=group,
            rows=rows,
            totals=totals,
        ),
        headers={"Vary": "Accept"},
    )


async def _read_criteria(db: Connection, call: Call, event: Reported) -> tuple[Group, Period, int | None]:
    """What the query asks for. Raises UnknownFilters, InvalidValues."""
    known = call.operation.filters
    if unknown := [name for name in call.query if name not in known]:
        raise UnknownFilters(unknown, known)
    asked = {name: text for name, text in call.query.items() if text}
    period = Period(parse_day(asked.get("from", "")), parse_day(asked.get("to", "")))
    section = ids.parse(asked.get("section", ""))
    days = (("from", period.since), ("to", period.until))
    invalid = {name: f"must be {A_DAY}" for name, day in days if name in asked and not day}
    if period.since and period.until and period.until < period.since:
        invalid["to"] = "lies before `from`"
    if "section" in asked and (section is None or not await queries.has_section(db, event, section)):
        invalid["section"] = "must be the id of a section of this event"
    if asked.get("group", Group.SECTION) not in list(Group):
        invalid["group"] = f"must be one of {', '.join(Group)}"
    if invalid:
        raise InvalidValues(invalid)
    return Group(asked.get("group", Group.SECTION)), period, section


async def _sales_rows(group: Group, rows: list[SalesRow], totals: Figures) -> AsyncGenerator[Batch, None]:
    """The rows of the report as cells, and the totals."""
    is_daily = group is Group.DAY
    keys: list[Cell] = [date.fromisoformat(row.key) if is_daily else row.key for row in rows]
    yield [
        *([key, row.name, *_figures(row)] for key, row in zip(keys, rows, strict=True)),
        ["total", "Total", *_figures(totals)],
    ]


def _figures(row: SalesRow | Figures) -> list[Cell]:
    return [getattr(row, name) for name in Figures.__struct_fields__]


_TRANSACTION_COLUMNS = Transaction.__struct_fields__


@operations(
    "GET /transactions",
    answers=Page[Transaction],
    listing=TRANSACTIONS,
    errors=[Restricted, NotHostAdministrator],
    filters={"format": FORMAT},
    other_media_types=FILE_TYPES,
    tag="Transaction Reports",
    cost=FILE_COST,
)
async def transaction_report(call: Call) -> Reply:
    """Generate transaction report.

    Payments and refunds, the oldest first. With `host` or `event` each with the part of its amount that is for items
    of theirs; those who run a host name it. `from` and `to` are days in UTC, both included. A file (`Accept` or
    `format`) holds all that matches, whatever the page.
    """
    async with call.reading() as db:
        asked = await asked_for(db, call.caller, call.query)
        wanted = wanted_format(call)
        ensure_in_order(call.query)
        if wanted is Format.JSON:
            page = await asked.listing.page(db, call.query, where=asked.where, values=asked.values, ignore=["format"])
            return Reply(page, headers={"Vary": "Accept"})
    return call.the(Exports).reply(
        wanted, Table("transactions", _TRANSACTION_COLUMNS, _transaction_rows(call, asked)), call.asker
    )


async def _transaction_rows(call: Call, asked: Asked) -> AsyncGenerator[Batch, None]:
    """All transactions of the query as cells; orders and customers by their numbers."""
    async with call.transaction() as db:
        listed = asked.listing.rows(db, call.query, where=asked.where, values=asked.values, ignore=["format"])
        async for rows in listed:
            built = [(row["opened_at"], build_transaction(row)) for row in rows]
            yield [
                [
                    one.reference,
                    opened_at,
                    one.type,
                    one.order.removeprefix("/orders/"),
                    one.customer.number,
                    one.amount,
                    one.fees,
                    one.currency,
                    one.status,
                    one.provider,
                ]
                for opened_at, one in built
            ]
