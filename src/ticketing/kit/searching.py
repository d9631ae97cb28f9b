"""Finding names by words: in any order, by parts of words, accents and case ignored, in every script.

The database that comes along knows trigrams of ASCII alone, so texts are folded here, and cut into the pieces of two or
three letters that an index of arrays finds them by. Scripts without spaces have pieces of one letter too.
"""

import re
import unicodedata
from itertools import pairwise

MOST_WORDS = 10
LONGEST_WORD = 50

_IDEOGRAPHIC = "\u2e80"  # from here on one letter may be a word
_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """The text as it is searched: without accents and case, words apart by single spaces."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = "".join(letter for letter in plain if unicodedata.category(letter) not in ("Mn", "Me", "Cf"))
    return " ".join(_WORD.findall(letters))


def pieces(folded: str) -> list[str]:
    """What an index finds a folded text by."""
    found: set[str] = set()
    for word in folded.split():
        found |= {letter for letter in word if letter >= _IDEOGRAPHIC}
        found |= {first + second for first, second in pairwise(word)}
        found |= {word[place : place + 3] for place in range(len(word) - 2)}
    return sorted(found)


def pieces_of_word(word: str) -> list[str]:
    """The pieces that a folded text must have to contain this word; none for a single letter of an alphabet."""
    if len(word) >= 3:
        return sorted({word[place : place + 3] for place in range(len(word) - 2)})
    return [word] if len(word) == 2 or word >= _IDEOGRAPHIC else []
