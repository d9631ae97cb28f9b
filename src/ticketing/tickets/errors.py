"""What can go wrong with tickets."""

from ticketing.web.errors import Conflict, about


class OpensNoGate(Conflict):
    """No code that opens a gate is made for it."""

    text = "This ticket opens no gate: it is in a transfer or voided, or the event has been cancelled."
    details = about(
        "ticket", "wait until its transfer has ended; a ticket that is voided or of a cancelled event stays shut out"
    )


class NotInACalendar(Conflict):
    """There is no day to note."""

    text = "This ticket is voided, or its event has no date yet."
    details = about("ticket", "ask again when its event has a date")
