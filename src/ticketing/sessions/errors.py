"""What can go wrong with sessions."""

from ticketing.web.errors import Conflict, Forbidden, Invalid, Refusal, about


class WrongPassword(Refusal):
    """The account exists, the password is another."""

    status = 401
    text = "A session cannot be started with the given password."


class Deactivated(Forbidden):
    """The account may not be used for now."""

    text = "This account has been deactivated."


class NoSignInAddress(Invalid):
    """Nobody said where the code should go."""

    text = "You must provide an email address to which to send the sign-in code."
    details = about("email", "required: your address")


class WrongSignInCode(Invalid):
    """Another code was sent."""

    text = "The provided sign-in code is incorrect."
    details = about("code", "not the one that was mailed last")


class SignInClosed(Conflict):
    """No code is taken for it any more."""

    text = "The sign-in has already been completed or has expired."
    details = about("sign-in", "request a new one")
