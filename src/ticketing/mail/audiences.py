"""Whom a letter to all concerns, so many at a time."""

from ticketing.kit.database import Connection

from .outbox import Mail

AT_ONCE = 5_000

# $1: the letter, $2: the last account that has it already, $3: how many more.
_ADMINISTRATORS = """
SELECT account.id FROM accounts account, mails
 WHERE mails.id = $1 AND account.id > $2 AND account.role = 'administrator' AND account.activated
   AND account.removed_at IS NULL AND NOT account.integration
   AND account.id IS DISTINCT FROM (mails.about ->> 'account')::bigint
 ORDER BY account.id LIMIT $3"""

_HOST_ADMINISTRATORS = """
SELECT administrator.account_id AS id
  FROM mails JOIN submissions submission ON submission.id = (mails.about ->> 'submission')::bigint
       JOIN events event ON event.id = submission.event_id
       JOIN host_administrators administrator ON administrator.host_id = event.host_id
       JOIN accounts account ON account.id = administrator.account_id
 WHERE mails.id = $1 AND account.id > $2 AND account.activated AND account.removed_at IS NULL
 ORDER BY 1 LIMIT $3"""

# Whoever held a ticket when the letter was posted (refunds may have voided it since, and hastily), or was handed it on
# since: then it was issued anew.
_HOLDERS = """
SELECT DISTINCT ticket.owner_id AS id
  FROM mails JOIN tickets ticket ON ticket.event_id = (mails.about ->> 'event')::bigint
 WHERE mails.id = $1 AND ticket.owner_id > $2
   AND (ticket.issued_at <= mails.posted_at OR EXISTS (
        SELECT FROM retired_serials former WHERE former.ticket_id = ticket.id AND former.issued_at <= mails.posted_at))
   AND (ticket.status <> 'Voided' OR ticket.changed_at >= mails.posted_at)
   AND (NOT mails.about ? 'section' OR ticket.section_id = (mails.about ->> 'section')::bigint)
 ORDER BY 1 LIMIT $3"""

AUDIENCES = {
    "deletion_requested": _ADMINISTRATORS,
    "submission_decided": _HOST_ADMINISTRATORS,
    "event_cancelled": _HOLDERS,
    "event_changed": _HOLDERS,
    "section_removed": _HOLDERS,
}


async def next_recipients(db: Connection, mail: Mail, after: int) -> list[int]:
    """The next accounts whom the letter concerns, by id; fewer than AT_ONCE are the last."""
    return [row["id"] for row in await db.fetch(AUDIENCES[mail.letter], mail.id, after, AT_ONCE)]
