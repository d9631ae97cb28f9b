"""Whether this process lives, and whether it is ready for customers; outside /v3 and without a key.

Ready means: the database answers, takes changes, and has the shape this version needs, or a newer one. Jobs that fail
or are not begun make it degraded and leave it ready: a load balancer must not take a shop off the net because mail is
late.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ticketing.jobs.recurring import JobsState, jobs_state
from ticketing.kit.database import Connection, Database
from ticketing.kit.database_errors import FULL, READ_ONLY, TROUBLE
from ticketing.letters.posting import Unsent, unsent_letters
from ticketing.migrations import HAS_HISTORY, REVISION, newest
from ticketing.web.operations import Services
from ticketing.web.protocol import UNLOGGED

ANSWER_SECONDS = 1.0
REMEMBERED_SECONDS = 1.0  # anybody may ask, as often as he likes
WRITTEN_SECONDS = 10.0  # for which a proof holds that the database takes changes
LATE_MAIL_SECONDS = 600  # a letter that waits longer is late
QUIET_SECONDS = 180  # something recurs every 30 s: no worker lives


log = structlog.get_logger()


@dataclass(frozen=True)
class Report:
    """What was found: `checks` by name, each with `ok`, its figures, and a `reason` when it is not."""

    ready: bool
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def response(self) -> Response:
        """The answer; 200 or 503."""
        degraded = not all(check["ok"] for check in self.checks.values())
        body = {"ready": self.ready, "degraded": degraded, "checks": self.checks}
        return JSONResponse(body, 200 if self.ready else 503, headers={"Cache-Control": "no-store"})


def routes(services: Services) -> list[BaseRoute]:
    """`/health/live` and `/health/ready`."""
    readiness = Readiness(services.the(Database))

    async def ready(request: Request) -> Response:
        report = await readiness.report()
        if report.ready:
            request.scope[UNLOGGED] = True  # asked every second by whoever balances load: a line each is noise
        return report.response()

    return [Route("/health/live", _live), Route("/health/ready", ready)]


async def _live(request: Request) -> Response:
    request.scope[UNLOGGED] = True
    return JSONResponse({"live": True})


class Readiness:
    """Asks the database once for all who ask at the same time, and within a second of a good answer not again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hears = False
        self._asking: asyncio.Task[Report] | None = None
        self._last: Report | None = None
        self._last_at = 0.0
        self._wrote_at: float | None = None
        database.on_hearing(self._heed)

    async def report(self) -> Report:
        """How things stand, within ANSWER_SECONDS."""
        if self._last and asyncio.get_running_loop().time() - self._last_at < REMEMBERED_SECONDS:
            return self._last
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="readiness")
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Report:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._database.reading() as db:
                report = await _read(db)
                if report.ready:
                    await self._prove_writing(db)
        except TimeoutError:
            return self._unanswered()
        except FULL:
            return _FULL
        except READ_ONLY:
            return _READ_ONLY
        except Exception as error:
            if not isinstance(error, TROUBLE):
                log.error("readiness.failed", exc_info=error)
            return _UNREACHABLE
        self._last = report if report.ready else None
        self._last_at = asyncio.get_running_loop().time()
        return report

    async def _prove_writing(self, db: Connection) -> None:
        """Change something, unless that was possible a moment ago: who only reads does not see a full disk."""
        now = asyncio.get_running_loop().time()
        if self._wrote_at is None or now - self._wrote_at > WRITTEN_SECONDS:
            self._wrote_at = None
            await db.execute(_CHANGE)
            self._wrote_at = now

    def _unanswered(self) -> Report:
        """No connection was free in time: a crowd, or a database that hangs.

        The process's own connection, probed twice a second, knows which. Without it a busy server would be taken off
        the net for being busy.
        """
        if not self._hears or self._last is None:
            return _UNREACHABLE
        busy = {"ok": False, "reason": "All connections are in use; the rest is as last seen."}
        return Report(ready=True, checks=self._last.checks | {"database": busy})

    def _heed(self, hears: bool) -> None:
        self._hears = hears


def _out_of_order(reason: str) -> Report:
    return Report(False, {"database": {"ok": False, "reason": reason}})


_UNREACHABLE = _out_of_order("The database does not answer.")
_FULL = _out_of_order("The database's disk is full: nothing can be written.")
_READ_ONLY = _out_of_order("The database only reads (a standby, perhaps).")

# Another process that is at it proves the same.
_CHANGE = """
UPDATE write_probe SET turn = NOT turn WHERE ctid = (SELECT ctid FROM write_probe LIMIT 1 FOR UPDATE SKIP LOCKED)"""


async def _read(db: Connection) -> Report:
    wanted = newest()
    revision = await db.fetchval(REVISION) if await db.fetchval(HAS_HISTORY) else None
    migrations: dict[str, Any] = {"ok": revision == wanted, "revision": revision}
    checks = {"database": {"ok": True}, "migrations": migrations}
    if revision is None or revision < wanted:
        migrations["reason"] = f"The database is at {revision}, this version needs {wanted}: run `ticketing migrate`."
        return Report(False, checks)
    if revision > wanted:
        # In a rolling upgrade the first new process migrates; the old ones serve until they are replaced.
        migrations["reason"] = f"The database is at {revision}, this version is made for {wanted}."
    return Report(True, checks | {"jobs": judge(await jobs_state(db)), "mail": judge_mail(await unsent_letters(db))})


def judge(state: JobsState) -> dict[str, Any]:
    """Whether the jobs are well, and if not, why: per task, how long ago it last succeeded, and its last error."""
    quiet = state.quiet_seconds
    faults = []
    if quiet is None or quiet > QUIET_SECONDS:
        faults.append("No worker runs.")
    else:
        faults += [f"{task.name} has not succeeded for {task.seconds:.0f} s." for task in state.late]
    tasks = {
        task.name: {"ok": not task.is_late, "succeededSecondsAgo": round(task.seconds, 1), "error": task.error}
        for task in state.tasks
    }
    jobs = {"ok": not faults, "quietSeconds": None if quiet is None else round(quiet, 1), "tasks": tasks}
    return jobs | {"reason": " ".join(faults)} if faults else jobs


def judge_mail(unsent: Unsent) -> dict[str, Any]:
    """Whether the mail goes out, and if not, since when."""
    mail: dict[str, Any] = {
        "ok": unsent.oldest_seconds <= LATE_MAIL_SECONDS,
        "waiting": unsent.waiting,
        "oldestUnsentSeconds": round(unsent.oldest_seconds, 1),
    }
    return mail if mail["ok"] else mail | {"reason": "Mail waits too long: is the mail server away?"}
