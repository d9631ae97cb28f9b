"""What can go wrong with hosts."""

from ticketing.web.errors import Conflict, Forbidden, NotFound, about


class HostNotFound(NotFound):
    """No host, or none any more, has this id."""

    text = "The specified host could not be found."


class NotHostAdministrator(Forbidden):
    """The caller does not run this host."""

    text = "This account is not an administrator for the relevant event host."


class LastAdministrator(Conflict):
    """A host always has somebody who can run it."""

    text = "The last administrator of an event host cannot be removed."
    details = about("host", "name another administrator first")
