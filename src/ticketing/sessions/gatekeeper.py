"""The door every request passes: the key, the level, the limits."""

from collections.abc import Awaitable, Callable

from ticketing.kit.callers import Caller
from ticketing.kit.errors import Restricted, Unauthenticated
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
        if caller is None or caller.level not in MAY_CALL[call.operation.id]:
            raise Restricted
        return caller

    async def around(self, call: Call, handle: Callable[[], Awaitable[Reply]]) -> Reply:
        """Run the handler."""
        return await handle()
