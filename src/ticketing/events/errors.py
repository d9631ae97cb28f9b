"""What can go wrong with events and their sections."""

from ticketing.web.errors import Conflict, Forbidden, about


class Unlisted(Forbidden):
    """Only those who run an event see it before it is listed."""

    text = "You are not authorised to access this unlisted event."


class HasSoldTickets(Conflict):
    """An event somebody holds tickets to is cancelled or unlisted, not removed."""

    text = "An event cannot be deleted while it has sections with sold tickets."
    details = about("event", "unlist or cancel it instead")


class HasPaidTickets(Conflict):
    """A section with paid tickets is removed by the platform's administrators only."""

    text = "A section cannot be deleted while it has paid tickets."
    details = about("section", "ask an administrator of the platform to remove it")


class CapacityBelowTaken(Conflict):
    """Places that were sold or reserved stay."""

    def __init__(self, taken: int = 0) -> None:
        super().__init__(
            "The capacity cannot be lower than the number of tickets already sold or reserved.",
            about("capacity", f"lower than the {taken} tickets that are sold or reserved"),
        )


class AlreadySubmitted(Conflict):
    """Only a draft is submitted, and a cancelled event stays cancelled."""

    text = "The event has already been submitted or cancelled."
    details = about("event", "only a draft can be submitted, and a cancelled event stays cancelled")


class HasTakenPlace(Conflict):
    """What was given for its money does not become undone by a host alone."""

    text = "An event that is over or has admitted patrons can only be cancelled by an administrator."
    details = about("event", "it is or once was over, or somebody was admitted; ask an administrator of the platform")


class NotApproved(Conflict):
    """Only an approved event that was not cancelled can be listed and unlisted."""

    text = "The event has not been approved or has been cancelled."
    details = about("event", "submit it and wait for its approval; a cancelled event stays cancelled")


class TooManySections(Conflict):
    """An event has room for so many: whoever lists events reads all of them."""

    def __init__(self, most: int) -> None:
        super().__init__(
            "The event has reached the limit of sections.", about("section", f"at most {most} in one event")
        )


class TooManyPrices(Conflict):
    """A section has room for so many: each is weighed whenever somebody looks."""

    def __init__(self, most: int) -> None:
        super().__init__(
            "The section has reached the limit of prices.", about("price", f"at most {most} in one section")
        )
