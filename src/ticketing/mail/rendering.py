"""Templates: each letter's text and HTML, with whatever people typed made harmless."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from .content import Content, Person

LONGEST_SUBJECT = 150

# Marks that turn the direction of what follows them: with one, a name can rewrite the sentence it stands in.
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])
# What mail programs make a link of; nobody's name needs it, and a stranger's mail must not carry an advertisement.
_LINKLIKE = re.compile(r"[/:@]|\.\w|\bwww\b", re.IGNORECASE)
LONGEST_NAME = 60

# Where a space keeps a text from becoming a link, and readable: `evil. example`, `https: //`, `me@ host`. What only
# looks like a dot counts; 19:30, 2.0 and 12.06.2027 are no links.
_JOINTS = re.compile(
    r"(?<=\w)[.\u2024\uff0e](?=[^\W\d_])|(?<=[a-z0-9])[\u3002\uff61](?=[a-z0-9])"
    r"|(?<=[^\W\d_])[:\uff1a](?=\S)|[@\uff20](?=\S)|\\(?=\\)",
    re.IGNORECASE,
)
_IP_ADDRESS = re.compile(r"\d+(?:\.\d+){3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter as it is read."""

    subject: str
    text: str
    html: str


class Renderer:
    """The templates, loaded once: `NAME.txt` (its block `subject` is the subject) and `NAME.html`."""

    def __init__(self, platform: str) -> None:
        self._environment = Environment(
            loader=PackageLoader("ticketing.mail"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["quoted"] = quoted
        self._environment.globals["tickets"] = tickets
        self._platform = one_line(platform)

    def render(self, letter: str, person: Person, content: Content, *, attached: bool = False) -> Rendered:
        """The letter to this person; `attached`: its tickets go along."""
        facts: dict[str, Any] = {
            "platform": self._platform,
            "account": person.number,
            "greeting": person_name(person.first_name),
            "attached": attached,
            **content.facts,
        }
        text = self._environment.get_template(f"{letter}.txt")
        context = text.new_context(facts)
        subject = one_line("".join(text.blocks["subject"](context)))[:LONGEST_SUBJECT].rstrip()
        html = self._environment.get_template(f"{letter}.html").render(facts, subject=subject)
        return Rendered(subject, _tidy(text.render(facts)), html)


def clean(text: str) -> str:
    """The text without control characters other than line ends, and without marks that turn its direction."""
    kept = "\n".join(text.splitlines()).translate(_TURNING)
    return "".join(one for one in kept if one == "\n" or unicodedata.category(one) not in ("Cc", "Cs", "Co", "Cn"))


def words(text: str) -> str:
    """What somebody wrote, harmless; "" when nothing is left of it."""
    return clean(text).strip()


def one_line(text: str) -> str:
    """The text on one line, harmless in a header."""
    return " ".join(clean(re.sub(r"\s", " ", text)).split())


def unlinked(text: str) -> str:
    """The text with a space where a mail program would see an address of the web or of mail."""
    text = _IP_ADDRESS.sub(lambda address: address[0].replace(".", ". "), text)
    return _JOINTS.sub(lambda joint: f"{joint[0]} ", text)


def title(text: str) -> str:
    """What somebody called an event, a section or a place, as a letter may say it: one line, and no link."""
    return unlinked(one_line(text))


def person_name(*parts: str) -> str:
    """Somebody's name as a letter may say it; "" when it is none that a letter should carry to strangers."""
    name = one_line(" ".join(parts))
    return "" if len(name) > LONGEST_NAME or _LINKLIKE.search(name) else name


def quoted(text: str) -> str:
    """Somebody's words in plain text: every line marked, so that none passes for ours."""
    return "\n".join(f"> {line}".rstrip() for line in words(text).splitlines())


def tickets(count: int) -> str:
    """`ticket`, or `3 tickets`, as it follows "your"."""
    return "ticket" if count == 1 else f"{count} tickets"


def _finalize(value: Any) -> Any:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _tidy(text: str) -> str:
    """No trailing blanks, no more than one empty line."""
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"
