"""Lists: one table of filters and sorts each, the contract's envelope, the id as tie-break."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ticketing.kit import ids
from ticketing.kit.database import Connection, Row

from .errors import Invalid, InvalidValues, NotFound, about

T = TypeVar("T")

DEFAULT_RECORDS = 25
MAXIMUM_RECORDS = 500
ROWS_AT_A_TIME = 1000
WIDE_ROWS_AT_A_TIME = 25
MOST_PAGE_BYTES = 8 * 1024 * 1024  # 25 of the largest events, and so never less than the usual page
MOST_EXPLAINED = 10  # unknown filters of one request, one by one


class NoSuchPage(NotFound):
    """Beyond the last page."""

    text = "The specified page does not exist for the given records per page"


class PageBelowOne(NotFound):
    """Pages are counted from 1."""

    text = "Please specify a positive integer page number"


class UnknownFilters(Invalid):
    """The list has no filters of these names; the ones it has are told."""

    def __init__(self, unknown: Sequence[str], known: Iterable[str]) -> None:
        filters = f"no filter of this list: it has {_listed(known)}"
        super().__init__(
            f"The collection does not support the following filters: {', '.join(unknown)}.",
            dict.fromkeys(unknown[:MOST_EXPLAINED], filters),
        )


class UnknownSort(Invalid):
    """The list has no sort of this name; the ones it has are told."""

    def __init__(self, unknown: str, known: Iterable[str]) -> None:
        super().__init__(
            f"The collection cannot be sorted by {unknown}.", about("sort", f"must be one of: {_listed(known)}")
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


@dataclass(frozen=True)
class Filter:
    """A condition with `{}` where the value goes, the parser of its text (None: not allowed), and what it expects.

    Without `sql` the parser tells the condition itself, one of a few. `searches` says that it looks through text, which
    costs the database much.
    """

    sql: str
    parse: Callable[[str], Any]
    expects: str = "text without the character NUL"
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    searches: bool = False


class Always(str):
    """A sort's expression that is never NULL: said plainly, its index gives the order."""

    __slots__ = ()


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, as it goes on the wire."""

    page: int
    records: int
    total: int
    entries: list[T]


@dataclass(frozen=True)
class Listing(Generic[T]):
    """What a list shows and what may filter and sort it.

    `source` is the FROM clause, `columns` what is selected, `id` the column that tells creation order; `build` makes
    an entry of a row. Sorts name an expression; NULLs (unset dates) come first when ascending, unless it is `Always`
    set.

    `key` is a column that no two rows share, with an index: the rows of a page are found by their keys alone, and what
    the page shows is read of those only. Where a list may grow long, it has one: what a late page skips then costs
    the walk along the index.

    `wide` says that entries hold texts and lists of people's own making: a page of more than 25 may be refused then.
    """

    source: str
    columns: str
    id: str
    build: Callable[[Row], T]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    sorts: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    wide: bool = False

    def is_search(self, query: Mapping[str, str]) -> bool:
        """Whether the query asks for something to be looked for in texts."""
        return any(name in self.filters and self.filters[name].searches for name in query)

    async def page(
        self,
        db: Connection,
        query: Mapping[str, str],
        *,
        where: str = "true",
        values: Sequence[Any] = (),
        build: Callable[[Row], T] | None = None,
        ignore: Iterable[str] = (),
    ) -> Page[T]:
        """The page that the query asks for, of the rows in scope (`where`, with `values` as $1...).

        `ignore` names query members that the operation reads itself.

        Raises Invalid for unknown filters, sorts and bad values, and for more than a page may hold; NotFound for pages
        that do not exist.
        """
        wanted = self._wanted({name: text for name, text in query.items() if name not in set(ignore)})
        scope, arguments = self._scope(wanted, where, values)
        total = await db.fetchval(f"SELECT count(*) {scope}", *arguments)
        if wanted.page > max(1, -(-total // wanted.records)):
            raise NoSuchPage
        order = self._order(wanted)
        cut = f"LIMIT {wanted.records} OFFSET {(wanted.page - 1) * wanted.records}"
        if self.key:
            found = f"ARRAY(SELECT {self.key} {scope} ORDER BY {order} {cut})"
            scope, cut = f"FROM {self.source} WHERE ({where}) AND {self.key} = ANY({found})", ""
        statement = f"SELECT {self.columns} {scope} ORDER BY {order} {cut}"
        read = _read_bounded if self.wide and min(total, wanted.records) > DEFAULT_RECORDS else _read
        rows = await read(db, statement, arguments) if total else []
        make = build or self.build
        return Page(wanted.page, wanted.records, total, [make(row) for row in rows])

    async def rows(
        self,
        db: Connection,
        query: Mapping[str, str],
        *,
        where: str = "true",
        values: Sequence[Any] = (),
        ignore: Iterable[str] = (),
    ) -> AsyncIterator[list[Row]]:
        """All rows that the query asks for, a thousand at a time, whatever `page` and `records` say.

        In a transaction: they come through a cursor, of which the database holds no more than it is asked for.

        Raises what `page` raises, but never NoSuchPage.
        """
        wanted = self._wanted({name: text for name, text in query.items() if name not in set(ignore)})
        scope, arguments = self._scope(wanted, where, values)
        # Declared in SQL, for then the database plans for the first rows and walks the index instead of sorting all.
        await db.execute(
            f"DECLARE listed NO SCROLL CURSOR FOR SELECT {self.columns} {scope} ORDER BY {self._order(wanted)}",
            *arguments,
        )
        while rows := await db.fetch(f"FETCH {ROWS_AT_A_TIME} FROM listed"):
            yield rows
        await db.execute("CLOSE listed")

    def _scope(self, wanted: "_Wanted", where: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """Which rows are meant, as SQL from FROM on, and its values."""
        arguments = list(values)
        conditions = [f"({where})"]
        for one, value in wanted.conditions:
            if one.sql:
                arguments.append(value)
            conditions.append(one.sql.replace("{}", f"${len(arguments)}") or value)
        return f"FROM {self.source} WHERE {' AND '.join(conditions)}", arguments

    def _order(self, wanted: "_Wanted") -> str:
        return f"{wanted.sort}, {self.id}" if wanted.sort else f"{self.id}{wanted.direction}"

    def _wanted(self, query: Mapping[str, str]) -> "_Wanted":
        self._ensure_supported(query)
        sort = query.get("sort", "")
        invalid: dict[str, str] = {}
        page = _integer(query.get("page", "") or "1")
        records = _integer(query.get("records", "") or str(DEFAULT_RECORDS))
        if page is None:
            invalid["page"] = "must be a whole number"
        if records is None or not 1 <= records <= MAXIMUM_RECORDS:
            invalid["records"] = f"must be a whole number from 1 to {MAXIMUM_RECORDS}"
        direction = query.get("order", "")
        # A list that can be filtered by an order's number, too: no number is a direction.
        if direction not in ("", "asc", "desc") and "order" not in self.filters:
            invalid["order"] = "must be asc or desc"
        conditions = []
        for name, one in self.filters.items():
            if (text := query.get(name, "")) and not (name == "order" and text in ("asc", "desc")):
                value = None if "\x00" in text else one.parse(text)
                if value is None:
                    invalid[name] = f"must be {one.expects}"
                conditions.append((one, value))
        if invalid or page is None or records is None:
            raise InvalidValues(invalid)
        if page < 1:
            raise PageBelowOne
        by_sort, by_id = _DIRECTIONS[direction == "desc"]
        expression = self.sorts[sort] if sort else ""
        if expression:
            expression += by_id if isinstance(expression, Always) else by_sort
        return _Wanted(page, records, expression, by_id, conditions)

    def _ensure_supported(self, query: Mapping[str, str]) -> None:
        unknown = [name for name in query if name not in self.filters and name not in _OWN]
        if unknown:
            raise UnknownFilters(unknown, self.filters)
        sort = query.get("sort", "")
        if sort and sort not in self.sorts:
            raise UnknownSort(sort, self.sorts)


async def _read(db: Connection, statement: str, arguments: Sequence[Any]) -> Sequence[Row]:
    rows: Sequence[Row] = await db.fetch(statement, *arguments)
    return rows


async def _read_bounded(db: Connection, statement: str, arguments: Sequence[Any]) -> Sequence[Row]:
    """The rows of a page, as long as they are not too much to hold. Raises InvalidValues."""
    rows: list[Row] = []
    size = 0
    async with db.transaction():
        await db.execute(f"DECLARE paged NO SCROLL CURSOR FOR {statement}", *arguments)
        while some := await db.fetch(f"FETCH {WIDE_ROWS_AT_A_TIME} FROM paged"):
            rows += some
            size += sum(_size(value) for row in some for value in row.values())
            if size > MOST_PAGE_BYTES:
                raise InvalidValues({"records": f"a page of more than {MOST_PAGE_BYTES >> 20} MiB: ask for fewer"})
        await db.execute("CLOSE paged")
    return rows


def _size(value: object) -> int:
    """The bytes of a text, three for each letter where not all are ASCII."""
    return (len(value) if value.isascii() else 3 * len(value)) if isinstance(value, str) else 8


@dataclass(frozen=True)
class _Wanted:
    page: int
    records: int
    sort: str
    direction: str
    conditions: list[tuple[Filter, Any]]


# Of a sort, and of the id: an id is never NULL, and said plainly its index gives the order.
_DIRECTIONS = {False: (" ASC NULLS FIRST", ""), True: (" DESC NULLS LAST", " DESC")}

_OWN = ("page", "records", "sort", "order")


def _integer(text: str) -> int | None:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


# The filters most lists use

_BOOLEAN = {"type": "boolean"}


def exact(column: str) -> Filter:
    """The text as it is."""
    return Filter(f"{column} = {{}}", str)


def reference(column: str) -> Filter:
    """A bare id."""
    return Filter(f"{column} = {{}}", ids.parse, "an id: digits alone", {"type": "string", "pattern": "^[0-9]+$"})


def boolean(expression: str) -> Filter:
    """`true` or `false` (1 and 0 too), compared with an expression that is never NULL."""
    values = {"true": True, "false": False, "1": True, "0": False}
    return Filter(f"({expression}) = {{}}", values.get, "true or false", _BOOLEAN)


def condition_of(conditions: Mapping[str, str]) -> Filter:
    """One of a few texts, each standing for a condition of its own, so that each finds its index."""
    return Filter("", conditions.get, _one_of(conditions), {"type": "string", "enum": list(conditions)})


def one_of(expression: str, names: Mapping[str, str]) -> Filter:
    """One of a few texts, each standing for a value of the expression."""
    return Filter(f"{expression} = {{}}", names.get, _one_of(names), {"type": "string", "enum": list(names)})


def _one_of(names: Iterable[str]) -> str:
    return f"one of {', '.join(names)}"
