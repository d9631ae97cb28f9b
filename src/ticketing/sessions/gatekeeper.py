"""The door every request passes: the key, the level, the limits, and what was asked before."""

from collections.abc import Awaitable, Callable

from ticketing.kit.database import Database
from ticketing.kit.limits import Minute
from ticketing.kit.vault import Vault
from ticketing.settings import Settings
from ticketing.web.addresses import network
from ticketing.web.callers import ANNOUNCED, Caller
from ticketing.web.errors import Refusal, Restricted, TooManyRequests, Unauthenticated
from ticketing.web.idempotency import Idempotency
from ticketing.web.operations import Call, Reply
from ticketing.web.protocol import Gatekeeper, Headers

from .keys import Keys
from .permissions import MAY_CALL

FLOOD = 10  # so many times the failures of an address, and its unknown keys are not even looked up


class KeyGatekeeper(Gatekeeper):
    """Admits callers by `X-API-Key` and the permission table.

    A key may make so many requests a minute from each address: a public key is every visitor's, and one of them must
    not use it up for the others. Against an address as such only failures count, and only those no valid key answers
    for; they close it to requests without one. So nobody is refused for what another behind his proxy does.
    """

    def __init__(self, settings: Settings, database: Database, vault: Vault, keys: Keys) -> None:
        self._keys = keys
        self._idempotency = Idempotency(database, vault)
        self._is_limited = settings.rate_limits == "on"
        self._traffic = Minute(settings.traffic_per_minute)
        self._failures = Minute(settings.failures_per_minute)

    async def admit(self, call: Call) -> None:
        """Let the caller of the key in, if its level may call the operation.

        Raises Unauthenticated without a key, Restricted for an unknown one or another level, TooManyRequests.
        """
        key = call.headers.get(b"x-api-key", b"").decode("latin-1").strip()
        if not key:
            raise Unauthenticated
        caller = self._keys.remembered(key) or await self._find_caller(call, key)
        call.known_caller = caller
        if self._is_limited and self._traffic.count((caller.key_hash, network(call.address))) < 0:
            raise TooManyRequests(self._traffic.seconds_left(), self._traffic.limit)
        if caller.level not in MAY_CALL[call.operation.id]:
            raise Restricted

    async def _find_caller(self, call: Call, key: str) -> Caller:
        flooded = self._is_limited and self._failures.is_past(network(call.address), FLOOD)
        if flooded and not self._keys.knows(key):
            raise TooManyRequests(self._failures.seconds_left(), self._failures.limit)
        caller = await self._keys.find_caller(key)
        if caller is None:
            raise await self._strangers_refusal(call.operation.id, key)
        return caller

    async def _strangers_refusal(self, operation: str, key: str) -> Refusal:
        """How a key that opens nothing is refused: on /sessions/active clients branch on the status."""
        if operation == "continue_session":
            return Unauthenticated()
        if operation == "end_session" and not await self._keys.has_ended(key):
            return Unauthenticated()
        return Restricted()

    def refuse_stranger(self, address: str, refusal: Refusal) -> Refusal:
        """The refusal, or TooManyRequests when the address has had too many of them."""
        if self._is_limited and self._failures.count(network(address)) < 0:
            return TooManyRequests(self._failures.seconds_left(), self._failures.limit)
        return refusal

    def is_repeatable(self, call: Call) -> bool:
        """Whether the request carries an Idempotency-Key that counts."""
        return self._idempotency.concerns(call)

    async def around(self, call: Call, handle: Callable[[Call], Awaitable[Reply]]) -> Reply:
        """Run the handler, once per Idempotency-Key; the process that ended a key refuses it before it says so."""
        ANNOUNCED.set(False)
        if self.is_repeatable(call):
            reply = await self._idempotency.once(call, lambda: handle(call))
        else:
            reply = await handle(call)
        if ANNOUNCED.get():
            self._keys.forget()
        return reply

    def answer_headers(self, caller: Caller | None, address: str) -> Headers:
        """What is left of the limit that counts: the caller's traffic, or a stranger's failures."""
        if not self._is_limited:
            return []
        if caller is not None:
            limit, remaining = self._traffic, self._traffic.remaining((caller.key_hash, network(address)))
        else:
            limit, remaining = self._failures, self._failures.remaining(network(address))
        return [
            (b"ratelimit-limit", b"%d" % limit.limit),
            (b"ratelimit-remaining", b"%d" % remaining),
            (b"ratelimit-reset", b"%d" % limit.seconds_left()),
        ]
