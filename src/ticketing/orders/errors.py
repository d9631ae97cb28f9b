"""What can go wrong with orders."""

from ticketing.web.errors import Conflict, Forbidden, Invalid, about


class NotPlaced(Invalid):
    """Not enough left, not on sale, or the event is not listed; nothing is held."""

    text = "An order for the requested tickets could not be placed at this time. Please try again."
    details = about(
        "items",
        "not enough places are left, they are not on sale now, or the event is over; look at the sections of the event",
    )


class NothingToPrint(Conflict):
    """None of its tickets is both the customer's still and good for a gate."""

    text = "This order has no tickets that could be printed."
    details = about("order", "none of its tickets is both in the customer's wallet and good for a gate")


class NothingToSend(Conflict):
    """None of its tickets is both the customer's still and good for a gate, or the customer has no address."""

    text = "This order has no tickets that could be sent."
    details = about("order", "none of its tickets is both in the customer's wallet and good for a gate")


class LimitReached(Conflict):
    """One customer may not have so many tickets or open orders."""

    text = "You have reached the limit of tickets or open orders."
    details = about("order", "pay for or cancel open orders first, or order fewer tickets")


class NotVerified(Conflict):
    """Where the platform says so, what costs nothing is for verified addresses."""

    text = "Free tickets are for accounts with a verified e-mail address."
    details = about("customer", "verify the e-mail address of the account first: a code is sent by POST /verifications")


class PriceChanged(Conflict):
    """The order would cost another total than was expected; nothing is held."""

    text = "The price has changed."
    details = about("expected", "the order costs another total now; read its sections again and ask the customer")


class NotForThisAccount(Forbidden):
    """Orders are placed by the customer himself or an administrator."""

    # "permtited" is the contract's
    text = "The authenticated user is not permtited to manage orders for this account."


class NotTheCustomer(Forbidden):
    """Somebody else's order."""

    text = "This account is not permitted to manage orders on behalf of the ordering customer."


class NotCancellable(Conflict):
    """Only an order that waits for payment can be cancelled."""

    def __init__(self, status: str = "Cancelled") -> None:
        article = "An" if status[0] in "AEIOU" else "A"
        super().__init__(
            f"{article} {status.lower()} order cannot be cancelled.",
            about("order", f"it is {status}; only one that waits for payment can be cancelled"),
        )


class BeingPaid(Conflict):
    """An attempt to pay is open: the money may be taken already."""

    text = "An order cannot be cancelled while its payment is being processed."
    details = about("order", "wait for the answer of its payment")
