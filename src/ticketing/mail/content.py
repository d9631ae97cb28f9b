"""What composers are given, and what they give: facts for a template, by plain names."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ticketing.kit.database import Connection
from ticketing.settings import Settings


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a letter is for."""

    id: int
    number: str
    email: str
    username: str
    first_name: str


@dataclass(frozen=True, slots=True)
class Desk:
    """All that a composer needs: the database, the recipient, what the letter is about, what was sealed in it."""

    db: Connection
    person: Person
    about: Mapping[str, Any]
    secrets: Mapping[str, str]
    posted_at: datetime
    settings: Settings


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along."""

    name: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """The facts of a letter, as its templates name them.

    The tickets of the order `tickets_of`, or the recipient's to the event `tickets_to`, are attached; whether there
    were any is the fact `attached`.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    tickets_of: int | None = None
    tickets_to: int | None = None


# The content of a letter; None when what it was to tell is no longer so.
Compose = Callable[[Desk], Awaitable[Content | None]]
