"""Request bodies: declared once, checked whole, described to OpenAPI from the same declaration.

A form lists its fields, required ones first. `read` reports every missing member, or else every invalid one, in that
order (contract, section 1). Empty means missing: absent, null, "" and [] (and {} where a mapping is asked for).
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import clock, ids, money
from .database import Connection
from .errors import InvalidValues, Missing

Body = Mapping[str, Any]
Find = Callable[[Connection, Any], Awaitable[Any]]
Check = Callable[[dict[str, Any]], Awaitable[Sequence[str]]]


class BadValue(ValueError):
    """A value that is not allowed; the form gathers the names."""


@dataclass(frozen=True)
class Kind:
    """How a value is parsed (raises BadValue) and described (JSON Schema)."""

    parse: Callable[[Any], Any]
    schema: dict[str, Any]
    example: Any = None
    empties: tuple[Any, ...] = (None, "", [])


@dataclass(frozen=True)
class Field:
    """One member of a body.

    `find` turns a parsed reference into the thing it names, or None when there is none (an invalid value).
    `empty` is the value of an optional member that is left out of a POST, or cleared.
    """

    name: str
    kind: Kind
    required: bool = True
    find: Find | None = None
    empty: Any = ""
    description: str = ""

    def is_supplied(self, body: Body) -> bool:
        """Whether the body holds a value that does not count as missing."""
        value = body.get(self.name)
        return not any(value == empty and type(value) is type(empty) for empty in self.kind.empties)


@dataclass(frozen=True)
class Form:
    """The members of a body in the order in which their faults are listed."""

    fields: Sequence[Field]
    by_name: dict[str, Field] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {one.name: one for one in self.fields})

    def require(self, body: Body) -> None:
        """Raise Missing with all required members that the body lacks."""
        missing = [one.name for one in self.fields if one.required and not one.is_supplied(body)]
        if missing:
            raise Missing(missing)

    async def read(
        self, body: Body, db: Connection, *, replacing: bool = False, check: Check | None = None
    ) -> dict[str, Any]:
        """The values by member name, parsed, references looked up.

        A POST gets every member, left-out ones with their `empty`. When `replacing` (PUT), optional members that are
        left out are absent, and cleared ones have their `empty`. `check` is given what is well-formed by itself, and
        names the members that do not fit the others.

        Raises Missing, else InvalidValues, with all names.
        """
        self.require(body)
        values: dict[str, Any] = {}
        invalid: list[str] = []
        for one in self.fields:
            if not one.is_supplied(body):
                if not replacing or one.name in body:
                    values[one.name] = one.empty
                continue
            try:
                values[one.name] = await _read_one(one, body[one.name], db)
            except BadValue:
                invalid.append(one.name)
        if check is not None:
            invalid += await check(values)
        if invalid:
            raise InvalidValues(one.name for one in self.fields if one.name in invalid)
        return values

    def text(self, body: Body, name: str) -> str | None:
        """A member before the check of the whole, for uniqueness: its text, or None when it is no usable one."""
        try:
            value = self.by_name[name].kind.parse(body.get(name))
        except BadValue:
            return None
        return value if isinstance(value, str) else None

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the body."""
        properties = {}
        for one in self.fields:
            properties[one.name] = dict(one.kind.schema)
            if one.description:
                properties[one.name]["description"] = one.description
            if one.kind.example is not None:
                properties[one.name]["examples"] = [one.kind.example]
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        required = [one.name for one in self.fields if one.required]
        if required:
            schema["required"] = required
        return schema

    def example(self) -> dict[str, Any]:
        """A body that shows the required members (and optional ones that have an example)."""
        return {one.name: one.kind.example for one in self.fields if one.kind.example is not None}


async def _read_one(one: Field, value: Any, db: Connection) -> Any:
    parsed = one.kind.parse(value)
    if one.find is None:
        return parsed
    found = await one.find(db, parsed)
    if found is None:
        raise BadValue
    return found


# The kinds


def text(maximum: int = 200, *, pattern: str | None = None, example: str | None = None) -> Kind:
    """Text as sent, up to `maximum` characters, not blank."""
    compiled = re.compile(pattern) if pattern else None

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > maximum or "\x00" in value or not value.strip():
            raise BadValue
        if compiled and not compiled.fullmatch(value):
            raise BadValue
        return value

    schema: dict[str, Any] = {"type": "string", "maxLength": maximum}
    if pattern:
        schema["pattern"] = f"^{pattern}$"
    return Kind(parse, schema, example)


