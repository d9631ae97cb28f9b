"""What a database error means, for the errors that real databases have answered with."""

import asyncpg
import pytest

from ticketing.kit import database_errors
from ticketing.kit.database_errors import AWAY, LOST_RACE, TROUBLE, UNDONE, UNKNOWN, UNREACHABLE


def test_each_error_has_one_meaning() -> None:
    assert not set(UNDONE) & set(UNREACHABLE)
    assert not set(AWAY) & set(UNKNOWN)
    for kinds in (LOST_RACE, UNDONE, AWAY, UNKNOWN):
        assert all(issubclass(kind, TROUBLE) for kind in kinds)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (asyncpg.DeadlockDetectedError(), UNDONE),
        (asyncpg.LockNotAvailableError(), UNDONE),
        (asyncpg.QueryCanceledError(), UNDONE),
        (asyncpg.TooManyConnectionsError(), AWAY),
        (asyncpg.CannotConnectNowError(), AWAY),
        (asyncpg.AdminShutdownError(), AWAY),
        (asyncpg.CrashShutdownError(), AWAY),
        (asyncpg.DiskFullError(), AWAY),
        (asyncpg.ReadOnlySQLTransactionError(), AWAY),
        (asyncpg.TargetServerAttributeNotMatched("no primary"), AWAY),
        (ConnectionRefusedError(), AWAY),
        (asyncpg.ConnectionDoesNotExistError(), UNKNOWN),
        (asyncpg.InternalClientError("got result for unknown protocol state 0"), UNKNOWN),
        (asyncpg.InterfaceError("connection is closed"), UNKNOWN),
        (ConnectionResetError(), UNKNOWN),
        (TimeoutError(), UNKNOWN),
    ],
)
def test_what_it_means(error: Exception, meaning: tuple[type[Exception], ...]) -> None:
    assert isinstance(error, meaning)


def test_a_mistake_of_ours_is_trouble_but_no_reason_to_try_again() -> None:
    for error in (asyncpg.UndefinedColumnError(), asyncpg.CheckViolationError()):
        assert isinstance(error, TROUBLE)
        assert not isinstance(error, (*UNDONE, *UNREACHABLE))


def test_all_meanings_are_described() -> None:
    for name in ("UNDONE", "AWAY", "UNKNOWN"):
        assert name in (database_errors.__doc__ or "")
