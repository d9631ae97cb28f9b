"""What stands sealed in the database, as those see it who change the server's secret or look whether it opens all."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .database import Connection, Row
from .vault import Vault

Values = Sequence[Any]


@dataclass(frozen=True)
class Sealed:
    """One kind of sealed thing, declared beside what seals and opens it.

    `key` and `columns` are names and their types in SQL: what a row is known by, in the order of an index over the
    rows that are `live`, and what is written when it is sealed anew. `beside` are further columns that are read.
    `thing` is the SQL that names one to a person.

    `anew(vault, row)` are the values of `columns`, sealed with the secret that seals now, or None where they are
    already; it raises cryptography's InvalidTag when none of the secrets opens the row. `lose(db, vault, rows)` gives
    locked rows up that nothing opens any more, and leaves the rest as good as it can be; `loss` says what that means.
    """

    name: str
    table: str
    key: Mapping[str, str]
    columns: Mapping[str, str]
    live: str
    thing: str
    loss: str
    anew: Callable[[Vault, Row], Values | None]
    lose: Callable[[Connection, Vault, Sequence[Row]], Awaitable[None]]
    beside: Sequence[str] = ()
