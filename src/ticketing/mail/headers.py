"""Headers that say exactly what was meant.

The library reads the text of a header as if it came from the wire, so that somebody who is called
`=?utf-8?q?victim?=@example.com` becomes the victim. Here text is text: whoever reads the header finds it again.
"""

from email.header import Header
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, Policy
from typing import Any

ENCODED_WORD = "=?"
LONGEST_WORD = 60


class _Text(BaseHeader):
    """A header of words, like `Subject`."""

    max_count = 1

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Take the value as it is."""
        kwds["decoded"] = value
        kwds["parse_tree"] = None

    def fold(self, *, policy: Policy) -> str:
        """The header as it travels, its lines ended."""
        lines = Header(str(self), _charset(self), header_name=self.name).encode(linesep=policy.linesep)
        return f"{self.name}: {lines}{policy.linesep}"


class _Address(_Text):
    """A header with one bare address, like `To`."""

    def fold(self, *, policy: Policy) -> str:
        """The header as it travels; a local part that looks like an encoded word is quoted so that it is none."""
        local, _, domain = str(self).rpartition("@")
        if ENCODED_WORD in local:
            local = '"' + local.replace(ENCODED_WORD, "\\=?") + '"'
        return f"{self.name}: {local}@{domain}{policy.linesep}"


_REGISTRY = HeaderRegistry()
_REGISTRY.map_to_type("subject", _Text)
_REGISTRY.map_to_type("to", _Address)

WIRE = SMTP.clone(header_factory=_REGISTRY)


def new_message() -> EmailMessage:
    """A message whose `Subject` and `To` are what they are set to."""
    return EmailMessage(WIRE)


def phrase(name: str) -> str:
    """A name as it may stand before an address."""
    return Header(name, "utf-8").encode() if ENCODED_WORD in name else name


def _charset(text: str) -> str:
    """ASCII as it is where it cannot be mistaken, and can be broken into lines."""
    is_plain = text.isascii() and ENCODED_WORD not in text and all(len(word) <= LONGEST_WORD for word in text.split())
    return "us-ascii" if is_plain else "utf-8"
