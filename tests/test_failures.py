"""Guesses at secrets: bounded, counted by all workers, and no weapon against the owner."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import pytest

from ticketing.guesses import counting as failures
from ticketing.kit.database import Database
from ticketing.kit.vault import Vault
from ticketing.sessions.jobs import forget_failures
from ticketing.settings import Settings
from ticketing.web.addresses import network
from ticketing.web.callers import Caller, Level
from ticketing.web.errors import TooManyRequests
from ticketing.web.operations import Services


@dataclass
class Knock:
    """As much of a call as is looked at here."""

    services: Services
    address: str = "192.0.2.1"
    caller: Caller = field(default_factory=lambda: Caller(Level.PUBLIC, b"", account=7))

    def the(self, kind: type) -> Any:
        return self.services.the(kind)

    def reading(self) -> Any:
        return self.services.the(Database).reading()


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return replace(settings, rate_limits="on", wrong_passwords=3, wrong_codes=4)


@pytest.fixture(scope="module")
async def services(settings: Settings, database: str) -> AsyncIterator[Services]:
    opened = Database(database)
    await opened.open()
    yield Services(settings, opened, Vault(settings.secret))
    await opened.close()


async def tries(knock: Any, account: int | None, times: int, known: bool = False) -> int:
    """How many wrong passwords were let through."""
    passed = 0
    for _ in range(times):
        with contextlib.suppress(TooManyRequests):
            await failures.claim_try(knock, failures.password_bounds(knock, account=account, known=known))
            passed += 1
    return passed


async def test_one_address_gets_so_many_tries_at_an_account(services: Services) -> None:
    assert await tries(Knock(services), 1, 5) == 3
    assert await tries(Knock(services, "192.0.2.2"), 1, 1) == 1
    assert await tries(Knock(services), 2, 1) == 1


async def test_a_thousand_at_once_pass_no_bound(services: Services) -> None:
    knock = Knock(services, "192.0.2.3")
    assert sum(await asyncio.gather(*(tries(knock, 3, 1) for _ in range(60)))) == 3


async def test_one_address_alone_cannot_shut_an_account(services: Services) -> None:
    await tries(Knock(services, "192.0.2.4"), 4, 200)
    assert await tries(Knock(services, "192.0.2.5"), 4, 1) == 1


async def test_a_botnet_is_bounded_and_the_owner_is_let_in_from_where_he_is_known(services: Services) -> None:
    passed = sum([await tries(Knock(services, f"198.51.100.{n}"), 5, 3) for n in range(20)])
    assert passed == 30
    owner = Knock(services, "203.0.113.7")
    assert await tries(owner, 5, 1) == 0
    assert await tries(owner, 5, 1, known=True) == 1


async def test_one_address_gets_so_many_tries_at_all_accounts(services: Services) -> None:
    sprayer = Knock(services, "192.0.2.6")
    assert sum([await tries(sprayer, 1000 + n, 1) for n in range(80)]) == 60
    assert await tries(sprayer, None, 1) == 0


async def test_a_right_password_makes_up_for_wrong_ones(services: Services, db: asyncpg.Connection) -> None:
    knock: Any = Knock(services, "192.0.2.8")
    await tries(knock, 8, 2)
    bounds = failures.password_bounds(knock, account=8)
    await failures.claim_try(knock, bounds)
    await failures.forget(knock, bounds)
    assert await tries(knock, 8, 5) == 3


async def test_a_right_code_does_not_make_up_for_guesses(services: Services) -> None:
    """Else whoever knows one code could guess at others for ever."""
    knock: Any = Knock(services, "192.0.2.9")
    bounds = failures.code_bounds(knock)
    for _ in range(20):
        await failures.claim_try(knock, bounds)
        await failures.forget(knock, bounds)
    for _ in range(4):
        await failures.claim_try(knock, bounds)
    with pytest.raises(TooManyRequests) as refused:
        await failures.claim_try(knock, bounds)
    assert failures.WINDOW_SECONDS - 10 < int(refused.value.headers["Retry-After"]) <= failures.WINDOW_SECONDS


async def test_the_window_closes(services: Services, db: asyncpg.Connection) -> None:
    knock = Knock(services, "192.0.2.10")
    await tries(knock, 10, 3)
    await db.execute("UPDATE failures SET until = clock()")
    assert await tries(knock, 10, 5) == 3
    await db.execute("UPDATE failures SET until = clock()")
    await forget_failures.run(services)
    assert await db.fetchval("SELECT count(*) FROM failures") == 0


async def test_the_table_names_nobody(services: Services, db: asyncpg.Connection) -> None:
    await tries(Knock(services, "192.0.2.11"), 4242, 1)
    targets = [row["target"] for row in await db.fetch("SELECT target FROM failures")]
    assert targets
    assert all(len(bytes.fromhex(target)) == 32 for target in targets)


async def test_off_is_off(services: Services) -> None:
    off = Services(replace(services.the(Settings), rate_limits="off"), services.the(Database), services.the(Vault))
    assert await tries(Knock(off), 1, 50) == 50


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_the_address_that_counts(address: str, expected: str) -> None:
    assert network(address) == expected
