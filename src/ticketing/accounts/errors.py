"""What can go wrong with accounts."""

from ticketing.kit.errors import Conflict, Forbidden, NotFound


class AccountNotFound(NotFound):
    """Nobody has this number, name or address (any more)."""

    text = "The requested account could not be located"


class NotYourAccount(Forbidden):
    """Somebody else's account."""

    text = "You are not authorised to access or modify this account."


class AccountHoldsTickets(Conflict):
    """An account stays while it holds tickets that may still open a gate."""

    text = "An account cannot be deleted while it holds tickets to upcoming events."


class LastAdministrator(Conflict):
    """Somebody must be left who can administer the platform."""

    text = "The last administrator cannot be removed."
