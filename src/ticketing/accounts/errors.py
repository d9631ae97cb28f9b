"""What can go wrong with accounts."""

from ticketing.kit.errors import Conflict, Forbidden, Invalid, NotFound


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


class NoVerificationAddress(Invalid):
    """Nobody said where the code should go."""

    text = "You must provide an email address to which to send the verification code."


class NoResetAddress(Invalid):
    """Nobody said where the code should go."""

    text = "You must provide an email address to which to send the reset code."


class WrongVerificationCode(Invalid):
    """Another code was sent."""

    text = "The provided account verification code is incorrect."


class WrongResetCode(Invalid):
    """Another code was sent."""

    text = "The provided password reset code is incorrect."


class VerificationClosed(Conflict):
    """No code is taken for it any more."""

    text = "The verification has already been completed or has expired."


class ResetClosed(Conflict):
    """No code is taken for it any more."""

    text = "The password reset has already been completed or has expired."
