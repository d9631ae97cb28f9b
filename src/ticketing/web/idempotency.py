"""`Idempotency-Key`: a POST that is sent again gets the first answer again, for a day.

The key is claimed in a committed row of its own before the work begins, under a lease: the row of a process that died
can be claimed again when the lease is over. The request is compared by HMAC (operation, path, query, body; the
operation's `secret_members` left out), and the stored answer, which may hold personal data, is encrypted: the row
tells nothing without the server's secret. Stored are answers and refusals alike, but not 5xx and 429, after which the
key is free again.

A key belongs to the account (or gate token) that used it, so that it outlives a session. The key of a shop is every
visitor's: there an Idempotency-Key belongs to the address that used it, and nobody meets another's.

Of people, and of visitors at one address, so many answers are kept; who has used them up has no further key until the
oldest are forgotten.

What is left to chance: a process that is killed between the commit of the work and that of its answer leaves a row
that is claimed again after the lease, and the work is then done twice.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog

from ticketing.kit.database import Connection, Database, Row
from ticketing.kit.database_errors import TROUBLE
from ticketing.kit.sealed import Sealed, Values
from ticketing.kit.vault import Vault

from .addresses import network
from .callers import Level
from .errors import Conflict, InvalidValues, Refusal, TooManyRequests, Unprocessable, about
from .operations import Call, Reply
from .protocol import encode_body

HEADER = b"idempotency-key"
LONGEST_KEY = 255
LEASE_SECONDS = 60
KEPT_SECONDS = 24 * 3600
COUNTED_EVERY = 64  # of the keys that somebody takes at a process, his answers are counted
NAMES_REMEMBERED = 10_000
_PURPOSE = "idempotency answer"

log = structlog.get_logger()


class BadKey(InvalidValues):
    """The key is none."""

    def __init__(self) -> None:
        super().__init__(about("Idempotency-Key", f"must be 1 to {LONGEST_KEY} characters of printable ASCII"))


class StillProcessed(Conflict):
    """The first request of the key has not been answered yet."""

    text = "A request with this idempotency key is still being processed."
    details = about("Idempotency-Key", "ask again in a moment; the answer of the first request will be repeated")


class OtherRequest(Unprocessable):
    """The key was used with another operation, path, query or body."""

    text = "This idempotency key was already used for another request."
    details = about("Idempotency-Key", "take a new one for each new request")


class Stored(msgspec.Struct):
    """An answer as it is kept, before encryption."""

    body: str
    content_type: str
    headers: dict[str, str]


class Idempotency:
    """The keys of POSTs and the answers they got."""

    def __init__(self, database: Database, vault: Vault, most_kept: int) -> None:
        self._database = database
        self._vault = vault
        self._most_kept = most_kept
        self._taken: OrderedDict[bytes, int] = OrderedDict()  # keys, by bearer, since his answers were counted

    @staticmethod
    def concerns(call: Call) -> bool:
        """Whether the request carries a key that counts; answers with an API key in them are never stored."""
        return call.operation.method == "POST" and not call.operation.carries_key and HEADER in call.headers

    async def once(self, call: Call, work: Callable[[], Awaitable[Reply]]) -> Reply:
        """The answer of the work, or the one it gave before.

        Raises BadKey for a key that is none, StillProcessed, OtherRequest, TooManyRequests, and what the work raises.
        """
        claim = _Claim(self._database, self._vault, call)
        if self._most_kept and (call.caller.session is not None or call.caller.level is Level.PUBLIC):
            await self._ensure_room(claim)
        if stored := await claim.take():
            return stored
        try:
            reply = await work()
        except Refusal as refusal:
            await claim.settle(Reply(refusal.body(), refusal.status, refusal.headers))
            raise
        except Exception:
            await claim.release()
            raise
        await claim.settle(reply)
        return reply

    async def _ensure_room(self, claim: "_Claim") -> None:
        """Look now and then how many answers the bearer has kept already. Raises TooManyRequests."""
        taken = self._taken.get(claim.bearer, 0) + 1
        if taken >= COUNTED_EVERY and await claim.ensure_room(self._most_kept):
            taken = 0  # while there is none, each of his keys is looked at
        self._taken[claim.bearer] = taken
        self._taken.move_to_end(claim.bearer)
        if len(self._taken) > NAMES_REMEMBERED:
            self._taken.popitem(last=False)


async def forget_answers(db: Connection, account_id: int) -> None:
    """Forget what an account asked, and what it was answered."""
    await db.execute("DELETE FROM idempotency_keys WHERE caller = $1", _account(account_id))


class _Claim:
    """One request's hold on its key; the end of its lease tells it from a later holder's."""

    def __init__(self, database: Database, vault: Vault, call: Call) -> None:
        self._database = database
        self._vault = vault
        self._operation = call.operation.id
        self._name = (_bearer(call), _key(call))
        self._requests = vault.digests("idempotency request", _request(call))
        self._lease: datetime | None = None

    @property
    def bearer(self) -> bytes:
        """To whom the key belongs."""
        return self._name[0]

    async def ensure_room(self, most: int) -> bool:
        """Whether the bearer has kept fewer answers. Raises TooManyRequests for a new key where he has not."""
        async with self._database.reading() as db:
            kept = await db.fetchrow(_ROOM, *self._name, most)
        if kept is None:
            return True
        if not kept["is_known"]:
            raise TooManyRequests(kept["seconds"], most)
        return False

    async def take(self) -> Reply | None:
        """None when the work is ours to do, else the stored answer. Raises StillProcessed, OtherRequest."""
        async with self._database.reading() as db:
            while True:
                self._lease = await db.fetchval(
                    _CLAIM, *self._name, self._operation, self._requests, LEASE_SECONDS, KEPT_SECONDS
                )
                if self._lease is not None:
                    return None
                row = await db.fetchrow(_FIND, *self._name)
                if row is not None:
                    return self._answered(row)
                # Released between the two statements: the next claim finds the key free.

    def _answered(self, row: Row) -> Reply:
        if row["request_hmac"] not in self._requests:
            raise OtherRequest
        if row["status"] is None:
            raise StillProcessed
        if row["body"] is None:  # given up with a lost secret
            raise OtherRequest
        stored = msgspec.json.decode(self._vault.decrypt(_PURPOSE, row["body"]), type=Stored)
        headers = stored.headers | {"Idempotency-Replayed": "true"}
        return Reply(stored.body.encode(), row["status"], headers, stored.content_type)

    async def settle(self, reply: Reply) -> None:
        """Keep the answer, unless it says that nothing was done."""
        if reply.status >= 500 or reply.status == 429:
            await self.release()
            return
        stored = Stored(encode_body(reply).decode(), reply.content_type, dict(reply.headers))
        sealed = self._vault.encrypt(_PURPOSE, msgspec.json.encode(stored).decode())
        await self._execute(_SETTLE, reply.status, sealed)

    async def release(self) -> None:
        """Let the key be used again."""
        await self._execute(_RELEASE)

    async def _execute(self, statement: str, *values: Any) -> None:
        try:
            async with self._database.reading() as db:
                await db.execute(statement, *self._name, self._lease, *values)
        except TROUBLE as error:
            # The work is done and its answer goes out; the lease will end by itself.
            log.warning("idempotency.unsettled", reason=type(error).__name__)


def _bearer(call: Call) -> bytes:
    caller = call.caller
    if caller.level is Level.PUBLIC:
        return f"key {caller.key_hash.hex()} at {network(call.address)}".encode()
    return f"token {caller.token}".encode() if caller.account is None else _account(caller.account)


def _account(account_id: int) -> bytes:
    return f"account {account_id}".encode()


def _key(call: Call) -> str:
    key = call.header("idempotency-key")
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise BadKey
    return key


def _request(call: Call) -> bytes:
    """What must be the same in a repetition."""
    body = call.body
    try:
        value = msgspec.json.decode(body)
        if isinstance(value, dict):
            for name in call.operation.secret_members:
                value.pop(name, None)
        body = msgspec.json.encode(value, order="sorted")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # malformed: compared as it came
    path = call.scope["path"].encode("utf-8", "surrogateescape")
    return b"\0".join((call.operation.id.encode(), path, call.scope["query_string"], body))


_CLAIM = """
INSERT INTO idempotency_keys AS held (caller, key, operation, request_hmac, lease_until, expires_at)
VALUES ($1, $2, $3, ($4::bytea[])[1], clock() + make_interval(secs => $5::int),
        clock() + make_interval(secs => $6::int))
