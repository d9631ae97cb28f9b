"""What can go wrong with sessions."""

from ticketing.web.errors import Forbidden, Refusal


class WrongPassword(Refusal):
    """The account exists, the password is another."""

    status = 401
    text = "A session cannot be started with the given password."


class Deactivated(Forbidden):
    """The account may not be used for now."""

    text = "This account has been deactivated."
