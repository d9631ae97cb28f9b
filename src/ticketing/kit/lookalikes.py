"""Names that look alike to a person who reads them: `admin`, `аdmin` with a Cyrillic а, `adm1n`."""

import functools
import importlib.resources
import unicodedata

import confusable_homoglyphs
import msgspec

from .identity import identity

# What is drawn alike in most fonts, beyond what Unicode lists; of names that are folded already.
_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l", "!": "l", "ı": "l"})
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def look(text: str) -> str:
    """The same for names that look alike."""
    letters = _letters()
    seen = "".join(letters.get(letter, letter) for letter in unicodedata.normalize("NFD", identity(text)))
    seen = identity(seen).translate(_ALIKE)
    for pair, letter in _PAIRS:
        seen = seen.replace(pair, letter)
    return seen


@functools.cache
def _letters() -> dict[str, str]:
    """The ASCII letter or digit that a character looks like.

    From Unicode's table of confusables, as a library has it. Its own functions keep all of it, ten megabytes.
    """
    table = importlib.resources.files(confusable_homoglyphs).joinpath("confusables.json").read_bytes()
    letters = {}
    for character, alike in msgspec.json.decode(table).items():
        if len(character) == 1 and not character.isascii():
            ascii_ones = [one["c"] for one in alike if one["c"].isascii() and one["c"].isalnum()]
            if ascii_ones:
                letters[character] = ascii_ones[0].lower()
    return letters