ON CONFLICT (caller, key) DO UPDATE
   SET operation = excluded.operation, request_hmac = excluded.request_hmac, lease_until = excluded.lease_until,
       expires_at = excluded.expires_at, status = NULL, body = NULL
 WHERE held.expires_at <= clock()
    OR held.status IS NULL AND held.lease_until <= clock() AND held.request_hmac = ANY($4::bytea[])
RETURNING lease_until
"""
# Where there is no room: until the oldest is forgotten, and whether the key is one of those kept.
_ROOM = """
SELECT greatest(1, ceil(extract(epoch FROM min(expires_at) - clock())))::int AS seconds,
       bool_or(key = $2) AS is_known
  FROM idempotency_keys WHERE caller = $1 HAVING count(*) >= $3"""
_FIND = "SELECT request_hmac, status, body FROM idempotency_keys WHERE caller = $1 AND key = $2"
_OURS = "caller = $1 AND key = $2 AND lease_until = $3 AND status IS NULL"
_SETTLE = f"UPDATE idempotency_keys SET status = $4, body = $5 WHERE {_OURS}"
_RELEASE = f"DELETE FROM idempotency_keys WHERE {_OURS}"


def _seal_anew(vault: Vault, answer: Row) -> Values | None:
    sealed = vault.encrypt_anew(_PURPOSE, answer["body"])
    return sealed and (sealed,)


async def _lose(db: Connection, _vault: Vault, answers: Sequence[Row]) -> None:
    await db.execute(
        "UPDATE idempotency_keys answer SET body = NULL FROM unnest($1::bytea[], $2::text[]) AS lost (caller, key)"
        " WHERE answer.caller = lost.caller AND answer.key = lost.key",
        [answer["caller"] for answer in answers],
        [answer["key"] for answer in answers],
    )


SEALED = Sealed(
    name="stored answers",
    table="idempotency_keys",
    key={"caller": "bytea", "key": "text"},
    columns={"body": "bytea"},
    live="body IS NOT NULL AND expires_at > clock()",
    thing="format('stored answer of %s, until %s', operation, to_char(expires_at, 'YYYY-MM-DD HH24:MI'))",
    loss="are forgotten: a request that is repeated under its Idempotency-Key is refused, and done no second time",
    anew=_seal_anew,
    lose=_lose,
)
