"""Sending what waits: each letter once, as nearly as mail allows.

A letter is claimed in a committed transaction, written and handed over with no transaction open, and noted as sent at
once after that. Between the two lies the only moment in which a crash makes it go out a second time - under the same
Message-ID. What this process has handed over and could not note is not handed over again while it lives.
"""

import asyncio
import random
from collections import deque
from dataclasses import dataclass

import structlog

from ticketing.kit.database import Database
from ticketing.kit.database_errors import TROUBLE
from ticketing.letters.posting import BUNDLE, Lane
from ticketing.settings import Settings
from ticketing.web.operations import Services

from . import outbox
from .audiences import AT_ONCE, next_recipients
from .composing import Composer, Unwritable
from .outbox import Mail
from .transports import Away, Rejected, Transport, build_transport

BATCH = 20
SIDE_BY_SIDE = 4  # connections to the mail server
RUN_SECONDS = 8.0  # then others have their turn; less than a worker that is told to end has left
NOTING_SECONDS = 60  # within which a database that went away may come back to hear what was sent
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0  # of a letter that was put off
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 5.0, 60.0  # from a server that is away
INSIST_SECONDS = 3 * 24 * 3600.0  # a letter that is put off again and again is given up after so long

log = structlog.get_logger()


@dataclass(frozen=True)
class _Outcome:
    """What became of a try: a final status, or (None) seconds until the next."""

    status: str | None
    code: int | None = None
    seconds: float = 0.0


@dataclass
class _Batch:
    """Claimed letters: those still to send, until when, how many left, and what stopped it."""

    queue: deque[Mail]
    ends: float
    sent: int = 0
    trouble: str | None = None


async def distribute(database: Database) -> None:
    """Write letters to all out to each, a bounded number in one transaction."""
    while True:
        async with database.transaction() as db:
            locked = await outbox.lock_distribution(db)
            if locked is None:
                return
            mail, reached = locked
            if mail.letter == BUNDLE:
                await outbox.unbundle(db, mail)
                continue
            accounts = await next_recipients(db, mail, reached)
            await outbox.write_out(db, mail, accounts, last=len(accounts) < AT_ONCE)


class Postman:
    """Who empties some lanes, the first one first, over connections of his own to the mail server."""

    def __init__(self, services: Services, *lanes: Lane) -> None:
        self._lanes = lanes
        self._database = services.the(Database)
        self._transport: Transport | None = build_transport(services.the(Settings))
        self._composer = Composer(services)
        self._unnoted: dict[int, _Outcome] = {}
        self._away_until = 0.0
        self._times_away = 0

    async def make_round(self) -> int:
        """Send what is due, for RUN_SECONDS; how many letters left. A server that is away is left alone for a while."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until:
            return 0
        for mail_id, outcome in list(self._unnoted.items()):
            await self._note(mail_id, outcome)
        ends, sent = loop.time() + RUN_SECONDS, 0
        try:
            while loop.time() < ends:
                async with self._database.transaction() as db:
                    mails = await outbox.claim(db, self._lanes, BATCH, INSIST_SECONDS)
                if not mails:
                    break
                batch = await self._send_all(mails, ends)
                sent += batch.sent
                if batch.trouble is not None:
                    self._rest(batch.trouble)
                    break
        finally:
            if self._transport is not None:
                await self._transport.rest()
        return sent

    async def _send_all(self, mails: list[Mail], ends: float) -> _Batch:
        """Send claimed letters, some side by side; what is in the way of one is in the way of all."""
        batch = _Batch(deque(mails), ends)
        async with asyncio.TaskGroup() as group:
            for _ in range(SIDE_BY_SIDE):
                group.create_task(self._send_some(batch))
        if batch.queue:
            async with self._database.reading() as db:
                await outbox.put_back(db, [mail.id for mail in batch.queue])
        return batch

    async def _send_some(self, batch: _Batch) -> None:
        while batch.queue and batch.trouble is None and asyncio.get_running_loop().time() < batch.ends:
            mail = batch.queue.popleft()
            try:
                outcome = self._unnoted.get(mail.id) or await self._send(mail)
            except (Away, *TROUBLE) as error:
                batch.trouble = str(error) if isinstance(error, Away) else type(error).__name__
                batch.queue.append(mail)
                return
            if outcome.status == "Sent":
                batch.sent += 1
                self._times_away = 0
            try:
                await self._note(mail.id, outcome)
            except TROUBLE as error:
                batch.trouble = type(error).__name__
                return

    async def _send(self, mail: Mail) -> _Outcome:
        """Write a letter and hand it over. Raises Away."""
        if self._transport is None:
            return _Outcome("Dropped")
        try:
            parcel = await self._composer.compose(mail)
            if parcel is None:
                return _Outcome("Dropped")
            await self._transport.send(parcel)
        except (Away, *TROUBLE):
            raise
        except Rejected as rejected:
            if not rejected.for_good:
                return self._later(mail, rejected.code)
            log.warning("mail.refused", mail=mail.id, letter=mail.letter, code=rejected.code, reason=rejected.reason)
            return _Outcome("Refused", rejected.code)
        except Unwritable as unwritable:
            log.error("mail.unwritable", mail=mail.id, letter=mail.letter, reason=str(unwritable))
            return _Outcome("Refused")
        except Exception as error:
            # A fault of ours. The text of an error may repeat what the letter was to say.
            log.error("mail.failed", mail=mail.id, letter=mail.letter, reason=type(error).__name__)
            return self._later(mail, None)
        return _Outcome("Sent")

    def _later(self, mail: Mail, code: int | None) -> _Outcome:
        if mail.too_late:
            log.error("mail.given_up", mail=mail.id, letter=mail.letter, code=code, tries=mail.tries)
            return _Outcome("Refused", code)
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(mail.tries - 1, 10), LONGEST_PAUSE_SECONDS)
        pause *= random.uniform(0.8, 1.2)  # noqa: S311 - what failed together need not come back together
        log.warning("mail.put_off", mail=mail.id, letter=mail.letter, code=code, again_in_seconds=round(pause))
        return _Outcome(None, code, pause)

    async def _note(self, mail_id: int, outcome: _Outcome) -> None:
        """Write down what became of a letter, also through a moment without the database."""
        self._unnoted[mail_id] = outcome
        for attempt in range(NOTING_SECONDS):
            try:
                async with self._database.reading() as db:
                    if outcome.status is not None:
                        await outbox.finish(db, mail_id, outcome.status, outcome.code)
                    else:
                        await outbox.put_off(db, mail_id, outcome.seconds, outcome.code)
            except TROUBLE:
                if attempt == NOTING_SECONDS - 1:
                    raise
                await asyncio.sleep(1)
            else:
                del self._unnoted[mail_id]
                return

    def _rest(self, reason: str) -> None:
        pause = min(FIRST_REST_SECONDS * 2 ** min(self._times_away, 10), LONGEST_REST_SECONDS)
        pause *= random.uniform(0.8, 1.2)  # noqa: S311 - workers need not come back together
        self._times_away += 1
        self._away_until = asyncio.get_running_loop().time() + pause
        log.warning("mail.away", reason=reason, again_in_seconds=round(pause))


class Postmen:
    """What a worker sends mail with, for its life; `services` must hold a Press.

    Each has lanes, connections and a pace of his own: none waits for what another prints, or for whom.
    """

    def __init__(self, services: Services) -> None:
        self.security = Postman(services, Lane.SECURITY)
        self.letters = Postman(services, Lane.PLAIN, Lane.CROWD)
        self.tickets = Postman(services, Lane.TICKETS, Lane.CROWD_TICKETS)
