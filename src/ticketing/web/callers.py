"""Who is calling: resolved from the key by `sessions`, carried by every call."""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from ticketing.kit.database import Connection

KEYS_CHANGED = "keys_changed"
ANNOUNCED: ContextVar[bool] = ContextVar("announced", default=False)  # by the request under way


class Level(StrEnum):
    """What a key may do at all; roles of accounts and access levels of integrations share the names."""

    PUBLIC = "public"
    GATE = "gate"
    CUSTOMER = "customer"
    SUPPORT = "support"
    HOST = "host"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a valid key.

    `account` is the account's id (an integration acts as one of its own); for a gate key it is None, and `event` and
    `token` name what the key opens instead. `session` is set for session keys, `key_hash` for all.
    """

    level: Level
    key_hash: bytes
    account: int | None = None
    number: str = ""
    session: int | None = None
    event: int | None = None
    token: int | None = None

    @property
    def administers(self) -> bool:
        """Whether this caller is the platform's administrator."""
        return self.level is Level.ADMINISTRATOR

    @property
    def reads_people(self) -> bool:
        """Whether this caller may read anybody's account, orders, tickets and transfers."""
        return self.level is Level.ADMINISTRATOR or self.level is Level.SUPPORT

    @property
    def account_id(self) -> int:
        """The account acting; only for operations closed to gate keys."""
        if self.account is None:
            raise RuntimeError("a gate key has no account")
        return self.account


async def announce(db: Connection) -> None:
    """Tell every process, at commit, that keys were revoked or changed their level."""
    ANNOUNCED.set(True)
    await db.execute(f"NOTIFY {KEYS_CHANGED}")
