"""Being asked to run a host: an invitation that the person accepts, or that either side takes back.

One of a host and a person at a time, and one letter in DAYS, however often it is taken back and made again: its row
stays until then. It can be accepted for DAYS, and as long as who made it runs the host.
"""

import msgspec

from ticketing.kit import clock
from ticketing.kit.database import Connection, Row
from ticketing.letters.posting import Letter, post
from ticketing.web.paging import Listing

from .actions import add_administrator
from .errors import TooManyInvitations
from .queries import COLUMNS, INVITATION_DAYS, IS_INVITED, build_host
from .schemas import Host

DAYS = INVITATION_DAYS


class Invitation(msgspec.Struct):
    """A host that somebody was asked to run; `acceptances` is where he says yes."""

    uri: str = msgspec.field(name="self")
    host: Host
    invited: str
    acceptances: str


def build_invitation(row: Row) -> Invitation:
    """An invitation as the API shows it to whom it was sent."""
    uri = f"/hosts/{row['host_id']}/administrators/{row['number']}"
    return Invitation(uri, build_host(row), clock.stamp(row["invited_at"]), f"{uri}/acceptances")


INVITATIONS: Listing[Invitation] = Listing(
    source="""host_invitations invitation JOIN hosts host ON host.id = invitation.host_id
        JOIN accounts account ON account.id = invitation.account_id""",
    columns=f"{COLUMNS}, account.number, invitation.invited_at",
    id="(invitation.invited_at, host.id)",
    build=build_invitation,
)
OF_ACCOUNT = f"invitation.account_id = $1 AND host.removed_at IS NULL AND {IS_INVITED}"

_IS_TOLD = f"""
SELECT true FROM host_invitations
 WHERE host_id = $1 AND account_id = $2 AND told_at > clock() - interval '{DAYS} days'"""

_COUNT = "SELECT count(*) FROM host_invitations WHERE invited_by = $1 AND invited_at > clock() - interval '1 day'"

_INVITE = """
INSERT INTO host_invitations AS known (host_id, account_id, invited_by, invited_at, told_at)
VALUES ($1, $2, $3, clock(), CASE WHEN $4 THEN clock() END)
    ON CONFLICT (host_id, account_id) DO UPDATE
   SET invited_by = excluded.invited_by, invited_at = excluded.invited_at, ended_at = NULL,
       told_at = coalesce(excluded.told_at, known.told_at)"""

_END = f"""
UPDATE host_invitations invitation SET ended_at = clock()
 WHERE host_id = $1 AND account_id = $2 AND {IS_INVITED}"""

FORGET = """
DELETE FROM host_invitations WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM host_invitations WHERE invited_at < (SELECT clock()) - make_interval(days => $2)
     ORDER BY invited_at LIMIT $1 FOR UPDATE SKIP LOCKED))"""


async def invite(db: Connection, host_id: int, account_id: int, inviter: int, *, is_active: bool, most: int) -> None:
    """Ask somebody who does not run it, and is not asked to, to run a locked host, and write to him, once.

    Both accounts are locked by the caller; to one that is not active nobody writes. Raises TooManyInvitations for more
    than `most` of the inviter in a day.
    """
    if await db.fetchval(_COUNT, inviter) >= most:
        raise TooManyInvitations(most)
    writing = is_active and not await db.fetchval(_IS_TOLD, host_id, account_id)
    await db.execute(_INVITE, host_id, account_id, inviter, writing)
    if writing:
        await post(db, [Letter("host_invitation", account=account_id, about={"host": host_id, "by": inviter})])


async def accept(db: Connection, host_id: int, account_id: int) -> bool:
    """Let the person, who was asked to, run the locked host; False when he was not, or not any more."""
    return await end_invitation(db, host_id, account_id) and await add_administrator(db, host_id, account_id)


async def end_invitation(db: Connection, host_id: int, account_id: int) -> bool:
    """Take an invitation back, refuse it, or see it fulfilled; False when there is none."""
    return await db.execute(_END, host_id, account_id) == "UPDATE 1"
