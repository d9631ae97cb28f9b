"""What a database error means for whoever asked: undone, away, or not known. No other module names the driver's errors.

    UNDONE      the transaction was rolled back; nothing of it stands, and it may run again
    AWAY        the server does not take the statement now (starting, ending, full, a standby); nothing was done
    UNKNOWN     the connection was lost on the way; what was being committed may stand or not

A handler's transaction that is UNDONE by a race runs again by itself (`protocol`). Who writes what must not be lost or
done twice asks the database afterwards (`orders/intake`, `payments/reconciling`).
"""

import asyncpg

# Another transaction was first. Run again, this one finds what the other did: a name that is taken, a row that moved.
LOST_RACE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.UniqueViolationError)

LOCK_TIMEOUT = (asyncpg.LockNotAvailableError,)

UNDONE = (*LOST_RACE, *LOCK_TIMEOUT, asyncpg.QueryCanceledError)

# A statement that was told how long it may take, and a regular expression that is none.
TIMED_OUT = (asyncpg.QueryCanceledError,)
BAD_PATTERN = (asyncpg.InvalidRegularExpressionError,)

FULL = (asyncpg.DiskFullError,)

READ_ONLY = (asyncpg.ReadOnlySQLTransactionError,)

AWAY = (
    *FULL,
    asyncpg.InsufficientResourcesError,  # TooManyConnectionsError among them
    asyncpg.OperatorInterventionError,  # AdminShutdownError, CrashShutdownError, CannotConnectNowError
    *READ_ONLY,
    asyncpg.TargetServerAttributeNotMatched,
    ConnectionRefusedError,
)

UNKNOWN = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver's, when a connection dies between two of its steps
    ConnectionError,
    TimeoutError,
    EOFError,
)

UNREACHABLE = (*AWAY, *UNKNOWN)

# Whatever the database, the driver or the network between may raise, a mistake in our SQL included.
TROUBLE = (asyncpg.PostgresError, *UNKNOWN, OSError)
