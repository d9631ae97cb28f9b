"""The door every request passes: the key, the level, the limits, and what was asked before."""

from collections.abc import Awaitable, Callable, Hashable

from ticketing.kit.database import Database
from ticketing.kit.limits import FixedWindow
from ticketing.kit.vault import Vault
from ticketing.settings import Settings
from ticketing.web.addresses import is_loopback, network
from ticketing.web.callers import ANNOUNCED, Caller, Level
from ticketing.web.errors import Refusal, Restricted, TooManyRequests, Unauthenticated
from ticketing.web.idempotency import Idempotency
from ticketing.web.operations import Call, Reply
from ticketing.web.protocol import Gatekeeper, Headers

from .keys import Keys
from .permissions import MAY_CALL

FLOOD = 10  # so many times the failures of an address, and its unknown keys are not even looked up


class KeyGatekeeper(Gatekeeper):
    """Admits callers by `X-API-Key` and the permission table.

    An account may make so many requests a minute, with all its keys, and so may a public key from each address: it is
    every visitor's, and one of them must not use it up for the others. What costs more counts for more. All that one
    address sends is bounded too, far above that: it may be an office, or a shop's back end. Our own machine is none:
    what stands there, a proxy, speaks for everybody. Against failures that no valid key answers for an address is
    closed to requests without one.
    """

    def __init__(self, settings: Settings, database: Database, vault: Vault, keys: Keys) -> None:
        self._keys = keys
        self._is_limited = settings.rate_limits == "on"
        self._idempotency = Idempotency(database, vault, settings.answers_kept if self._is_limited else 0)
        self._traffic = FixedWindow(settings.traffic_per_minute)
        self._address_traffic = FixedWindow(settings.address_traffic_per_minute)
        self._failures = FixedWindow(settings.failures_per_minute)

    async def admit(self, call: Call) -> None:
        """Let the caller of the key in, if its level may call the operation.

        Raises Unauthenticated without a key, Restricted for an unknown one or another level, TooManyRequests.
        """
        key = call.headers.get(b"x-api-key", b"").decode("latin-1").strip()
        if not key:
            raise Unauthenticated
        caller = self._keys.remembered(key) or await self._find_caller(call, key)
        call.known_caller = caller
        if self._is_limited:
            self._count_traffic(call, caller)
        if caller.level not in MAY_CALL[call.operation.id]:
            raise Restricted

    def _count_traffic(self, call: Call, caller: Caller) -> None:
        """Count a request. Raises TooManyRequests."""
        limits = [(self._traffic, _bearer(caller, call.address))]
        if self._address_traffic.limit and not is_loopback(call.address):
            limits.append((self._address_traffic, network(call.address)))
        for limit, name in limits:
            if limit.count(name, call.cost) < 0:
                raise TooManyRequests(limit.seconds_left(), limit.limit)

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
            limit, remaining = self._traffic, self._traffic.remaining(_bearer(caller, address))
        else:
            limit, remaining = self._failures, self._failures.remaining(network(address))
        return [
            (b"ratelimit-limit", b"%d" % limit.limit),
            (b"ratelimit-remaining", b"%d" % remaining),
            (b"ratelimit-reset", b"%d" % limit.seconds_left()),
        ]


def _bearer(caller: Caller, address: str) -> Hashable:
    """Whose traffic it is: an account's, however many keys it has; a gate key's; a public key's at an address."""
    if caller.level is Level.PUBLIC:
        return caller.key_hash, network(address)
    return caller.key_hash if caller.account is None else caller.account
