"""Reports as files: CSV that is sent while its rows are read, and spreadsheets that are written to disk first.

Neither is ever held whole. A spreadsheet can be sent only when it is finished: it is a zip archive, and what a reader
needs first is written last.
"""

import codecs
import contextlib
import csv
import io
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook

from ticketing.kit import clock
from ticketing.kit.threads import BoundedThreads
from ticketing.kit.turns import Asker, OneLane, Turns
from ticketing.web.operations import Reply
from ticketing.web.streaming import Stream

from .formats import MEDIA_TYPES, Format
from .rules import defused

AT_ONCE, OF_ONE = 3, 2  # of a worker, and of each account and address: a file holds a connection until it is taken
WAITING = 32  # with those under way
WAIT_SECONDS = 9.0  # then whoever waits must come again; clients give up after ten
LONGEST_STEP_SECONDS = 120.0
ROWS_PER_SHEET = 1_048_576  # no spreadsheet has more
PIECE = 64 * 1024

Cell = str | int | float | date  # a float is an amount; a datetime is in UTC
Batch = Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds: its name less the ending, its columns, and its rows as they come."""

    name: str
    columns: Sequence[str]
    rows: AsyncGenerator[Batch, None]


class Exports:
    """The files that this process makes, few at a time."""

    def __init__(self) -> None:
        self._turns = Turns({OneLane.LANE: WAITING}, WAIT_SECONDS, at_once=AT_ONCE, each=OF_ONE, come_again=5)
        self._threads = BoundedThreads("spreadsheets", threads=1, waiting=AT_ONCE, seconds=LONGEST_STEP_SECONDS)

    def close(self) -> None:
        """Let the thread end."""
        self._threads.close()

    def reply(self, wanted: Format, table: Table, asker: Asker) -> Reply:
        """The answer that carries the file; the rows are read when it is sent, and it is the asker's turn."""
        is_csv = wanted is Format.CSV
        return Reply(
            Stream(self._csv(table, asker) if is_csv else self._xlsx(table, asker)),
            headers={
                "Content-Disposition": f'attachment; filename="{table.name}.{wanted}"',
                "Cache-Control": "private, no-store",
                "X-Content-Type-Options": "nosniff",
                "Vary": "Accept",
            },
            content_type=MEDIA_TYPES[wanted] + ("; charset=utf-8" if is_csv else ""),
        )

    async def _csv(self, table: Table, asker: Asker) -> AsyncGenerator[bytes, None]:
        async with self._turns.hold(OneLane.LANE, asker), contextlib.aclosing(table.rows):
            header = codecs.BOM_UTF8 + _csv_lines([table.columns])  # else Excel takes it for another encoding
            async for batch in table.rows:
                yield header + _csv_lines(batch)
                header = b""
            yield header

    async def _xlsx(self, table: Table, asker: Asker) -> AsyncGenerator[bytes, None]:
        with tempfile.TemporaryDirectory(prefix="ticketing-report-") as folder:
            async with self._turns.hold(OneLane.LANE, asker), contextlib.aclosing(table.rows):
                sheets = _Sheets(Path(folder), table.columns)
                async for batch in table.rows:
                    await self._threads.run(partial(sheets.write, batch))
                await self._threads.run(sheets.finish)
            with sheets.path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece


def _csv_lines(batch: Sequence[Sequence[Any]]) -> bytes:
    lines = io.StringIO()
    csv.writer(lines).writerows([_csv_cell(cell) for cell in row] for row in batch)
    return lines.getvalue().encode()


def _csv_cell(cell: Cell) -> str | int:
    match cell:
        case str():
            return defused(cell)
        case float():
            return f"{cell:.2f}"
        case datetime():
            return clock.stamp(cell)
        case date():
            return cell.isoformat()
        case _:
            return cell


class _Sheets:
    """A workbook on disk, row by row; a new sheet begins when one is full."""

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self.path = folder / "report.xlsx"
        self._columns = columns
        self._book = Workbook(self.path, {"constant_memory": True, "tmpdir": str(folder)})
        self._bold = self._book.add_format({"bold": True})
        self._amount = self._book.add_format({"num_format": "#,##0.00"})
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._moment = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._begin_sheet()

    def write(self, batch: Batch) -> None:
        """Add these rows."""
        for row in batch:
            if self._next_row == ROWS_PER_SHEET:
                self._begin_sheet()
            for column, cell in enumerate(row):
                self._write_cell(column, cell)
            self._next_row += 1

    def finish(self) -> None:
        """Write the file."""
        self._book.close()

    def _begin_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, len(self._columns) - 1, 18)
        for column, name in enumerate(self._columns):
            self._sheet.write_string(0, column, name, self._bold)
        self._next_row = 1

    def _write_cell(self, column: int, cell: Cell) -> None:
        match cell:
            case str():
                self._sheet.write_string(self._next_row, column, defused(cell))
            case float():
                self._sheet.write_number(self._next_row, column, cell, self._amount)
            case datetime():
                self._sheet.write_datetime(self._next_row, column, cell.replace(tzinfo=None), self._moment)
            case date():
                self._sheet.write_datetime(self._next_row, column, cell, self._day)
            case _:
                self._sheet.write_number(self._next_row, column, cell)
