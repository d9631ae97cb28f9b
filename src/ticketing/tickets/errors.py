"""What can go wrong with tickets."""

from ticketing.kit.errors import Conflict


class OpensNoGate(Conflict):
    """No code that opens a gate is made for it."""

    text = "This ticket opens no gate: it is in a transfer or voided, or the event has been cancelled."


class NotInACalendar(Conflict):
    """There is no day to note."""

    text = "This ticket is voided, or its event has no date yet."
