"""The table of letters, as the worker works it off.

Any number of workers may: a letter is claimed by moving its `due_at` beyond the time its sending can take, so one
whose worker died in between comes up again. It is then sent a second time at worst, under the same Message-ID.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from ticketing.kit.database import Connection, Row
from ticketing.letters.posting import Lane

LEASE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter that waits: to the account, or (None) to all whom it concerns."""

    id: int
    message_id: UUID
    letter: str
    account_id: int | None
    about: dict[str, Any]
    sealed: bytes | None
    posted_at: datetime
    tries: int
    too_late: bool


_COLUMNS = """mails.id, mails.message_id, mails.letter, mails.account_id, mails.about, mails.sealed, mails.posted_at,
 mails.tries"""

# The lane stands in the text: a statement of its own for each, planned for it alone, and for codes an index of its own.
_CLAIMS = {
    lane: f"""
UPDATE mails SET due_at = clock() + make_interval(secs => $2), tries = tries + 1
 WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mails
     WHERE status = 'Waiting' AND account_id IS NOT NULL AND lane = '{lane}' AND due_at <= (SELECT clock())
     ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING {_COLUMNS}, mails.posted_at < clock() - make_interval(secs => $3) AS too_late"""
    for lane in Lane
}


async def claim(db: Connection, lanes: Sequence[Lane], most: int, too_late_seconds: float) -> list[Mail]:
    """Letters that are due, at most so many; nobody else gets them for LEASE_SECONDS.

    Those of a lane come before those of the lanes after it, and in it by when they were posted.
    """
    mails: list[Mail] = []
    for lane in lanes:
        if len(mails) < most:
            rows = await db.fetch(_CLAIMS[lane], most - len(mails), LEASE_SECONDS, too_late_seconds)
            mails += sorted((_mail(row, row["too_late"]) for row in rows), key=lambda mail: mail.id)
    return mails


async def put_back(db: Connection, mail_ids: Sequence[int]) -> None:
    """Let claimed letters wait on as if they had not been claimed."""
    await db.execute(
        "UPDATE mails SET due_at = clock(), tries = tries - 1 WHERE id = ANY($1::bigint[]) AND status = 'Waiting'",
        mail_ids,
    )


async def put_off(db: Connection, mail_id: int, seconds: float, code: int | None) -> None:
    """Try a claimed letter again after so many seconds; `code` is what the mail server said."""
    await db.execute(
        "UPDATE mails SET due_at = clock() + make_interval(secs => $2), code = $3 WHERE id = $1 AND status = 'Waiting'",
        mail_id,
        float(seconds),
        code,
    )


async def finish(db: Connection, mail_id: int, status: str, code: int | None = None) -> None:
    """Note what became of a letter: Sent, Dropped (nobody to send it to, or nothing to say), or Refused."""
    await db.execute(
        "UPDATE mails SET status = $2, code = $3, done_at = clock(), sealed = NULL"
        " WHERE id = $1 AND status = 'Waiting'",
        mail_id,
        status,
        code,
    )


FORGET = """
DELETE FROM mails WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM mails WHERE done_at < (SELECT clock()) - make_interval(days => $2)
     ORDER BY done_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""


# --- letters to all whom they concern

_LOCK_DISTRIBUTION = f"""
SELECT {_COLUMNS}, mails.reached, false AS too_late FROM mails
 WHERE status = 'Waiting' AND due_at <= (SELECT clock()) AND account_id IS NULL
 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"""

_WRITE_OUT = """
INSERT INTO mails (letter, account_id, about, sealed, lane, posted_at, due_at)
SELECT letter, account, about, sealed, lane, posted_at, clock()
  FROM mails, unnest($2::bigint[]) AS account WHERE mails.id = $1"""


# What was bundled for somebody who is gone since is not even written down.
_UNBUNDLE = """
INSERT INTO mails (letter, account_id, about, lane, posted_at, due_at)
SELECT one ->> 0, (one ->> 1)::bigint, one -> 2, coalesce(one ->> 3, 'plain'), posted_at, clock()
  FROM mails, jsonb_array_elements(about -> 'letters') AS one
 WHERE mails.id = $1
   AND (SELECT accounts.removed_at FROM accounts WHERE accounts.id = (one ->> 1)::bigint) IS NULL"""


async def unbundle(db: Connection, mail: Mail) -> None:
    """Write a locked bundle out as the letters it holds."""
    await db.execute(_UNBUNDLE, mail.id)
    await db.execute("DELETE FROM mails WHERE id = $1", mail.id)


async def lock_distribution(db: Connection) -> tuple[Mail, int] | None:
    """A letter to all, locked, and the account up to which it was written out; None when no such letter is due."""
    row = await db.fetchrow(_LOCK_DISTRIBUTION)
    return (_mail(row, too_late=False), row["reached"]) if row else None


async def write_out(db: Connection, mail: Mail, accounts: Sequence[int], *, last: bool) -> None:
    """Write a locked letter out to some of its recipients, which are sorted; `last`: there are no others."""
    await db.execute(_WRITE_OUT, mail.id, accounts)
    if last:
        await finish(db, mail.id, "Distributed")
    else:
        await db.execute("UPDATE mails SET reached = $2 WHERE id = $1", mail.id, accounts[-1])


def _mail(row: Row, too_late: bool) -> Mail:
    return Mail(
        id=row["id"],
        message_id=row["message_id"],
        letter=row["letter"],
        account_id=row["account_id"],
        about=msgspec.json.decode(row["about"]),
        sealed=row["sealed"],
        posted_at=row["posted_at"],
        tries=row["tries"],
        too_late=too_late,
    )
