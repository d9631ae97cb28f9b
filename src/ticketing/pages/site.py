"""What the pages of one server have in common: its name and looks, where it stands, who its visitors are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ticketing.kit.colours import WHITE, mix, parse_colour, readable_on, written
from ticketing.languages import LANGUAGES

INK = (16, 17, 20)
DARK_GROUND = (28, 29, 34)  # of cards, the lighter of the two


@dataclass(frozen=True)
class Site:
    """How the pages look and where they are; handed in when the application is built.

    `visitors_keys()` are the public keys with which the API is called for whoever is not signed in, the one to use
    first; `public_url` is the origin under which the pages are reached (`https://tickets.example.com`), "" where it is
    that of each request.
    """

    visitors_keys: Callable[[], Sequence[str]]
    name: str = "TickeTing"
    logo_url: str = ""
    accent: str = "#a8234f"
    public_url: str = ""
    media_url: str = ""
    imprint_url: str = ""
    privacy_url: str = ""
    languages: tuple[str, ...] = LANGUAGES
    currency: str = "USD"
    tickets_per_order: int = 50
    payment_provider: str = "sandbox"
    stripe_publishable_key: str = ""
    stripe_script: str = "https://js.stripe.com/v3/"
    is_demo: bool = False
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def visitors_key(self) -> str:
        """The public key of whoever is not signed in."""
        return self.visitors_keys()[0]

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it by https."""
        return self.public_url.startswith("https://")

    @property
    def media_origin(self) -> str:
        """The origin of pictures, for the content security policy; "" where it is our own."""
        parts = urlsplit(self.media_url)
        return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""

    def theme(self) -> str:
        """The style sheet's colours, made from the accent so that text on them and in them can be read."""
        accent = parse_colour(self.accent)
        on_dark = readable_on(DARK_GROUND, accent)
        return (
            f":root{{--accent:{written(accent)};--on-accent:#fff;--accent-soft:{written(mix(accent, WHITE, 0.9))}}}"
            "@media (prefers-color-scheme:dark){:root{"
            f"--accent:{written(on_dark)};--on-accent:{written(INK)};"
            f"--accent-soft:{written(mix(accent, INK, 0.72))}}}}}\n"
        )
