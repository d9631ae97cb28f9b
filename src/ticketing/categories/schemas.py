"""Categories on the wire."""

from dataclasses import replace
from typing import Any

import msgspec

from ticketing.kit.identity import identity
from ticketing.web.forms import BadValue, Field, Form, Kind, identifying, texts


class Category(msgspec.Struct, rename="camel"):
    """What kind of event it is; events belong to a category and one of its subcategories."""

    uri: str = msgspec.field(name="self")
    name: str
    subcategories: list[str]


def _distinct(kind: Kind) -> Kind:
    """A list of texts of which no two are the same name."""

    def parse(value: Any) -> list[str]:
        parsed: list[str] = kind.parse(value)
        if len({identity(one) for one in parsed}) < len(parsed):
            raise BadValue("names one twice, in whatever case")
        return parsed

    return replace(kind, parse=parse, schema={**kind.schema, "uniqueItems": True})


CATEGORY = Form(
    [
        Field("name", identifying(example="Music")),
        Field(
            "subcategories",
            _distinct(texts(100, each=200, example=["Jazz", "Soca"])),
            required=False,
            empty=(),
            description="in the order in which they are shown",
        ),
    ]
)
