"""What may be sent about accounts."""

from typing import Any

from ticketing.countries.names import A_COUNTRY, is_country
from ticketing.kit.database import Connection
from ticketing.web.errors import InvalidValues
from ticketing.web.forms import (
    BadValue,
    Body,
    Field,
    Form,
    boolean,
    checked,
    choice,
    day,
    digits,
    elsewhere,
    identifier,
    text,
)

from . import rules

ROLES = ("customer", "support", "host", "administrator")

NOT_ALLOWED = object()  # stands in a body for a value that the rest of the body forbids


async def _find_past_day(db: Connection, text: str) -> str:
    """The day again. Raises BadValue unless it lies behind us."""
    if not await db.fetchval("SELECT $1::text::date < clock()::date", text):
        raise BadValue("must lie in the past")
    return text


async def _find_region(db: Connection, region_id: int) -> int | None:
    found: int | None = await db.fetchval("SELECT id FROM regions WHERE id = $1 AND removed_at IS NULL", region_id)
    return found


_USERNAME = checked(
    rules.is_username,
    f"1 to {rules.USERNAME_LENGTH} visible characters without a space at either end",
    {"minLength": 1, "maxLength": rules.USERNAME_LENGTH},
    example="marvin",
)
_EMAIL = checked(rules.is_email, rules.AN_ADDRESS, {"format": "email"}, maximum=254, example="marvin@example.com")
_PASSWORD = checked(
    rules.is_password,
    "8 to 256 characters",
    {"minLength": 8, "maxLength": 256, "format": "password"},
    maximum=256,
    example="correct horse battery",
)

_DETAILS = [
    Field("firstName", text(), required=False),
    Field("lastName", text(), required=False),
    Field("title", choice("Mr", "Mrs", "Ms", "Mx"), required=False),
    Field("dateOfBirth", day(), required=False, find=_find_past_day, description="a day in the past"),
    Field(
        "phone",
        checked(rules.is_phone, rules.A_PHONE, {"maxLength": rules.PHONE_LENGTH}, example="+1 268 460 1234"),
        required=False,
    ),
    Field(
        "country",
        checked(is_country, A_COUNTRY, {"description": "see /countries"}, example="Antigua and Barbuda"),
        required=False,
    ),
    Field("firstAddressLine", text(), required=False),
    Field("secondAddressLine", text(), required=False),
    Field("city", text(), required=False),
    Field("state", text(), required=False),
]

REGISTRATION = Form([Field("username", _USERNAME), Field("password", _PASSWORD), Field("email", _EMAIL), *_DETAILS])
_CREDENTIALS = Form(REGISTRATION.fields[:2])

PROFILE = Form(
    [
        Field("username", _USERNAME, required=False, description="cannot be cleared"),
        Field("email", _EMAIL, required=False, description="cannot be cleared; a new one is not verified"),
        Field("password", elsewhere("is changed by PUT /accounts/{number}/password"), required=False),
        *_DETAILS,
    ]
)

_ANY_PASSWORD = checked(bool, "a password", {"format": "password"}, maximum=256, example="correct horse battery")
NEW_PASSWORD = Form(
    [
        Field("current", _ANY_PASSWORD, required=False, description="required where the account has a password"),
        Field("password", _PASSWORD),
    ]
)
_REPLACING_PASSWORD = Form([Field("current", _ANY_PASSWORD), *NEW_PASSWORD.fields[1:]])

PREFERENCES = Form([Field("region", identifier(), find=_find_region)])

LOOKUP = Form(
    [
        Field(
            "identification", text(320, example="marvin"), description="a username or an e-mail address, in any case"
        ),
        Field("role", choice(*ROLES), required=False),
    ]
)


_CODE = digits(6, 6, example="204816")
REASON = Form([Field("reason", text(1000, lines=True, example="Asked for it on the telephone"))])
TOGGLE = Form(
    [
        *REASON.fields,
        Field(
            "activated",
            boolean(),
            required=False,
            empty=None,
            description="what is meant: without effect when it is so already; left out, it is switched",
        ),
    ]
)

CODE_REQUEST = Form([Field("email", text(320, example="marvin@example.com"), description="the account's, in any case")])
EMAIL_CODE_REQUEST = Form([Field("email", _EMAIL, description="one's own, whether or not an account has it")])
VERIFICATION = Form([Field("code", _CODE)])
RESET = Form([Field("code", _CODE), Field("password", _PASSWORD)])


async def read_new_password(db: Connection, body: Body, *, has_password: bool) -> dict[str, Any]:
    """`current` ("" where the account has none yet) and `password`.

    Raises Missing; InvalidValues, also for a `current` one where there is none.
    """
    if has_password:
        return await _REPLACING_PASSWORD.read(body, db)
    if NEW_PASSWORD.by_name["current"].is_supplied(body):
        raise InvalidValues({"current": "this account has no password yet: leave it out"})
    return await NEW_PASSWORD.read(body, db)


async def read_registration(db: Connection, body: Body) -> dict[str, Any]:
    """The values of a new account, by member name.

    Raises Missing - for username and password alone, while one of them is missing - or InvalidValues.
    """
    _CREDENTIALS.require(body)
    if rules.is_somebodys_address(str(body["username"]), str(body.get("email"))):
        body = {**body, "username": NOT_ALLOWED}
    return await REGISTRATION.read(body, db)


async def read_profile(db: Connection, body: Body, username: str, email: str) -> dict[str, Any]:
    """What a PUT changes, by member name, of the account that goes by these now.

    Raises Missing for a name or an address that is sent empty, or InvalidValues.
    """
    Form([Field(name, PROFILE.by_name[name].kind) for name in ("username", "email") if name in body]).require(body)
    if rules.is_somebodys_address(str(body.get("username", username)), str(body.get("email", email))):
        body = {**body, "username": NOT_ALLOWED}
    values = await PROFILE.read(body, db, replacing=True)
    values.pop("password", None)  # one that was sent empty
    return values
