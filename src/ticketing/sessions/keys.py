"""Which caller a key stands for, remembered per process and forgotten the moment anybody revokes it.

Whoever ends a session, revokes an integration or a gate token, or changes an account's role or activation calls
`announce` in the same transaction; every process hears it at commit. A process that cannot hear asks the database
each time.
"""

from collections import OrderedDict

from ticketing.kit.callers import KEYS_CHANGED, Caller, Level
from ticketing.kit.callers import announce as announce
from ticketing.kit.database import Database
from ticketing.kit.vault import hash_key

REMEMBERED = 50_000

_FIND = """
SELECT account.role AS level, account.id AS account, account.number, session.id AS session,
       NULL::bigint AS event, NULL::bigint AS token
  FROM sessions session JOIN accounts account ON account.id = session.account_id
 WHERE session.key_hash = $1 AND session.ended_at IS NULL AND account.activated AND account.removed_at IS NULL
UNION ALL
SELECT integration.access, account.id, account.number, NULL, NULL, NULL
  FROM integrations integration JOIN accounts account ON account.id = integration.account_id
 WHERE integration.key_hash = $1 AND integration.revoked_at IS NULL
   AND account.activated AND account.removed_at IS NULL
UNION ALL
SELECT 'gate', NULL, '', NULL, token.event_id, token.id
  FROM tokens token JOIN events event ON event.id = token.event_id
 WHERE token.key_hash = $1 AND token.removed_at IS NULL AND event.removed_at IS NULL
"""


class Keys:
    """The callers of the keys that were lately used in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._callers: OrderedDict[str, Caller] = OrderedDict()
        self._hearing = False
        self._generation = 0
        database.listen(KEYS_CHANGED, lambda _payload: self.forget())
        database.on_hearing(self._heed)

    def remembered(self, key: str) -> Caller | None:
        """The caller, if it is known without asking the database."""
        return self._callers.get(key)

    async def find_caller(self, key: str) -> Caller | None:
        """The caller of a valid key; None for one that is unknown, ended or revoked."""
        if caller := self._callers.get(key):
            return caller
        generation = self._generation
        async with self._database.reading() as db:
            row = await db.fetchrow(_FIND, hash_key(key))
        if row is None:
            return None
        caller = Caller(
            level=Level(row["level"]),
            key_hash=hash_key(key),
            account=row["account"],
            number=row["number"],
            session=row["session"],
            event=row["event"],
            token=row["token"],
        )
        # What was revoked while we asked must not be remembered.
        if self._hearing and generation == self._generation:
            self._callers[key] = caller
            if len(self._callers) > REMEMBERED:
                self._callers.popitem(last=False)
        return caller

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
