"""What can go wrong with hosts."""

from ticketing.web.errors import Conflict, Forbidden, NotFound, about


class HostNotFound(NotFound):
    """No host, or none any more, has this id."""

    text = "The specified host could not be found."


class NotHostAdministrator(Forbidden):
    """The caller does not run this host."""

    text = "This account is not an administrator for the relevant event host."


class TooManyInvitations(Conflict):
    """More people asked in a day than anybody needs."""

    def __init__(self, most: int) -> None:
        super().__init__(
            "Too many invitations have been sent today.", about("account", f"at most {most} of one account in a day")
        )


class LastAdministrator(Conflict):
    """A host always has somebody who can run it."""

    text = "The last administrator of an event host cannot be removed."
    details = about("host", "name another administrator first")
