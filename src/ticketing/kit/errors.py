"""What can go wrong, in the words of the contract; `operations` turns each kind into a status and a body.

Domain classes inherit from a kind and bring their text:

    class HostNotFound(NotFound):
        text = "The specified host could not be found."
"""

from collections.abc import Iterable

GENERAL_NOT_FOUND = "There is presently no resource with the given URI."
RESTRICTED = "You are restricted from accessing this resource."
UNAUTHENTICATED = "Your request could not be authenticated."
MALFORMED = (
    "Your request payload is invalid. Please ensure you have included all required fields and values are well-formed."
)

BOTH = ("error", "message")


class Refusal(Exception):
    """A request that is answered with a 4xx or 503: status, text, and the keys the text stands under."""

    status = 400
    text = MALFORMED
    keys: tuple[str, ...] = BOTH

    def __init__(self, text: str | None = None, *, headers: dict[str, str] | None = None) -> None:
        self.text = text or type(self).text
        self.headers = headers or {}
        super().__init__(self.text)

    def body(self) -> dict[str, str]:
        """The JSON object of the answer."""
        return dict.fromkeys(self.keys, self.text)


class NotFound(Refusal):
    """Nothing, or nothing any more, has this URI."""

    status = 404
    text = GENERAL_NOT_FOUND

    def __init__(self, text: str | None = None) -> None:
        super().__init__(text)
        if self.text == GENERAL_NOT_FOUND:
            self.keys = ("error",)


class UnknownEndpoint(Refusal):
    """No operation has this path."""

    status = 404
    keys = ("message",)

    def __init__(self, path: str) -> None:
        super().__init__(f"The requested endpoint {path} does not exist on this server.")


class WrongMethod(Refusal):
    """The path is known, the method is not one of its own."""

    status = 405
    text = "The requested method is not supported by this endpoint."


class UpgradeRequired(Refusal):
    """`X-Client-Version` is missing, malformed or too old."""

    status = 412
    text = "Please upgrade your client to complete this request"
    keys = ("error",)


class Unauthenticated(Refusal):
    """No key was sent, or (on /sessions/active) none that belongs to an open session."""

    status = 401
    text = UNAUTHENTICATED
    keys = ("message",)


class Restricted(Refusal):
    """The key is unknown or ended, or of a level that may not call the operation."""

    status = 403
    text = RESTRICTED
    keys = ("message",)


class Forbidden(Refusal):
    """Somebody else's thing; the text says whose."""

    status = 403


class Invalid(Refusal):
    """The request as such cannot be carried out."""

    status = 400


class Missing(Invalid):
    """Required members were not supplied."""

    def __init__(self, names: Iterable[str]) -> None:
        listed = ", ".join(names)
        super().__init__(f"The following arguments are required, but have not been supplied: {listed}.")


class InvalidValues(Invalid):
    """Members are present, but not allowed or malformed."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"The following arguments have invalid values: {', '.join(names)}.")


class TooLarge(Refusal):
    """The body is over its limit."""

    status = 413


class BodyTooSlow(Refusal):
    """The body did not arrive in time."""

    status = 408


class Conflict(Refusal):
    """The state of the thing does not allow it."""

    status = 409


class Taken(Conflict):
    """Another thing of the kind already has this value."""

    def __init__(self, noun: str, names: Iterable[str]) -> None:
        super().__init__(f"The following arguments conflict with those of another {noun}: {', '.join(names)}.")


class Unprocessable(Refusal):
    """The idempotency key was used with another body."""

    status = 422


class TooManyRequests(Refusal):
    """A limit was passed; `seconds` until it opens again, and how much it allows."""

    status = 429

    def __init__(self, seconds: int, limit: int) -> None:
        super().__init__(
            f"Too many requests. Please try again in {seconds} seconds.",
            headers={
                "Retry-After": str(seconds),
                "RateLimit-Limit": str(limit),
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": str(seconds),
            },
        )


class Busy(Refusal):
    """Overload: nothing was done, and it may be asked again in `seconds`."""

    status = 503

    def __init__(self, seconds: int = 1) -> None:
        super().__init__(
            f"The server is busy. Please try again in {seconds} seconds.",
            headers={"Retry-After": str(seconds)},
        )
