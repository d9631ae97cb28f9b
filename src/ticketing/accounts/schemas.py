"""Accounts on the wire."""

import msgspec


class Account(msgspec.Struct, rename="camel"):
    """Who somebody is, with which role, and how to reach them. What is not set is ""."""

    uri: str = msgspec.field(name="self")
    number: str
    username: str
    email: str
    role: str
    verified: bool
    activated: bool
    first_name: str
    last_name: str
    title: str
    date_of_birth: str
    phone: str
    country: str
    first_address_line: str
    second_address_line: str
    city: str
    state: str
    preferences: str


class ShortAccount(msgspec.Struct, rename="camel"):
    """An account where another thing mentions it: a ticket's owner, an order's customer."""

    uri: str = msgspec.field(name="self")
    number: str
    username: str
    email: str
    first_name: str
    last_name: str


class Preferences(msgspec.Struct, rename="camel"):
    """What a person likes to see first; `region` is a bare id."""

    region: str | None


class Password(msgspec.Struct, rename="camel"):
    """Whether an account has a password, which nobody is told; who registered by a code has none until he sets one."""

    uri: str = msgspec.field(name="self")
    is_set: bool = msgspec.field(name="set")


class Lookup(msgspec.Struct, rename="camel"):
    """Whether somebody goes by a name or an address; `number` and `verified` are for callers who are people."""

    identification: str
    role: str
    found: bool
    number: str | msgspec.UnsetType = msgspec.UNSET
    verified: bool | msgspec.UnsetType = msgspec.UNSET


class Verification(msgspec.Struct, rename="camel", omit_defaults=True):
    """That somebody wants to show that an address is his: `Pending`, `Completed` or `Expired`.

    `message` says what a right code has done.
    """

    uri: str = msgspec.field(name="self")
    email: str
    status: str
    message: str = ""


class Reset(msgspec.Struct, rename="camel", omit_defaults=True):
    """That somebody wants a new password: `Pending`, `Completed` or `Expired`.

    `message` says what a right code has done.
    """

    uri: str = msgspec.field(name="self")
    email: str
    status: str
    message: str = ""
