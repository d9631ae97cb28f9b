"""Being asked to run a host: an invitation that the person accepts, or that either side takes back."""

import msgspec

from ticketing.kit import clock
from ticketing.kit.database import Connection, Row
from ticketing.letters.posting import Letter, post
from ticketing.web.paging import Listing

from .errors import TooManyInvitations
from .queries import COLUMNS, build_host
from .schemas import Host

MOST_IN_A_DAY = 50  # of one inviter


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

_INVITED_TODAY = """
SELECT count(*) FROM host_invitations WHERE invited_by = $1 AND invited_at > clock() - interval '1 day'"""

_INVITE = """
INSERT INTO host_invitations (host_id, account_id, invited_by, invited_at) VALUES ($1, $2, $3, clock())
    ON CONFLICT DO NOTHING"""


async def invite(db: Connection, host_id: int, account_id: int, inviter: int) -> bool:
    """Ask somebody to run a locked host, and write to him; False when he was asked already.

    Raises TooManyInvitations.
    """
    if await db.fetchval(_INVITED_TODAY, inviter) >= MOST_IN_A_DAY:
        raise TooManyInvitations
    is_new = await db.execute(_INVITE, host_id, account_id, inviter) == "INSERT 0 1"
    if is_new:
        await post(db, [Letter("host_invitation", account=account_id, about={"host": host_id})])
    return is_new


async def end_invitation(db: Connection, host_id: int, account_id: int) -> bool:
    """Take an invitation back, refuse it, or see it fulfilled; False when there is none."""
    return (
        await db.execute("DELETE FROM host_invitations WHERE host_id = $1 AND account_id = $2", host_id, account_id)
        == "DELETE 1"
    )
