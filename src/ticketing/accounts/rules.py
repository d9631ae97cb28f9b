"""What a name, an address, a password and a phone number may be; how numbers are made and codes are judged."""

import re
import secrets
import string
import unicodedata
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

import email_validator
import idna
import phonenumbers

from ticketing.kit.identity import address_identity, is_known, is_visible
from ticketing.kit.unicode import BLANK, IGNORABLE

# Nothing is delivered here, and an installation may well live under `.local` or `.test`.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

USERNAME_LENGTH = 64
PASSWORD_LENGTHS = range(8, 257)
PHONE_LENGTH = 50

# What each asks for, in words.
AN_ADDRESS = "an e-mail address"
A_PHONE = f"a telephone number of at most {PHONE_LENGTH} characters"

_PHONE_START = re.compile(r"[+(]?\s*[+(]?\s*\d")


def is_username(text: str) -> bool:
    """Whether a person may go by this name: 1 to 64 characters, none of them invisible, no space at either end."""
    return (
        0 < len(text) <= USERNAME_LENGTH
        and text == text.strip()
        and is_visible(text)
        and is_known(text)
        and not any(unicodedata.category(letter)[0] == "C" or letter in IGNORABLE or letter in BLANK for letter in text)
    )


def is_somebodys_address(username: str, email: str) -> bool:
    """Whether the username looks like an address that is not its bearer's own.

    People are identified by either, so nobody may go by what is, or may become, another's address.
    """
    return "@" in username and address_identity(username) != address_identity(email)


def is_email(text: str) -> bool:
    """Whether mail could be sent there; only the form is looked at."""
    return wire_address(text) is not None


def wire_address(text: str) -> str | None:
    """The address as a mail server is told it: the local part as it is, the domain by IDNA 2008; None when it is none.

    Where one label is written from right to left, all must keep the Bidi rule (RFC 5893, section 2).
    """
    try:
        found = email_validator.validate_email(text, strict=True, check_deliverability=False)
        labels = found.domain.split(".")
        if any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in found.domain):
            for label in labels:
                idna.check_bidi(label, check_ltr=True)
    except (email_validator.EmailNotValidError, idna.IDNAError):
        return None
    return f"{text.rpartition('@')[0]}@{found.ascii_domain}"


def is_password(text: str) -> bool:
    """Whether this is long enough to be guessed by nobody and short enough to be hashed."""
    return len(text) in PASSWORD_LENGTHS


class ChangedBy(StrEnum):
    """Who set a password, or dropped it.

    Its owner where he is signed in, replacing one (`OWNER`) or for the first time (`FIRST`); whoever read a code to
    reset it (`CODE`), or one to sign in at an address that had not been verified (`PROOF`); who runs the server.
    """

    OWNER = "owner"
    FIRST = "first"
    CODE = "code"
    PROOF = "proof"
    SERVER = "server"


def is_code(text: str) -> bool:
    """Whether this looks like a code that was sent by mail."""
    return len(text) == 6 and text.isascii() and text.isdigit()


def is_phone(text: str) -> bool:
    """Whether this can be a phone number, national or international, however it is written.

    Without a `+` the country is not known for sure, so only what is none anywhere is refused.
    """
    if len(text) > PHONE_LENGTH or not _PHONE_START.match(text):
        return False
    try:
        phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        return False
    return True


def new_number(username: str) -> str:
    """An account number: two letters of the username (`X` filling up), a hyphen, eight random ones or digits."""
    plain = unicodedata.normalize("NFKD", username).upper()
    letters = [letter for letter in plain if letter in string.ascii_uppercase]
    random = (secrets.choice(string.digits + string.ascii_uppercase) for _ in range(8))
    return f"{''.join(letters[:2]):X<2}-{''.join(random)}"


def new_username() -> str:
    """A name for somebody who gave none: neutral, and never the address."""
    return f"guest-{''.join(secrets.choice(string.digits + string.ascii_lowercase) for _ in range(12))}"


class Verdict(Enum):
    """What becomes of a code that somebody tries."""

    CLOSED = auto()  # its request is completed or has expired
    REFUSED_TODAY = auto()  # too many wrong ones for the account already: it is not looked at
    WRONG = auto()
    RIGHT = auto()


@dataclass(frozen=True, slots=True)
class Tried:
    """A code that somebody tries: how its request stands, and the wrong ones of the account's day before it."""

    closed: bool
    wrong_today: int
    right: bool


def judge(tried: Tried, most_wrong_a_day: int) -> Verdict:
    """Whether this code is taken, and if not, why."""
    if tried.closed:
        return Verdict.CLOSED
    if tried.wrong_today >= most_wrong_a_day:
        return Verdict.REFUSED_TODAY
    return Verdict.RIGHT if tried.right else Verdict.WRONG
