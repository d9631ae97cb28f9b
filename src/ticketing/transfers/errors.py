"""What can go wrong with transfers."""

from ticketing.web.errors import Conflict, Forbidden, Invalid, about


class NotForThisSender(Forbidden):
    """Tickets are sent by their owner himself or an administrator."""

    text = "The authenticated user is not permitted to initiate transfers on behalf of the sender."


class NotEnoughTickets(Invalid):
    """So many Issued tickets of a section are not in the sender's wallet; nothing is sent."""

    # "itckets" and the missing full stop are the contract's
    text = "The sender does not hold sufficient itckets in their wallet to complete this transfer"
    details = about("tickets", "more than the sender has with the status Issued")


class ToThemselves(Conflict):
    """Sender and recipient are one account."""

    text = "The sender cannot transfer tickets to themselves."
    details = about("recipient", "name another account")


class NotYourTransfer(Forbidden):
    """Somebody else's transfer."""

    text = "This account is not permitted to manage transfers on behalf of the sender."


class NotCancellable(Conflict):
    """Only a transfer that waits for its recipient can be cancelled."""

    def __init__(self, status: str = "Cancelled") -> None:
        super().__init__(
            f"A {status.lower()} transfer cannot be cancelled.",
            about("transfer", f"it is {status}; only one that waits for its recipient can be cancelled"),
        )


class NotTheRecipient(Forbidden):
    """Nobody claims for another, not even an administrator."""

    text = "Only a transfer's recipient can claim a transfer."


class NotClaimable(Conflict):
    """It was claimed or cancelled already."""

    text = "This transfer can no longer be claimed."
    details = about("transfer", "it was claimed or cancelled already")
