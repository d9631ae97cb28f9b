"""Every line that the platform logs during the run is read: none may hold a secret or tell who somebody is.

Whoever makes a person registers what must never be seen; the lines come from the application in this process (as
pytest captured them) and from servers that tests start. `conftest` fails the run when something was found.
"""

import re
from collections.abc import Iterable

from ticketing.payments.providers.cards import PARTS

SECRETS: set[str] = {*PARTS, "5555555555555555"}
leaks: list[str] = []

_TOKEN = re.compile(r"[0-9A-Za-z]+")
_ADDRESS = re.compile(r"[\w.+%-]+@[\w-]+\.[\w.-]+")


def keep_secret(*texts: str) -> None:
    """Remember texts (of letters and digits) that no line may hold: keys, passwords, usernames, cards."""
    SECRETS.update(text for text in texts if len(text) >= 4)


def read_lines(lines: Iterable[str]) -> None:
    """Look at log lines.

    What is no JSON (progress, what pytest or a demo prints) is not ours to judge, nor is the description of the API,
    which a command prints: its examples name cards and people.
    """
    leaks.extend(
        f"{', '.join(sorted(found))} in: {line.strip()[:300]}"
        for line in lines
        if line.startswith("{") and not line.startswith('{"openapi":') and (found := find_leaks(line))
    )


def find_leaks(line: str) -> set[str]:
    """The secrets and e-mail addresses in a line."""
    digits = re.sub(r"(?<=\d)[ -](?=\d)", "", line)
    return (SECRETS & {*_TOKEN.findall(line), *_TOKEN.findall(digits)}) | set(_ADDRESS.findall(line))
