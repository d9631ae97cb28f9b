"""What can go wrong at the gate."""

from collections.abc import Mapping

from ticketing.web.errors import Conflict, Invalid, NotFound, about


class CodeNotFound(NotFound):
    """No token that still opens a gate has this code."""

    text = "The provided code does not belong to any event token"


class GlobalToken(Conflict):
    """The token that each event owns stays as it is."""

    text = "The global admission token cannot be modified or invalidated."
    details = about("token", "issue another for some of the sections")


class TooManyTokens(Conflict):
    """An event has room for so many."""

    def __init__(self, most: int) -> None:
        super().__init__("The event has reached the limit of tokens.", about("token", f"at most {most} of one event"))


class NobodyAdmitted(Invalid):
    """None of the scanned serials opens this gate; each is remembered, and told, with its reason."""

    text = "None of the provided ticket serials grants admission to this event"
    details = about("DAWIER-BACK75580348", "already admitted")

    def __init__(self, reasons: Mapping[str, str] | None = None) -> None:
        super().__init__(details=reasons)


class EventCancelled(Conflict):
    """Nobody is admitted any more."""

    text = "The event has been cancelled."
    details = about("event", "nobody is admitted any more")
