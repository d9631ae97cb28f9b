"""Colours, and whether people can tell them apart (WCAG 2.2)."""

import re

Colour = tuple[int, int, int]  # red, green, blue, 0 to 255

WHITE: Colour = (255, 255, 255)
READABLE = 4.5  # contrast of text, WCAG 2.2 AA


def ensure_readable(accent: str) -> None:
    """Say so when white text on the accent, and the accent on white, could not be read. Raises ValueError."""
    found = contrast(parse_colour(accent), WHITE)
    if found < READABLE:
        raise ValueError(f"{accent} is too light: white on it has a contrast of {found:.1f}, and needs {READABLE}")


def parse_colour(text: str) -> Colour:
    """`#a8234f` as red, green, blue. Raises ValueError."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text, re.ASCII):
        raise ValueError(f"{text} is no colour like #a8234f")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """The colour with a share (0 to 1) of another."""
    red, green, blue = (round(own + (its - own) * share) for own, its in zip(colour, other, strict=True))
    return red, green, blue


def readable_on(ground: Colour, colour: Colour) -> Colour:
    """The colour, mixed with as much white as it needs to be read on a dark ground."""
    lighter = (mix(colour, WHITE, step / 20) for step in range(21))
    return next((one for one in lighter if contrast(one, ground) >= READABLE), WHITE)


def written(colour: Colour) -> str:
    """`#a8234f`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
