"""What can go wrong with payments and refunds."""

from ticketing.web.errors import Conflict, about


class NotPayable(Conflict):
    """Only an order that waits for payment can be paid; the text has the status as it is."""

    def __init__(self, status: str = "Fulfilled") -> None:
        super().__init__(
            f"You cannot pay for a {status} order.",
            about("order", f"it is {status}; only one that is Placed can be paid for"),
        )


class PaymentOpen(Conflict):
    """One attempt at a time: the one before has not ended."""

    text = "A payment for this order is still being processed."
    details = about("order", "wait for the answer of the payment before; the order's payments tell it")


class NoOpenPayment(Conflict):
    """Only an attempt that has not ended can be ended."""

    text = "The order has no open payment."
    details = about("order", "its payments tell how each attempt ended")


class NotRefundable(Conflict):
    """Only a fulfilled order that cost something is refunded; the text has its status in lower case."""

    def __init__(self, status: str = "Refunded") -> None:
        super().__init__(
            f"You cannot refund a {status.lower()} order.",
            about("order", f"it is {status}; only a Fulfilled one that was paid for can be refunded"),
        )


class RefundOpen(Conflict):
    """All that could be given back already is on its way."""

    text = "A refund for this order is still being processed."
    details = about("order", "wait for the answer of the refund before; the order's refunds tell it")
