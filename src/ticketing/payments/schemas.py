"""Payments and refunds on the wire."""

import re
from dataclasses import replace
from typing import Any

import msgspec

from ticketing.accounts.rules import AN_ADDRESS, is_email
from ticketing.countries.names import A_COUNTRY, is_country
from ticketing.kit.database import Connection
from ticketing.web.errors import InvalidValues
from ticketing.web.forms import BadValue, Body, Field, Form, Kind, checked, digits, text

from . import rules
from .providers import Action, Card, Payer, Token

CARD_MEMBERS = ("number", "cvv", "expiryDate")


class Payment(msgspec.Struct, omit_defaults=True):
    """An attempt to pay; `code` says why it was declined, `action` what the customer has to do first."""

    date: str
    amount: float
    status: str
    code: str = ""
    action: Action | None = None


class Refund(msgspec.Struct, omit_defaults=True):
    """Money given back, or an attempt at it."""

    date: str
    amount: float
    status: str
    code: str = ""


def _card_number() -> Kind:
    """12 to 19 digits; text may have spaces and hyphens between them."""
    plain = digits(12, 19, example="4111111111111111")

    def parse(value: Any) -> str:
        grouped = isinstance(value, str) and len(value) < 40
        return str(plain.parse(value.replace(" ", "").replace("-", "") if grouped else value))

    return replace(plain, parse=parse, schema={**plain.schema, "pattern": "^[0-9 -]{12,39}$"})


def _phone() -> Kind:
    """Any text of 1 to 40 characters; nobody is called, it goes to the bank as it is. Digits may come as a number."""
    written = text(40, example="+1 268 460 1234")

    def parse(value: Any) -> str:
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return str(written.parse(str(value) if is_number else value))

    return replace(written, parse=parse, schema={**written.schema, "type": ["string", "integer"], "minimum": 0})


def _expiry() -> Kind:
    expects = "month and year as MM/YY, such as 12/34"

    def parse(value: Any) -> tuple[int, int]:
        match = re.fullmatch(r"(0[1-9]|1[0-2])/([0-9]{2})", value) if isinstance(value, str) else None
        if match is None:
            raise BadValue(f"must be {expects}")
        return int(match[1]), 2000 + int(match[2])

    return Kind(parse, expects, {"type": "string", "pattern": "^(0[1-9]|1[0-2])/[0-9]{2}$"}, "12/34")


async def _find_valid(db: Connection, month_and_year: tuple[int, int]) -> tuple[int, int]:
    """The month again. Raises BadValue when it is over."""
    if rules.has_expired(*month_and_year, await db.fetchval("SELECT clock()")):
        raise BadValue("the card has expired")
    return month_and_year


_CARD = [
    Field("number", _card_number()),
    Field("cvv", digits(3, 4, fill=3, example="123")),
    Field("expiryDate", _expiry(), find=_find_valid, description="MM/YY"),
]
_TOKEN = Field("token", text(200), description="the payment provider's name for the card")
_PAYER = [
    Field("name", text(example="Marvin Hunte")),
    Field("email", checked(is_email, AN_ADDRESS, {"format": "email"}, maximum=254, example="marvin@example.com")),
    Field("phone", _phone()),
    Field("address1", text(example="1 High Street")),
    Field("city", text(example="Saint John's")),
    Field("district", text(example="Saint John")),
    Field("country", checked(is_country, A_COUNTRY, {"description": "see /countries"}, example="Antigua and Barbuda")),
    Field("address2", text(), required=False),
]


class _PaymentForm(Form):
    """Either a card or a token: what a form by itself cannot say."""

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the body: the card's members, or `token` in their place."""
        schema = super().schema()
        schema["properties"]["token"] = {**_TOKEN.kind.schema, "description": _TOKEN.description}
        schema["required"] = [one.name for one in _PAYER if one.required]
        schema["anyOf"] = [{"required": list(CARD_MEMBERS)}, {"required": ["token"]}]
        return schema


PAYMENT = _PaymentForm([*_CARD, *_PAYER])
_BY_TOKEN = Form([_TOKEN, *_PAYER])


def _no_parts() -> Kind:
    """Nothing yet: whoever names a part of an order must not find that all of it was given back."""
    expects = "left out: an order is given back as a whole"

    def parse(_value: Any) -> None:
        raise BadValue(f"must be {expects}")

    return Kind(parse, expects, {"type": "null"}, empties=(None, "", [], {}))


REFUND = Form(
    [
        Field("reason", text(1000, lines=True, example="The customer fell ill.")),
        *(Field(name, _no_parts(), required=False) for name in ("items", "tickets", "amount")),
    ]
)


async def read_payment(db: Connection, body: Body, *, takes_cards: bool) -> tuple[Card | Token, Payer]:
    """What is to be charged, and whom to ask about it. With a token the card's members are not looked at.

    Raises Missing, InvalidValues; for a card also when the provider takes none.
    """
    has_card = any(field.is_supplied(body) for field in _CARD)
    if _TOKEN.is_supplied(body) or not (takes_cards or has_card):
        values = await _BY_TOKEN.read(body, db)
        return Token(values["token"]), _payer(values)
    if not takes_cards:
        PAYMENT.require({**dict.fromkeys(CARD_MEMBERS, "x"), **_payer_members(body)})
        raise InvalidValues(
            {field.name: "no card is taken here: send `token`" for field in _CARD if field.is_supplied(body)}
        )
    values = await PAYMENT.read(body, db)
    month, year = values["expiryDate"]
    return Card(values["number"], values["cvv"], month, year), _payer(values)


def _payer_members(body: Body) -> dict[str, Any]:
    return {field.name: body.get(field.name) for field in _PAYER}


def _payer(values: dict[str, Any]) -> Payer:
    return Payer(
        name=values["name"],
        email=values["email"],
        phone=values["phone"],
        lines=(values["address1"], values["address2"]),
        city=values["city"],
        district=values["district"],
        country=values["country"],
    )
