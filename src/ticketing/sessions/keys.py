"""Which caller a key stands for, remembered per process and forgotten the moment anybody revokes it.

Whoever ends a session, revokes an integration or a gate token, or changes an account's role or activation calls
`announce` in the same transaction; every process hears it at commit. A process that cannot hear asks the database
each time.

A session also ends by itself. No notification says so: what is remembered is remembered until then at most, and for
RECHECK_SECONDS. When the database is asked again, the session is moved on if it is due - after a twentieth of the
time that it may lie idle - so that using a key writes hardly ever, and no session ends before its time.
"""

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from ticketing.kit.database import Connection, Database, Row
from ticketing.kit.vault import hash_key
from ticketing.settings import Settings
from ticketing.web.callers import KEYS_CHANGED, Caller, Level
from ticketing.web.callers import announce as announce
from ticketing.web.shared_reads import SharedReads

from .queries import ENDS_AT
from .rules import idle_seconds, recheck_seconds

REMEMBERED = 50_000
VISITORS = Caller(Level.PUBLIC, hash_key("visitors"))  # the same whichever secret their key was made from

_FIND = f"""
SELECT account.role AS level, account.id AS account, account.number, session.id AS session,
       NULL::bigint AS event, NULL::bigint AS token,
       CASE WHEN isfinite({ENDS_AT}) THEN extract(epoch FROM {ENDS_AT} - clock())::float8 END AS seconds_left,
       session.idle_until NOT BETWEEN coalesce(clock() + make_interval(secs => $2), 'infinity')
                                  AND coalesce(clock() + make_interval(secs => $3 + 60), 'infinity') AS is_due
  FROM sessions session JOIN accounts account ON account.id = session.account_id
 WHERE session.key_hash = $1 AND session.ended_at IS NULL AND {ENDS_AT} > clock()
   AND account.activated AND account.removed_at IS NULL
UNION ALL
SELECT integration.access, account.id, account.number, NULL, NULL, NULL, NULL, false
  FROM integrations integration JOIN accounts account ON account.id = integration.account_id
 WHERE integration.key_hash = $1 AND integration.revoked_at IS NULL
   AND account.activated AND account.removed_at IS NULL
UNION ALL
SELECT 'gate', NULL, '', NULL, token.event_id, token.id, NULL, false
  FROM tokens token JOIN events event ON event.id = token.event_id
 WHERE token.key_hash = $1 AND token.removed_at IS NULL AND event.removed_at IS NULL
"""

_MOVE_ON = f"""
UPDATE sessions session SET idle_until = coalesce(clock() + make_interval(secs => $2), 'infinity')
 WHERE id = $1 AND ended_at IS NULL AND {ENDS_AT} > clock()"""


class Keys:
    """The callers of the keys that were lately used in this process."""

    def __init__(
        self,
        reads: SharedReads,
        database: Database,
        settings: Settings,
        visitors_keys: Callable[[], Sequence[str]] = list,
    ) -> None:
        self._reads = reads
        self._database = database
        self._idle = idle_seconds(settings.session_idle_minutes)
        self._recheck = recheck_seconds(settings.session_idle_minutes)
        # With which our own pages call for whoever is not signed in: every server makes them from its secrets.
        self._visitors_keys = visitors_keys
        self._callers: OrderedDict[str, tuple[Caller, float]] = OrderedDict()  # with the moment to ask again
        self._hearing = False
        self._generation = 0
        database.listen(KEYS_CHANGED, lambda _payload: self.forget())
        database.on_hearing(self._heed)

    def remembered(self, key: str) -> Caller | None:
        """The caller, if it is known without asking the database."""
        for visitors_key in self._visitors_keys():
            if hmac.compare_digest(key.encode(), visitors_key.encode()):
                return VISITORS
        known = self._callers.get(key)
        return known[0] if known is not None and time.monotonic() < known[1] else None

    def knows(self, key: str) -> bool:
        """Whether the key was valid here lately, though it may be time to ask again."""
        return key in self._callers

    async def find_caller(self, key: str) -> Caller | None:
        """The caller of a valid key; None for one that is unknown, ended or revoked."""
        if caller := self.remembered(key):
            return caller
        # After a revocation everybody's key is asked for anew, and a shop's public key by all its visitors at once.
        return await self._reads.read(("key", key), lambda db: self._read_caller(db, key))

    async def _read_caller(self, db: Connection, key: str) -> Caller | None:
        generation = self._generation
        row = await db.fetchrow(_FIND, hash_key(key), *self._idle)
        if row is not None and row["is_due"]:
            await self._move_on(db, row)
        self._callers.pop(key, None)
        if row is None:
            return None
        caller = _build_caller(row, key)
        # What was revoked while we asked must not be remembered.
        if self._hearing and generation == self._generation:
            left = row["seconds_left"]
            seconds = self._recheck if left is None else min(self._recheck, left)
            self._callers[key] = caller, time.monotonic() + seconds
            if len(self._callers) > REMEMBERED:
                self._callers.popitem(last=False)
        return caller

    async def _move_on(self, db: Connection, row: Row) -> None:
        await db.execute(_MOVE_ON, row["session"], self._idle[1])

    async def has_ended(self, key: str) -> bool:
        """Whether a session once went by this key."""
        async with self._database.reading() as db:
            return bool(await db.fetchval("SELECT true FROM sessions WHERE key_hash = $1", hash_key(key)))

    def _heed(self, hearing: bool) -> None:
        self._hearing = hearing
        self.forget()

    def forget(self) -> None:
        """Ask the database about every key again."""
        self._generation += 1
        self._callers.clear()


def _build_caller(row: Any, key: str) -> Caller:
    return Caller(
        level=Level(row["level"]),
        key_hash=hash_key(key),
        account=row["account"],
        number=row["number"],
        session=row["session"],
        event=row["event"],
        token=row["token"],
    )
