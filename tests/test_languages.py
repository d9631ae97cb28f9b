"""The languages of the pages: every text stands in each, with the same places to fill; dates and money."""

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

import ticketing.languages
import ticketing.pages
from ticketing.languages import LANGUAGES, PSEUDO, amount, language_of, moment_of, negotiate

PAGES = Path(ticketing.pages.__file__).parent
CATALOGUES = Path(ticketing.languages.__file__).parent
PLACE = re.compile(r"%\(\w+\)s")


def texts() -> set[Any]:
    """All texts that the pages give to gettext; pairs where there is a plural."""
    found: set[Any] = set()
    for path in PAGES.glob("*.py"):
        found |= {text for _line, text, *_rest in extract_from_file("python", str(path), keywords={"N_": None})}
    options = {"extensions": "jinja2.ext.i18n,jinja2.ext.do", "trimmed": "true", "encoding": "utf-8"}
    for path in (PAGES / "templates").glob("*.html"):
        with path.open("rb") as file:
            for _line, _function, text, _comments in babel_extract(file, ("_", "ngettext", "gettext"), (), options):
                parts = tuple(part for part in text if part)[:2] if isinstance(text, tuple) else (text,)
                found.add(parts[0] if len(parts) == 1 else parts)
    return found


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_every_text_of_the_pages_is_translated(code: str) -> None:
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=code)
    told = {
        message.id if isinstance(message.id, str) else tuple(message.id): message for message in catalogue if message.id
    }
    wanted = texts()
    assert len(wanted) > 500
    assert sorted(map(str, wanted - told.keys())) == [], "to be translated"
    assert sorted(map(str, told.keys() - wanted)) == [], "said nowhere any more"
    for text, message in told.items():
        forms = [message.string] if isinstance(text, str) else list(message.string)
        assert all(forms), text
        places = set(PLACE.findall(text if isinstance(text, str) else text[1]))
        for form in forms:
            assert set(PLACE.findall(form)) == places, (text, form)


def test_no_template_has_a_script_or_a_style_of_its_own() -> None:
    """The content security policy forbids them; data for search engines is no script that runs."""
    for path in (PAGES / "templates").glob("*.html"):
        html = path.read_text()
        assert not re.search(r"\sstyle=|<style|\son\w+=", html), path.name
        assert not re.search(r"<script(?![^>]*(src=|application/ld\+json))", html), path.name


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", "en"),
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("xx, fr;q=0.2, es;q=0.7", "es"),
        ("ja", "en"),
        ("en;q=0, fr", "fr"),
        ("de;q=nonsense", "en"),
        ("," * 10_000, "en"),
    ],
)
def test_the_language_is_the_best_that_is_offered(accepted: str, chosen: str) -> None:
    assert negotiate(accepted, LANGUAGES) == chosen


def test_moments_and_money_are_written_as_people_write_them() -> None:
    moment = moment_of("2034-06-07T20:00", "America/Antigua")
    assert moment is not None
    assert moment.date(language_of("de")) == "Mittwoch, 7. Juni 2034"
    assert moment.time(language_of("fr")) == "20:00"
    assert (moment.offset, moment.iso) == ("UTC-4", "2034-06-07T20:00:00-04:00")
    elsewhere = moment_of("2034-06-07T20:00+02:00", "America/Antigua")
    assert elsewhere is not None
    assert elsewhere.iso == "2034-06-07T14:00:00-04:00"
    for none in ("", "N/A", "tonight", "9999-12-31T23:59:59.999Z" * 2, "2034-02-30T10:00"):
        assert moment_of(none) is None
    assert moment_of("9999-12-31T23:59:59.999Z", "Pacific/Kiritimati") is None  # beyond what can be told
    assert amount(language_of("de"), 1234.5, "EUR") == "1.234,50\xa0€"
    assert amount(language_of("en"), 0, "USD") == "$0.00"


def test_the_pseudo_language_marks_every_text() -> None:
    assert language_of(PSEUDO).say("Cart") == "⟦Cart⟧"
    with pytest.raises(KeyError):
        language_of("tlh")
