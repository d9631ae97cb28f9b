"""Whether the payment providers say of our payments what we say of them."""

import asyncio
from collections.abc import Callable

from ticketing.kit.database import Database
from ticketing.payments.asking import CALL_FAILURES, find
from ticketing.payments.attempts import Attempt, get_attempt
from ticketing.payments.providers import Done, Outcome
from ticketing.payments.providers.choosing import Providers
from ticketing.payments.rules import State

from .examining import Diagnosis, Finding

PROMISE = "The payment provider says of every recent payment what we say."
NAME = "the provider's word"
AT_ONCE = 4
BATCH = 500
NOTE_EVERY = 1000

_CLOSED = """
SELECT id FROM payments
 WHERE status <> 'Pending' AND id > $1 AND opened_at > clock() - make_interval(days => $2) ORDER BY id LIMIT $3"""


async def ask_providers(
    database: Database, providers: Providers, days: int, diagnosis: Diagnosis, progress: Callable[[str], None]
) -> None:
    """Ask about every payment of so many days that has ended, and add what differs to the diagnosis.

    Nothing is written, here or there. A provider that does not answer is a finding too.
    """
    diagnosis.checks += 1
    progress(f"{diagnosis.checks}/{diagnosis.checks} {PROMISE}")
    last, asked = 0, 0
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(attempt_id: int) -> Finding | None:
        async with gate, database.reading() as db:
            attempt = await get_attempt(db, attempt_id)
        async with gate:
            return await _compare(providers, attempt)

    while True:
        async with database.reading() as db:
            ids = [row["id"] for row in await db.fetch(_CLOSED, last, days, BATCH)]
        if not ids:
            return
        for finding in await asyncio.gather(*(ask(one) for one in ids)):
            if finding:
                diagnosis.add(finding)
        last, asked = ids[-1], asked + len(ids)
        if asked % NOTE_EVERY == 0:
            progress(f"    asked about {asked} payments")


async def _compare(providers: Providers, attempt: Attempt) -> Finding | None:
    thing = f"payment {attempt.id}"
    provider = providers.find(attempt.provider)
    if provider is None:
        return Finding(NAME, thing, f"its provider {attempt.provider} is not set up, so nobody can be asked")
    try:
        said = await find(provider, attempt)
    except CALL_FAILURES as error:
        return Finding(NAME, thing, f"the provider did not answer ({type(error).__name__})")
    fault = differs(attempt.state, said)
    return Finding(NAME, thing, fault) if fault else None


def differs(ours: State, theirs: Outcome) -> str | None:
    """What is wrong between our state of a payment that has ended and the provider's answer; None when they agree."""
    was_taken = isinstance(theirs, Done)
    if ours is State.AUTHORISED and not was_taken:
        return "we say its money was taken, and the provider does not"
    if ours is State.DECLINED and was_taken:
        return "we say its money was not taken, and the provider says it was"
    return None
