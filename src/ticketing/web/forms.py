"""Request bodies: declared once, checked whole, described to OpenAPI from the same declaration.

A form lists its fields, required ones first. `read` reports every missing member, or else every invalid one, in that
order (contract, section 1). Empty means missing: absent, null, "" and [] (and {} where a mapping is asked for).
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ticketing.kit import clock, ids, money
from ticketing.kit.database import Connection
from ticketing.kit.identity import has_controls, is_drawn_to_its_ends, is_known, is_visible

from .errors import InvalidValues, Missing

Body = Mapping[str, Any]
Find = Callable[[Connection, Any], Awaitable[Any]]
Check = Callable[[dict[str, Any]], Awaitable[Mapping[str, str]]]


class BadValue(ValueError):
    """A value that is not allowed, and why, in words for people; the form gathers them by name."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


@dataclass(frozen=True)
class Kind:
    """How a value is parsed (raises BadValue), what is expected in words, and as a JSON Schema."""

    parse: Callable[[Any], Any]
    expects: str
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
        missing = [one for one in self.fields if one.required and not one.is_supplied(body)]
        if missing:
            raise Missing({one.name: f"required: {one.kind.expects}" for one in missing})

    async def read(
        self, body: Body, db: Connection, *, replacing: bool = False, check: Check | None = None
    ) -> dict[str, Any]:
        """The values by member name, parsed, references looked up.

        A POST gets every member, left-out ones with their `empty`. When `replacing` (PUT), optional members that are
        left out are absent, and cleared ones have their `empty`. `check` is given what is well-formed by itself, and
        says of which members, by name, why they do not fit the others.

        Raises Missing, else InvalidValues, with all names.
        """
        self.require(body)
        values: dict[str, Any] = {}
        invalid: dict[str, str] = {}
        for one in self.fields:
            if not one.is_supplied(body):
                if not replacing or one.name in body:
                    values[one.name] = one.empty
                continue
            try:
                values[one.name] = await _read_one(one, body[one.name], db)
            except BadValue as bad:
                invalid[one.name] = bad.sentence
        if check is not None:
            invalid |= await check(values)
        if invalid:
            raise InvalidValues({one.name: invalid[one.name] for one in self.fields if one.name in invalid})
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
        raise BadValue("names nothing that exists")
    return found


# The kinds


def _ensure(good: bool, expects: str) -> None:
    if not good:
        raise BadValue(f"must be {expects}")


def _ensure_text(value: Any, maximum: int) -> str:
    """The text again, up to `maximum` characters. Raises BadValue."""
    if not isinstance(value, str):
        raise BadValue("must be text")
    if len(value) > maximum:
        raise BadValue(f"longer than {maximum} characters")
    if "\x00" in value:
        raise BadValue("must not contain the character NUL")
    return value


def text(
    maximum: int = 200,
    *,
    pattern: str | None = None,
    expects: str = "",
    example: str | None = None,
    lines: bool = False,
) -> Kind:
    """Text as sent, up to `maximum` characters, with something to be seen; one line, unless it may have `lines`.

    `expects` says in words what the pattern asks for.
    """
    compiled = re.compile(pattern) if pattern else None
    expects = expects or f"text of 1 to {maximum} characters"

    def parse(value: Any) -> str:
        _ensure(is_visible(_ensure_text(value, maximum)), expects)
        if has_controls(value, lines=lines):
            raise BadValue("must not contain control characters" + ("" if lines else " or line breaks"))
        _ensure(compiled is None or bool(compiled.fullmatch(value)), expects)
        return str(value)

    schema: dict[str, Any] = {"type": "string", "maxLength": maximum}
    if pattern:
        schema["pattern"] = f"^{pattern}$"
    return Kind(parse, expects, schema, example)


def identifying(maximum: int = 200, *, example: str) -> Kind:
    """What identifies a thing, and is unique by its key (`identity`): a text that can be seen from end to end."""
    plain = text(maximum, example=example)

    def parse(value: Any) -> str:
        plain.parse(value)
        if not is_drawn_to_its_ends(value):
            raise BadValue("must neither begin nor end with something invisible")
        if not is_known(value):
            raise BadValue("has characters that no alphabet defines")
        return str(value)

    return replace(plain, parse=parse)


def choice(*allowed: str) -> Kind:
    """One of the given texts."""
    expects = f"one of {', '.join(allowed)}"

    def parse(value: Any) -> str:
        _ensure(isinstance(value, str) and value in allowed, expects)
        return str(value)

    return Kind(parse, expects, {"type": "string", "enum": list(allowed)}, allowed[0])


def checked(
    check: Callable[[str], bool], expects: str, schema: dict[str, Any], *, maximum: int = 200, example: Any = None
) -> Kind:
    """Text that a predicate accepts; `expects` says in words what that is."""

    def parse(value: Any) -> str:
        _ensure(check(_ensure_text(value, maximum)), expects)
        return str(value)

    return Kind(parse, expects, {"type": "string", **schema}, example)


def moment() -> Kind:
    """A date and time, echoed as sent; without an offset it is the venue's local time."""
    described = {"description": "ISO 8601, with or without an offset"}
    return checked(clock.is_moment, "a date and time, such as 2034-06-07T20:00", described, example="2034-06-07T20:00")


def day() -> Kind:
    """A date, `YYYY-MM-DD`."""
    return checked(clock.is_date, "a day, such as 1990-02-28", {"format": "date"}, example="1990-02-28")


def elsewhere(where: str) -> Kind:
    """A member that is not taken here, whatever its value; `where` says what is to be done instead."""

    def parse(_value: Any) -> Any:
        raise BadValue(where)

    return Kind(parse, where, {"not": {}})


