"""The same name twice: one key per identifying text, made by one rule, stored beside the text that is echoed as sent.

Two texts are one name when they look or sound alike to a person who types them: composed or not, in any case, with
other white space, with something invisible between. The key is made here and nowhere else - the database's `lower`
knows other rules than Python's - and what it is made of never changes (`unicode`).
"""

import re
import unicodedata

import idna

from .unicode import BLANK, IGNORABLE, UNASSIGNED

# What may end a name though it is not drawn by itself: how the symbol before it is drawn, and whose flag it is.
_VARIATION = re.compile("(?:[\ufe0e\ufe0f]|(?<=\U0001f3f4)[\U000e0030-\U000e007a]{2,6}\U000e007f)+$")


# What begins a new line, or moves the pen otherwise; tabs do no harm.
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_LINES = re.compile("[\n\r\u2028\u2029\x85]")


def identity(text: str) -> str:
    """The key of a name or title: NFKC and case folding to a fixed point, nothing ignorable, single spaces."""
    key = text
    while True:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
        folded = "".join(letter for letter in folded if letter not in IGNORABLE)
        if folded == key:
            return " ".join(key.split())
        key = folded


def address_identity(address: str) -> str:
    """The key of an e-mail address: a domain in Unicode and its form for the wire (IDNA 2008) are one."""
    local, at, domain = address.rpartition("@")
    return f"{identity(local)}{at}{domain_identity(domain)}" if at else identity(address)


def person_identity(text: str) -> str:
    """The key of what somebody goes by: a username, or (with an `@`) an e-mail address."""
    return address_identity(text) if "@" in text else identity(text)


def domain_identity(domain: str) -> str:
    """A domain in its form for the wire; one that has none (nobody's) as a name.

    Not by case folding: since IDNA 2008 `straße.example` and `strasse.example` are two domains.
    """
    plain = domain.strip().rstrip(".")
    try:
        unicode = idna.decode(plain, uts46=True) if "xn--" in plain.lower() else plain
        return idna.encode(unicode, uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        return identity(plain)


def is_known(text: str) -> bool:
    """Whether every letter is assigned in the Unicode that keys are made by."""
    return not any(letter in UNASSIGNED for letter in text)


def has_controls(text: str, *, lines: bool) -> bool:
    """Whether it has control characters; line breaks are none where it may have `lines`."""
    return _CONTROLS.search(_LINES.sub("", text) if lines else text) is not None


def is_visible(text: str) -> bool:
    """Whether there is anything to be seen."""
    return any(_is_drawn(letter) for letter in text)


def is_drawn_to_its_ends(text: str) -> bool:
    """Whether it neither begins nor ends with something invisible, spaces aside; inside, letters may be joined."""
    seen = _VARIATION.sub("", text.strip())
    return bool(seen) and _is_drawn(seen[0]) and _is_drawn(seen[-1])


def _is_drawn(letter: str) -> bool:
    return unicodedata.category(letter)[0] not in "CZ" and letter not in IGNORABLE and letter not in BLANK