def choice(*allowed: str) -> Kind:
    """One of the given texts."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise BadValue
        return value

    return Kind(parse, {"type": "string", "enum": list(allowed)}, allowed[0])


def checked(check: Callable[[str], bool], schema: dict[str, Any], *, maximum: int = 200, example: Any = None) -> Kind:
    """Text that a predicate accepts."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > maximum or "\x00" in value or not check(value):
            raise BadValue
        return value

    return Kind(parse, {"type": "string", **schema}, example)


def moment() -> Kind:
    """A date and time, echoed as sent; without an offset it is the venue's local time."""
    return checked(clock.is_moment, {"description": "ISO 8601, with or without an offset"}, example="2034-06-07T20:00")


def day() -> Kind:
    """A date, `YYYY-MM-DD`."""
    return checked(clock.is_date, {"format": "date"}, example="1990-02-28")


def boolean() -> Kind:
    """true or false (also as text, as web forms send them)."""

    def parse(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise BadValue

    return Kind(parse, {"type": "boolean"}, True)


_NUMERAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")


def _number(value: Any) -> float | int:
    if isinstance(value, str):
        if not _NUMERAL.fullmatch(value):
            raise BadValue
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue
    # JSON has whole numbers too large for a float; `isfinite` and `float` raise on them.
    if (isinstance(value, int) and abs(value) >= 10**18) or not math.isfinite(value):
        raise BadValue
    return value


def number(minimum: float, maximum: float, *, example: float | None = None) -> Kind:
    """A number within bounds (also as text)."""

    def parse(value: Any) -> float:
        parsed = _number(value)
        if not minimum <= parsed <= maximum:
            raise BadValue
        return float(parsed)

    return Kind(parse, {"type": "number", "minimum": minimum, "maximum": maximum}, example)


def integer(minimum: int, maximum: int, *, example: int | None = None) -> Kind:
    """A whole number within bounds (also as text)."""

    def parse(value: Any) -> int:
        parsed = _number(value)
        if parsed != int(parsed) or not minimum <= parsed <= maximum:
            raise BadValue
        return int(parsed)

    return Kind(parse, {"type": "integer", "minimum": minimum, "maximum": maximum}, example)


def amount(*, example: float = 25.0) -> Kind:
    """An amount of money, zero or more, parsed to cents."""

    def parse(value: Any) -> int:
        cents = money.to_cents(_number(value))
        if cents is None or cents < 0:
            raise BadValue
        return cents

    return Kind(parse, {"type": "number", "minimum": 0, "maximum": money.MAXIMUM_CENTS / 100}, example)


def texts(maximum: int = 100, *, each: int = 100, example: list[str] | None = None) -> Kind:
    """A list of texts, order kept."""
    one = text(each)

    def parse(value: Any) -> list[str]:
        if not isinstance(value, list) or len(value) > maximum:
            raise BadValue
        return [one.parse(item) for item in value]

    return Kind(parse, {"type": "array", "items": dict(one.schema), "maxItems": maximum}, example)


def identifier(example: str = "17325458293736") -> Kind:
    """A bare id (text or number), parsed to the number."""

    def parse(value: Any) -> int:
        known = ids.parse(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
        if known is None:
            raise BadValue
        return known

    return Kind(parse, {"type": "string", "pattern": "^[0-9]+$"}, example)


def uri(collection: str) -> Kind:
    """The URI of a thing, `/collection/ID` (its bare id is understood too), parsed to the id."""

    def parse(value: Any) -> int:
        known = ids.parse_uri(value, collection)
        if known is None and isinstance(value, str | int) and not isinstance(value, bool):
            known = ids.parse(str(value))
        if known is None:
            raise BadValue
        return known

    return Kind(parse, {"type": "string", "format": "uri-reference"}, f"/{collection}/17325458293736")


def anything() -> Kind:
    """Any JSON value; the action decides."""
    return Kind(lambda value: value, {})


def mapping(maximum: int, *, example: dict[str, int] | None = None) -> Kind:
    """An object of whole numbers above zero: {full section URI: quantity}."""
    quantity = integer(1, 1_000_000)

    def parse(value: Any) -> dict[str, int]:
        if not isinstance(value, dict) or len(value) > maximum:
            raise BadValue
        return {key: quantity.parse(count) for key, count in value.items()}

    schema = {"type": "object", "additionalProperties": dict(quantity.schema), "maxProperties": maximum}
    return Kind(parse, schema, example, empties=(None, "", [], {}))
