"""Small things that templates say often, and the sentences that a page says once."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape

from ticketing.languages import Language, Moment, moment_of


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for a text that is translated where it is shown
    """Mark a text for the catalogues."""
    return text


# What a page says once, after what was asked for was done.
NOTICES = {
    "signed_in": N_("Welcome back."),
    "signed_out": N_("You are signed out."),
    "saved": N_("Saved."),
    "cart_full": N_("Your cart is full. Check out first, then come back for more."),
    "cart_changed": N_("Your cart is up to date."),
    "tickets_yours": N_("Done: these tickets are yours. They are in the mail too."),
    "registered": N_("Welcome! We have sent you a code, so that we know the address is yours."),
    "tickets_mailed": N_("The tickets are on their way to the address of the account."),
    "tickets_sent": N_("Sent. They stay yours until the other takes them."),
    "tickets_claimed": N_("These tickets are yours now."),
    "transfer_cancelled": N_("The tickets stay where they were."),
    "password_changed": N_("Your password is changed."),
    "verified": N_("Thank you: your address is verified."),
    "session_ended": N_("Signed out there."),
    "leaving": N_("Your account is closed. Goodbye, and thank you."),
    "host_made": N_("Your host is registered. Now its first event."),
    "person_added": N_("Invited. They find the invitation on their own pages."),
    "host_accepted": N_("You run this host now."),
    "host_declined": N_("You said no. Nobody is told why."),
    "draft_kept": N_("The draft is kept. Now its sections: what can be bought, for how much."),
    "submitted": N_("The event is with the reviewers. You will get a letter."),
    "listed": N_("The event is on sale again."),
    "unlisted": N_("The event is off the lists. Its tickets stay valid."),
    "event_cancelled": N_("The event is cancelled. Everybody is told, and whoever paid gets the money back."),
    "removed": N_("It is gone."),
    "approved": N_("Approved: it is on sale."),
    "sent_back": N_("Sent back to its host with your note."),
    "order_cancelled": N_("The order is cancelled and its places are free again."),
}


def id_of(link: str) -> str:
    """The last part of a link of the API: `/events/123` -> `123`."""
    return link.rsplit("/", 1)[-1]


def slug(title: str) -> str:
    """A title as the readable tail of an address; `-` where none of its letters can stand there."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "-"


def person(account: dict[str, Any]) -> str:
    """What to call somebody."""
    return f"{account['firstName']} {account['lastName']}".strip() or str(account["username"] or account["number"])


def invited_number(invitation: dict[str, Any]) -> str:
    """The account that an invitation to run a host is for."""
    return id_of(invitation["self"])


def place_filled(kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    """A region, venue or category as its form shows it."""
    if kind == "categories":
        return {**thing, "subcategories": "\n".join(thing["subcategories"])}
    return {**thing, "region": id_of(thing["region"])} if kind == "venues" else thing


def browser(agent: str) -> str:
    """A browser's description of itself, as people call it."""
    names = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
    systems = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"))
    more = (("Mac OS", "macOS"), ("Linux", "Linux"))
    name = next((said for part, said in names if part in agent), agent[:40] or "?")
    system = next((said for part, said in (*systems, *more) if part in agent), "")
    return f"{name}, {system}" if system else name


def event_path(event: dict[str, Any]) -> str:
    """Where the page of an event is."""
    return f"/events/{id_of(event['self'])}/{slug(event['title'])}"


def starts(event: dict[str, Any]) -> Moment | None:
    """When an event starts, in its venue's time; None when it has no date yet."""
    return moment_of(event["start"], event["venue"].get("timezone", "UTC"))


def ends(event: dict[str, Any]) -> Moment | None:
    """When an event ends, in its venue's time."""
    return moment_of(event["end"], event["venue"].get("timezone", "UTC"))


def opens_at(event: dict[str, Any]) -> Moment | None:
    """When an event's doors open, in its venue's time; None when nothing is said of them."""
    return moment_of(event["doors"], event["venue"].get("timezone", "UTC"))


def when(language: Language, event: dict[str, Any]) -> str:
    """`Saturday, 14 June 2027, 17:00 - 21:00`; "" without a date."""
    start, end = starts(event), ends(event)
    if start is None:
        return ""
    text = f"{start.date(language)}, {start.time(language)}"
    if end is None:
        return text
    if end.at.date() == start.at.date():
        text = f"{text} \u2013 {end.time(language)}"
    else:
        text = f"{text} \u2013 {end.date(language)}, {end.time(language)}"
    if start.offset != end.offset:
        text += f" ({start.offset}, {end.offset})"
    return text


def doors(language: Language, event: dict[str, Any]) -> str:
    """When the doors open: `16:00`, on another day than the event starts `Friday, 13 June 2027, 16:00`; "" for none."""
    opens, start = opens_at(event), starts(event)
    if opens is None:
        return ""
    is_that_day = start is not None and start.at.date() == opens.at.date()
    text = opens.time(language) if is_that_day else f"{opens.date(language)}, {opens.time(language)}"
    return text if start is None or start.offset == opens.offset else f"{text} ({opens.offset})"


def by_event(lines: Iterable[Any]) -> list[tuple[dict[str, Any], list[Any]]]:
    """Lines of a cart by their event, in its order."""
    found: dict[str, tuple[dict[str, Any], list[Any]]] = {}
    for line in lines:
        found.setdefault(line.event["self"], (line.event, []))[1].append(line)
    return list(found.values())


def query_of(wanted: Mapping[str, str]) -> str:
    """The members of a query that are set, to be followed by one more: `search=jazz&`; "" for none."""
    text = urlencode({name: value for name, value in wanted.items() if value})
    return f"{text}&" if text else ""


def is_web_address(text: str) -> bool:
    """Whether a text is an address that a link may lead to."""
    return text.lower().startswith(("https://", "http://"))


def paragraphs(text: str) -> Markup:
    """Plain text as paragraphs, one for each block between empty lines; line ends are kept."""
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")) if block.strip()]
    lines = (Markup("<br>").join(escape(line) for line in block.split("\n")) for block in blocks)
    return Markup("\n").join(Markup("<p>{}</p>").format(block) for block in lines)
