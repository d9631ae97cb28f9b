"""Pure rules of tickets: serials."""

import re
import secrets
import unicodedata

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_RANDOM_LETTERS = 8


def new_serial(event_title: str, section_name: str) -> str:
    """A serial like `DAWIER-BACK75580348`; the last eight are unguessable (contract, section 2)."""
    return f"{serial_stem(event_title, section_name)}{_random_letters()}"


def serial_stem(event_title: str, section_name: str) -> str:
    """The part of a serial that tells where it opens: `DAWIER-BACK` for "Dawn Breaks Wier" and "Backstage".

    First and last three letters or digits of the title, four of the section's name, filled up with X on the right.
    """
    title = letters(event_title)
    return f"{title[:3].ljust(3, 'X')}{title[-3:].ljust(3, 'X')}-{letters(section_name)[:4].ljust(4, 'X')}"


def letters(text: str) -> str:
    """Upper-cased, accents dropped, everything but [0-9A-Z] removed."""
    return re.sub(r"[^0-9A-Z]", "", unicodedata.normalize("NFD", text.upper()))


def _random_letters() -> str:
    number = secrets.randbelow(36**_RANDOM_LETTERS)
    drawn = []
    for _ in range(_RANDOM_LETTERS):
        number, letter = divmod(number, 36)
        drawn.append(ALPHABET[letter])
    return "".join(drawn)
