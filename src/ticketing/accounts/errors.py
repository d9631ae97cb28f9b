"""What can go wrong with accounts."""

from ticketing.web.errors import Conflict, Forbidden, Invalid, NotFound, about


class AccountNotFound(NotFound):
    """Nobody has this number, name or address (any more)."""

    text = "The requested account could not be located"


class NotYourAccount(Forbidden):
    """Somebody else's account."""

    text = "You are not authorised to access or modify this account."


class AccountHoldsTickets(Conflict):
    """An account stays while it holds tickets that may still open a gate."""

    text = "An account cannot be deleted while it holds tickets to upcoming events."
    details = about("account", "use, hand on or give back its tickets first, or wait until their events are over")


class RunsHostAlone(Conflict):
    """A host whose events are still to come must not be left with nobody to run it."""

    text = "An account cannot be deleted while it is the only administrator of a host with upcoming events."
    details = about("account", "name another administrator of the host first, or cancel its events")


class LastAdministrator(Conflict):
    """Somebody must be left who can administer the platform."""

    text = "The last administrator cannot be removed."
    details = about("account", "make somebody else an administrator first")


class NoVerificationAddress(Invalid):
    """Nobody said where the code should go."""

    text = "You must provide an email address to which to send the verification code."
    details = about("email", "required: the address of the account")


class NoResetAddress(Invalid):
    """Nobody said where the code should go."""

    text = "You must provide an email address to which to send the reset code."
    details = about("email", "required: the address of the account")


class WrongVerificationCode(Invalid):
    """Another code was sent."""

    text = "The provided account verification code is incorrect."
    details = about("code", "not the one that was mailed last")


class WrongResetCode(Invalid):
    """Another code was sent."""

    text = "The provided password reset code is incorrect."
    details = about("code", "not the one that was mailed last")


class VerificationClosed(Conflict):
    """No code is taken for it any more."""

    text = "The verification has already been completed or has expired."
    details = about("verification", "request a new one")


class ResetClosed(Conflict):
    """No code is taken for it any more."""

    text = "The password reset has already been completed or has expired."
    details = about("reset", "request a new one")
