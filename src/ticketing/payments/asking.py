"""Calls to a provider: bounded in time, and every way they can fail turned into one of a few."""

import asyncio
import traceback
from collections.abc import Coroutine
from typing import Any

import structlog

from .attempts import Attempt
from .providers import Charge, Failed, Outcome, Provider, Silent, Waiting

BRIEFLY_SECONDS = 2.0  # when a customer waits for the answer
PATIENTLY_SECONDS = 20.0  # when nobody does

log = structlog.get_logger()


class Broke(Exception):
    """Something that no provider should do; what became of the request is not known."""


class Ended(Exception):
    """The attempt was ended before the provider could begin; nothing may be taken under its key any more."""


CALL_FAILURES = (Silent, Failed, Broke)


async def guarded(call: Coroutine[Any, Any, Outcome], seconds: float) -> Outcome:
    """The answer. Raises Silent also when it takes longer, Failed, Ended, and Broke for what else goes wrong.

    What went wrong is logged by its place, never by its text: that may repeat what was sent.
    """
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError:
        log.warning("payments.provider_silent")
        raise Silent from None
    except Ended:
        raise
    except CALL_FAILURES as error:
        log.warning("payments.provider_failed", reason=type(error).__name__)
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        log.error("payments.provider_broke", reason=type(error).__name__, file=where.filename, line=where.lineno)
        raise Broke from None


async def cancel(provider: Provider, charge: Charge, seconds: float = BRIEFLY_SECONDS) -> Outcome:
    """See to it that a charge never succeeds; Waiting when it is not known whether that worked."""
    try:
        return await guarded(provider.cancel(charge), seconds)
    except CALL_FAILURES:
        return Waiting()


async def find(provider: Provider, attempt: Attempt) -> Outcome:
    """What the provider knows about an attempt. Raises what `guarded` does."""
    return await guarded(provider.find(attempt.charge()), PATIENTLY_SECONDS)
