"""What can go wrong, in the words of the contract; `protocol` turns each kind into a status and a body.

Domain classes inherit from a kind and bring their text, and those of a 400 or a 409 also what to do about it:

    class HostNotFound(NotFound):
        text = "The specified host could not be found."

    class RegionHasVenues(Conflict):
        text = "A region cannot be deleted if it has venues attached"
        details = about("region", "remove its venues first")
"""

from collections.abc import Mapping
from typing import Any

GENERAL_NOT_FOUND = "There is presently no resource with the given URI."
RESTRICTED = "You are restricted from accessing this resource."
UNAUTHENTICATED = "Your request could not be authenticated."
MALFORMED = (
    "Your request payload is invalid. Please ensure you have included all required fields and values are well-formed."
)

BOTH = ("error", "message")

LONGEST_QUOTE = 80  # characters of what somebody sent that are said back to him


def about(name: str, sentence: str) -> Mapping[str, str]:
    """The details of a refusal that is about one thing.

    That is a member, parameter or header by its name, or what the request is about by its noun (`order`, `body`).
    """
    return {name: sentence}


def quoted(value: str) -> str:
    """What somebody sent, as it is said back: no more of it than tells which one is meant."""
    return f'"{value if len(value) <= LONGEST_QUOTE else value[:LONGEST_QUOTE] + "..."}"'


class Refusal(Exception):
    """A request that is answered with a 4xx or 503: status, text, and the keys the text stands under.

    `details` says besides, in a sentence for people under the name of each thing it is about, what to do.
    """

    status = 400
    text = MALFORMED
    keys: tuple[str, ...] = BOTH
    details: Mapping[str, str] = {}

    def __init__(self, text: str | None = None, *, headers: dict[str, str] | None = None) -> None:
        self.text = text or type(self).text
        self.headers = headers or {}
        super().__init__(self.text)

    def body(self) -> dict[str, Any]:
        """The JSON object of the answer."""
        body: dict[str, Any] = dict.fromkeys(self.keys, self.text)
        return {**body, "details": self.details} if self.details else body


class Explained(Refusal):
    """One that is never made without `details`: those of its class, or of the one refusal."""

    def __init_subclass__(cls) -> None:
        """Refuse a class that brings a text of its own without details of its own."""
        if "text" in vars(cls) and "details" not in vars(cls):
            raise TypeError(f"{cls.__name__} says what is wrong, but in no `details` what to do about it")

    def __init__(self, text: str | None = None, details: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.details = details or type(self).details
        if not self.details:
            raise TypeError(f"{type(self).__name__} without details")


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


class Invalid(Explained):
    """The request as such cannot be carried out."""

    status = 400


class Malformed(Invalid):
    """The body is no JSON object."""

    text = MALFORMED
    details = about("body", "must be a JSON object in UTF-8")


class Missing(Invalid):
    """Required members were not supplied: a sentence about each, in the order in which they are listed."""

    def __init__(self, members: Mapping[str, str]) -> None:
        listed = ", ".join(members)
        super().__init__(f"The following arguments are required, but have not been supplied: {listed}.", members)


class InvalidValues(Invalid):
    """Members are present, but not allowed or malformed: a sentence about each, in the order of listing."""

    def __init__(self, members: Mapping[str, str]) -> None:
        super().__init__(f"The following arguments have invalid values: {', '.join(members)}.", members)


class TooLarge(Explained):
    """The body is over its limit, in bytes."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(None, about("body", f"larger than {mebibytes(limit)}"))


def mebibytes(count: int) -> str:
    """A limit in bytes, as people read it: `16 MiB`."""
    return f"{count / 2**20:g} MiB"


class BodyTooSlow(Explained):
    """The body did not arrive in time."""

    status = 408
    text = MALFORMED
    details = about("body", "did not arrive in time")


class Conflict(Explained):
    """The state of the thing does not allow it."""

    status = 409


class Taken(Conflict):
    """Another thing of the kind already has these values, by member."""

    def __init__(self, noun: str, members: Mapping[str, str]) -> None:
        super().__init__(
            f"The following arguments conflict with those of another {noun}: {', '.join(members)}.",
            {name: f"another {noun} has {quoted(value)} already" for name, value in members.items()},
        )


class Unprocessable(Explained):
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
