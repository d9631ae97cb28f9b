"""Sessions and integrations on the wire."""

import msgspec

from ticketing.accounts.schemas import Account
from ticketing.web.forms import Field, Form, checked, choice, identifying, text


class Session(msgspec.Struct, rename="camel"):
    """A person at the API; `key` goes into `X-API-Key` until the session ends ("" in another session's answers)."""

    uri: str = msgspec.field(name="self")
    id: str
    open: bool
    started: str
    key: str
    account: Account


class SignIn(msgspec.Struct, rename="camel"):
    """That somebody wants to sign in by a code to an address: `Pending`, `Completed` or `Expired`."""

    uri: str = msgspec.field(name="self")
    email: str
    status: str


class PastSession(msgspec.Struct, rename="camel"):
    """When somebody came and from where; `ended` is "" while the session is open."""

    uri: str = msgspec.field(name="self")
    id: str
    open: bool
    ip: str
    agent: str
    started: str
    ended: str


class Integration(msgspec.Struct, rename="camel"):
    """A program at the API; `key` is shown once, when it is made. It acts as the account with the number `account`."""

    uri: str = msgspec.field(name="self")
    id: str
    name: str
    access: str
    account: str
    key: str | msgspec.UnsetType = msgspec.UNSET


LEVELS = ("public", "customer", "support", "host", "administrator")

CREDENTIALS = Form(
    [
        Field("identification", text(320, example="marvin"), description="username or e-mail address, in any case"),
        # No rule of today's is checked: a password is right or wrong.
        Field(
            "password",
            checked(
                lambda _text: True,
                "the password of the account",
                {"format": "password"},
                maximum=1000,
                example="correct horse battery",
            ),
        ),
    ]
)

INTEGRATION = Form(
    [
        Field("name", identifying(example="Ticket shop")),
        Field("access", choice(*LEVELS), description="what the key may do"),
    ]
)
