"""The languages that are spoken, each with its catalogue of texts: `xx.po` beside this file, English in the code."""

import functools
import gettext
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

PSEUDO = "qps"  # every text of it is marked, so that one which was never given to gettext shows
_PSEUDO_LOCALE = "en"


@dataclass(frozen=True)
class Language:
    """One language: how it is called, how it is written, and its texts."""

    code: str
    locale: Locale
    texts: gettext.NullTranslations

    @property
    def name(self) -> str:
        """What its speakers call it."""
        return str(self.locale.get_display_name(self.locale) or self.code).capitalize()

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return self.locale.text_direction

    def say(self, text: str) -> str:
        """The text in this language; as it is when there is none."""
        return self.texts.gettext(text) if text else ""

    def say_count(self, one: str, many: str, count: int) -> str:
        """The text that goes with so many."""
        return self.texts.ngettext(one, many, count)


LANGUAGES = ("en", "es", "fr", "de")


@functools.cache
def language_of(code: str) -> Language:
    """The language. Raises KeyError for one that is not spoken."""
    if code == PSEUDO:
        return Language(code, Locale.parse(_PSEUDO_LOCALE), _Marked())
    if code not in LANGUAGES:
        raise KeyError(code)
    if code == "en":
        return Language(code, Locale.parse("en"), gettext.NullTranslations())
    source = resources.files(__package__).joinpath(f"{code}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(source), locale=code))
    compiled.seek(0)
    return Language(code, Locale.parse(code), gettext.GNUTranslations(compiled))


def negotiate(accepted: str, offered: Sequence[str]) -> str:
    """The best of the languages offered for an `Accept-Language` header; the first of them where none fits."""
    for wanted in _by_preference(accepted[:500]):
        if wanted in offered:
            return wanted
    return offered[0]


def _by_preference(accepted: str) -> Iterable[str]:
    ranked = []
    for position, part in enumerate(accepted.split(",")):
        tag, _, parameters = part.strip().partition(";")
        quality = 1.0
        if parameters.strip().startswith("q="):
            try:
                quality = float(parameters.strip()[2:])
            except ValueError:
                continue
        if tag and quality > 0:
            ranked.append((-quality, position, tag.strip().lower().partition("-")[0]))
    return [tag for _quality, _position, tag in sorted(ranked)]


class _Marked(gettext.NullTranslations):
    """Marks each text, so that whoever reads finds those that are not translated."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"
