"""The door every request passes: the key, the level, the limits."""

from collections.abc import Awaitable, Callable

from ticketing.kit.callers import ANNOUNCED, Caller
from ticketing.kit.errors import Refusal, Restricted, Unauthenticated
from ticketing.kit.operations import Call, Gatekeeper, Reply

from .keys import Keys
from .permissions import MAY_CALL


class KeyGatekeeper(Gatekeeper):
    """Admits callers by `X-API-Key` and the permission table."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def admit(self, call: Call) -> Caller:
        """The caller of the key, if its level may call the operation.

        Raises Unauthenticated without a key, Restricted for an unknown one or another level.
        """
        key = call.header("x-api-key")
        if not key:
            raise Unauthenticated
        caller = self._keys.remembered(key) or await self._keys.find_caller(key)
        if caller is None:
            raise await self._strangers_refusal(call.operation.id, key)
        if caller.level not in MAY_CALL[call.operation.id]:
            raise Restricted
        return caller

    async def _strangers_refusal(self, operation: str, key: str) -> Refusal:
        """How a key that opens nothing is refused: on /sessions/active clients branch on the status."""
        if operation == "continue_session":
            return Unauthenticated()
        if operation == "end_session" and not await self._keys.has_ended(key):
            return Unauthenticated()
        return Restricted()

    async def around(self, call: Call, handle: Callable[[], Awaitable[Reply]]) -> Reply:
        """Run the handler; the process that ended a key refuses it before it says so."""
        ANNOUNCED.set(False)
        reply = await handle()
        if ANNOUNCED.get():
            self._keys.forget()
        return reply