def boolean() -> Kind:
    """true or false (also as text, as web forms send them)."""

    def parse(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        _ensure(value in ("true", "false"), "true or false")
        return bool(value == "true")

    return Kind(parse, "true or false", {"type": "boolean"}, True)


EXACT_IN_JSON = 2**53  # above it, clients that read numbers as doubles change them

_NUMERAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")


def _number(value: Any, expects: str) -> float | int:
    if isinstance(value, str):
        _ensure(bool(_NUMERAL.fullmatch(value)), expects)
        value = float(value) if "." in value else int(value)
    _ensure(isinstance(value, int | float) and not isinstance(value, bool), expects)
    # JSON has whole numbers too large for a float; `isfinite` and `float` raise on them.
    _ensure(abs(value) < 10**18 if isinstance(value, int) else math.isfinite(value), expects)
    number: float | int = value
    return number


def number(minimum: float, maximum: float, *, example: float | None = None) -> Kind:
    """A number within bounds (also as text)."""
    expects = f"a number from {minimum:g} to {maximum:g}"

    def parse(value: Any) -> float:
        parsed = _number(value, expects)
        _ensure(minimum <= parsed <= maximum, expects)
        return float(parsed)

    return Kind(parse, expects, {"type": "number", "minimum": minimum, "maximum": maximum}, example)


def integer(minimum: int, maximum: int, *, example: int | None = None) -> Kind:
    """A whole number within bounds (also as text)."""
    expects = f"a whole number from {minimum} to {maximum}"

    def parse(value: Any) -> int:
        parsed = _number(value, expects)
        _ensure(parsed == int(parsed) and minimum <= parsed <= maximum, expects)
        return int(parsed)

    return Kind(parse, expects, {"type": "integer", "minimum": minimum, "maximum": maximum}, example)


def digits(shortest: int, longest: int, *, fill: int = 0, example: str | None = None) -> Kind:
    """So many digits, as text or as a whole number; parsed to text.

    A number has lost the zeros it began with: it is filled up to `fill` digits again. One above 2^53 may have lost
    more on its way through a client, and is asked for as text.
    """
    length = str(longest) if shortest == longest else f"{shortest} to {longest}"
    expects = f"{length} digits, as text or as a number"

    def parse(value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            if value > EXACT_IN_JSON:
                raise BadValue("too long for a number: send it as text")
            value = str(value).zfill(fill)
        is_right = isinstance(value, str) and value.isascii() and value.isdigit() and shortest <= len(value) <= longest
        _ensure(is_right, expects)
        return str(value)

    pattern = f"^[0-9]{{{shortest},{longest}}}$"
    return Kind(parse, expects, {"type": ["string", "integer"], "pattern": pattern, "minimum": 0}, example)


def amount(*, example: float = 25.0) -> Kind:
    """An amount of money, zero or more, parsed to cents."""
    expects = f"an amount of money from 0 to {money.MAXIMUM_CENTS / 100:.2f}"

    def parse(value: Any) -> int:
        cents = money.to_cents(_number(value, expects))
        if cents is None or cents < 0:
            raise BadValue(f"must be {expects}")
        return cents

    schema = {"type": "number", "minimum": 0, "maximum": money.MAXIMUM_CENTS / 100}
    return Kind(parse, expects, schema, example)


def texts(maximum: int = 100, *, each: int = 100, example: list[str] | None = None) -> Kind:
    """A list of texts, order kept."""
    one = text(each)
    expects = f"a list of up to {maximum} texts of 1 to {each} characters"

    def parse(value: Any) -> list[str]:
        _ensure(isinstance(value, list), expects)
        if len(value) > maximum:
            raise BadValue(f"at most {maximum} in one list")
        return [one.parse(item) for item in value]

    return Kind(parse, expects, {"type": "array", "items": dict(one.schema), "maxItems": maximum}, example)


def identifier(example: str = "17325458293736") -> Kind:
    """A bare id (text or number), parsed to the number."""
    expects = f"an id, such as {example}"

    def parse(value: Any) -> int:
        known = ids.parse(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
        if known is None:
            raise BadValue(f"must be {expects}")
        return known

    return Kind(parse, expects, {"type": "string", "pattern": "^[0-9]+$"}, example)


def uri(collection: str) -> Kind:
    """The URI of a thing, `/collection/ID` (its bare id is understood too), parsed to the id."""
    example = f"/{collection}/17325458293736"
    expects = f"a URI, such as {example}"

    def parse(value: Any) -> int:
        known = ids.parse_uri(value, collection)
        if known is None and isinstance(value, str | int) and not isinstance(value, bool):
            known = ids.parse(str(value))
        if known is None:
            raise BadValue(f"must be {expects}")
        return known

    return Kind(parse, expects, {"type": "string", "format": "uri-reference"}, example)


def anything(expects: str, schema: dict[str, Any]) -> Kind:
    """Any JSON value; the action decides."""
    return Kind(lambda value: value, expects, schema)


def mapping(maximum: int, expects: str, *, example: dict[str, int] | None = None) -> Kind:
    """An object of whole numbers above zero: {full section URI: quantity}."""
    quantity = integer(1, 1_000_000)

    def parse(value: Any) -> dict[str, int]:
        _ensure(isinstance(value, dict), expects)
        if len(value) > maximum:
            raise BadValue(f"at most {maximum} in one request")
        return {key: quantity.parse(count) for key, count in value.items()}

    schema = {"type": "object", "additionalProperties": dict(quantity.schema), "maxProperties": maximum}
    return Kind(parse, expects, schema, example, empties=(None, "", [], {}))
