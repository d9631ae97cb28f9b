"""Letters about somebody's own account."""

from ticketing.accounts import former_addresses
from ticketing.accounts.rules import ChangedBy
from ticketing.hosts.queries import IS_INVITED
from ticketing.kit.identity import address_identity
from ticketing.letters.posting import STRANGER

from .content import Compose, Content, Desk
from .rendering import person_name, title, unlinked, words

# Why is what they said last; it is gone with the account.
_WHO = """
SELECT number, username, first_name, last_name,
       (SELECT detail ->> 'reason' FROM history
         WHERE thing = '/accounts/' || account.number AND action = 'account.deletion_requested'
         ORDER BY id DESC LIMIT 1) AS reason
  FROM accounts account WHERE id = $1"""


async def _with_code(desk: Desk) -> Content:
    """`code` as it is typed, in two halves as it is read, and for how many `minutes` it is good."""
    code = desk.secrets["code"]
    halves = (code[: len(code) // 2], code[len(code) // 2 :])
    facts = {"code": code, "halves": halves, "minutes": desk.settings.mailed_code_minutes}
    return Content(facts | {"takes_back": "email" in desk.secrets})


async def _sign_in(desk: Desk) -> Content:
    """The code, and whether an account `is_made` with it."""
    content = await _with_code(desk)
    return Content({**content.facts, "is_made": desk.person.id == STRANGER})


_IS_SET = "SELECT password_hash <> '' FROM accounts WHERE id = $1"


async def _told_by_password(desk: Desk) -> Content:
    """Whether one `has_password`: who registered by a code has none until he sets one."""
    return Content({"has_password": await desk.db.fetchval(_IS_SET, desk.person.id)})


async def _password_changed(desk: Desk) -> Content:
    """`by` whom (`ChangedBy`), and whether a code `resets` it: an administrator is sent none."""
    role = await desk.db.fetchval("SELECT role FROM accounts WHERE id = $1", desk.person.id)
    by = desk.about.get("by", ChangedBy.CODE)  # what was posted by an earlier version does not say
    return Content({"by": by, "resets": role != "administrator"})


async def _email_changed(desk: Desk) -> Content:
    """`days`, for which the old address can still take the account back; 0: it cannot."""
    key = address_identity(desk.secrets["email"])
    takes_back = await former_addresses.find_address(desk.db, desk.person.id, key) is not None
    return Content({"days": former_addresses.DAYS if takes_back else 0})


async def _with_reason(desk: Desk) -> Content:
    return Content({"reason": words(desk.secrets.get("reason", ""))})


async def _deletion_requested(desk: Desk) -> Content | None:
    row = await desk.db.fetchrow(_WHO, desk.about["account"])
    if row is None:
        return None
    who = person_name(row["first_name"], row["last_name"]) or title(row["username"])
    return Content({"number": row["number"], "who": who, "reason": unlinked(words(row["reason"] or ""))})


_INVITED = f"""
SELECT host.name, inviter.first_name, inviter.last_name
  FROM host_invitations invitation JOIN hosts host ON host.id = invitation.host_id
       JOIN accounts inviter ON inviter.id = invitation.invited_by
 WHERE invitation.host_id = $1 AND invitation.account_id = $2 AND host.removed_at IS NULL AND {IS_INVITED}"""


async def _host_invitation(desk: Desk) -> Content | None:
    row = await desk.db.fetchrow(_INVITED, desk.about["host"], desk.person.id)
    if row is None:
        return None
    return Content({"host": title(row["name"]), "inviter": person_name(row["first_name"], row["last_name"])})


COMPOSERS: dict[str, Compose] = {
    "welcome": _told_by_password,
    "codes_exhausted": _told_by_password,
    "sign_in": _sign_in,
    "verification": _with_code,
    "reset": _with_code,
    "password_changed": _password_changed,
    "email_changed": _email_changed,
    "deactivated": _with_reason,
    "deletion_requested": _deletion_requested,
    "host_invitation": _host_invitation,
}
