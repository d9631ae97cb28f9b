"""What letters say: each one's text and HTML, and whatever people typed made harmless."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketing.letters.posting import KINDS
from ticketing.mail.audiences import AUDIENCES
from ticketing.mail.composing import COMPOSERS
from ticketing.mail.content import Content, Person
from ticketing.mail.happenings import Happening, moments, tell_apart, zone_name
from ticketing.mail.order_letters import money
from ticketing.mail.rendering import (
    LONGEST_SUBJECT,
    Rendered,
    Renderer,
    clean,
    one_line,
    person_name,
    quoted,
    title,
    words,
)

BOB = Person(1, "BO-6A39EE8D", "bob@example.com", "bob", "Bob")
WHEN = "Saturday, 12 June 2027, 17:00 to 21:00 (Antigua time, UTC−4)"
JAZZ = Happening(1, "Jazz & Soca", WHEN, "Lookout", "Shirley Heights", "English Harbour", "Wadadli <Nights>")
OPEN = Happening(1, "Jazz & Soca", "", "Harpa", "Austurbakki 2", "Reykjavík", "Wadadli <Nights>")
LINES = [
    {"section": "Lawn", "quantity": 2, "amount": "free"},
    {"section": "Terrace", "quantity": 1, "amount": "45.00 USD"},
]
ORDER = {
    "number": "5F0CA11AB1E5",
    "free": False,
    "subtotal": "45.00 USD",
    "fees": "0.99 USD",
    "total": "45.99 USD",
    "events": [(JAZZ, LINES)],
    "count": 3,
}
REFUND = {"number": "5F0CA11AB1E5", "amount": "45.99 USD", "reason": "", "events": [(JAZZ, LINES[1:])], "count": 1}
TRANSFER = {"sent": True, "other": "Cleo Day", "other_number": "CL-1", "events": [(JAZZ, LINES[:1])], "count": 2}
CODE = {"code": "271828", "halves": ("271", "828"), "minutes": 30, "takes_back": False}

# Each letter with facts, and what both its text and its HTML (as it is read) must say.
SAMPLES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("welcome", {"has_password": True}, ["Welcome to Ting & Co", "BO-6A39EE8D", "without the password nobody gets in"]),
    ("welcome", {"has_password": False}, ["BO-6A39EE8D", "You sign in with a code", "set one in your account"]),
    ("verification", CODE, ["271828", "within 30 minutes"]),
    ("reset", CODE | {"minutes": 5}, ["271828", "within 5 minutes", "every device is signed out"]),
    ("reset", CODE | {"takes_back": True}, ["271828", "the address of your account again"]),
    (
        "password_changed",
        {"by": "owner", "resets": True},
        ["Every other device was signed out; that one stays signed in.", "Ask for a password reset at", "BO-6A39EE8D"],
    ),
    (
        "password_changed",
        {"by": "owner", "resets": False},
        ["that one stays signed in", "Have whoever runs our server set another one at once"],
    ),
    ("password_changed", {"by": "code", "resets": True}, ["every device was signed out", "Secure your mailbox first"]),
    ("password_changed", {"by": "server", "resets": False}, ["by those who run Ting & Co", "every device was signed"]),
    ("codes_exhausted", {"has_password": True}, ["no further code for it until tomorrow", "Your password still works"]),
    ("codes_exhausted", {"has_password": False}, ["no further code for it until tomorrow", "you stay signed in"]),
    (
        "sign_in",
        CODE | {"is_made": False},
        ["Your code to sign in", "271828", "within 30 minutes", "because of your account BO-6A39EE8D"],
    ),
    ("sign_in", CODE | {"is_made": True}, ["271828", "you get an account at Ting & Co", "this address was entered"]),
    ("password_changed", {"by": "first", "resets": True}, ["Your account has a password now", "that one stays signed"]),
    ("password_changed", {"by": "proof", "resets": True}, ["Your password no longer works", "somebody else may have"]),
    ("email_changed", {"days": 0}, ["another e-mail address", "tell support your account number, BO-6A39EE8D"]),
    ("email_changed", {"days": 7}, ["You can take it back from here for 7 days", "a password reset", "BO-6A39EE8D"]),
    ("deactivated", {"reason": ""}, ["can no longer be used"]),
    ("deactivated", {"reason": "Two people\ncomplained."}, ["Two people", "complained."]),
    (
        "deletion_requested",
        {"number": "AL-1", "who": "Alice Joseph", "reason": "I move."},
        ["Alice Joseph", "AL-1", "I move."],
    ),
    ("order_fulfilled", ORDER, ["5F0CA11AB1E5", "Jazz & Soca", WHEN, "45.99 USD", "Terrace", "Your 3 tickets"]),
    (
        "order_fulfilled",
        ORDER | {"free": True, "count": 1},
        ["Your order 5F0CA11AB1E5", "Your ticket is in your wallet"],
    ),
    ("order_timed_out", ORDER, ["5F0CA11AB1E5", "You were not charged."]),
    ("refund", REFUND, ["45.99 USD", "five to ten days", "This ticket is no longer valid."]),
    ("refund", REFUND | {"reason": "Rain"}, ["Rain"]),
    ("payment_returned", REFUND | {"events": [], "count": 0}, ["45.99 USD", "5F0CA11AB1E5"]),
    ("transfer_received", TRANSFER | {"sent": False}, ["Cleo Day", "Lawn", "claim the transfer"]),
    ("transfer_received", TRANSFER | {"other": "", "count": 1}, ["Somebody (account CL-1) wants to hand a ticket on"]),
    ("transfer_claimed", TRANSFER, ["Cleo Day claimed", "no longer in your wallet"]),
    ("transfer_cancelled", TRANSFER, ["to Cleo Day was cancelled", "in your wallet again"]),
    ("transfer_cancelled", TRANSFER | {"sent": False, "other": ""}, ["from CL-1 to you was cancelled"]),
    ("event_cancelled", {"event": JAZZ, "count": 2, "reason": ""}, ["Jazz & Soca", WHEN, "comes back by itself"]),
    ("event_cancelled", {"event": JAZZ, "count": 1, "reason": "The hall\nis flooded."}, ["The hall", "is flooded."]),
    (
        "event_changed",
        {"event": JAZZ, "before": OPEN, "count": 1},
        [WHEN, "Lookout", "Harpa", "Your ticket stays valid"],
    ),
    ("event_changed", {"event": OPEN, "before": JAZZ, "count": 2}, ["The date is open.", WHEN, "Your tickets stay"]),
    ("tickets_voided", {"event": JAZZ, "count": 1}, ["it opens no gate", "Jazz & Soca"]),
    ("tickets_voided", {"event": JAZZ, "count": 2}, ["they open no gate", "from whom you have them"]),
    ("section_removed", {"event": JAZZ, "section": "Lawn", "count": 1}, ["Lawn", "your ticket"]),
    ("host_invitation", {"host": "Wadadli <Nights>", "inviter": "Cleo Day"}, ["Cleo Day asks you", "Wadadli <Nights>"]),
    ("host_invitation", {"host": "Wadadli", "inviter": ""}, ["Somebody asks you"]),
    (
        "submission_decided",
        {"event": JAZZ, "approved": True, "changed": False, "note": ""},
        ["approved it", "Wadadli <Nights>"],
    ),
    ("submission_decided", {"event": JAZZ, "approved": True, "changed": True, "note": ""}, ["what you changed"]),
    ("submission_decided", {"event": JAZZ, "approved": False, "changed": True, "note": "No."}, ["what it was before"]),
    (
        "submission_decided",
        {"event": JAZZ, "approved": False, "changed": False, "note": "No <b>."},
        ["did not approve it", "No <b>."],
    ),
]


class Reader(HTMLParser):
    """HTML as it is read; what was opened is closed."""

    VOID = ("meta", "br", "img", "hr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pieces: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "iframe", "object", "form", "img", "link"}
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in {"p", "td", "h1", "div"}:
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and "title" not in self.open:
            self.pieces.append(data)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer("Ting & Co")


def check(rendered: Rendered) -> Reader:
    """What holds for every letter; its HTML."""
    read = Reader(rendered.html)
    assert read.open == []
    assert not [name for name, _value in read.attributes if name.startswith("on") or name in {"href", "src"}]
    assert 0 < len(rendered.subject) <= LONGEST_SUBJECT
    assert rendered.subject == one_line(rendered.subject)
    assert "\n\n\n" not in rendered.text
    for text in (rendered.text, rendered.html):
        assert "{{" not in text
        assert "Undefined" not in text
    return read


@pytest.mark.parametrize(("letter", "facts", "said"), SAMPLES)
def test_text_and_html_say_the_same(renderer: Renderer, letter: str, facts: dict[str, Any], said: list[str]) -> None:
    rendered = renderer.render(letter, BOB, Content(facts))
    html, text = check(rendered).text, " ".join(rendered.text.split())
    for phrase in ["Hello Bob,", "Ting & Co", "It was sent automatically", *said]:
        assert phrase in html
        assert phrase in f"{rendered.subject} {text}"
    assert "&amp;" not in rendered.text
    assert "</" not in rendered.text.replace("<b>", "")


def test_every_letter_has_a_composer_templates_a_sample_and_an_audience() -> None:
    assert set(COMPOSERS) == set(KINDS) == {letter for letter, _facts, _said in SAMPLES}
    assert set(AUDIENCES) == {name for name, kind in KINDS.items() if kind.to_all}


TYPED = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from("\r\n\x00<>&\"'{}%\u202e\u2066\u200f🎷س")), max_size=80
)


@given(title=TYPED, note=TYPED, name=TYPED)
def test_whatever_is_typed_is_harmless(renderer: Renderer, title: str, note: str, name: str) -> None:
    event = Happening(1, one_line(title), one_line(name), one_line(note), "", "", one_line(name))
    person = Person(1, "BO-1", "", "", name)
    content = Content({"event": event, "approved": False, "changed": False, "note": words(note)})
    rendered = renderer.render("submission_decided", person, content)
    check(rendered)
    for character in "\r\x00\u202e\u2066\u200f":
        assert character not in rendered.subject + rendered.text + rendered.html
    quote = rendered.text.partition("What the reviewer wrote:\n\n")[2].partition("\n\n--\n")[0]
    assert all(line.startswith(">") for line in quote.splitlines())


def test_words_of_others_are_marked_line_by_line() -> None:
    assert quoted(" One\r\n\nTwo\u202e\x07 \n") == "> One\n>\n> Two"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("Zoë  Day", "Zoë Day"),
        ("J. R. Day", "J. R. Day"),
        ("Anna\u202e\r\nBcc", "Anna Bcc"),
        ("Win at https://evil.example", ""),
        ("evil.example", ""),
        ("WWW evil", ""),
        ("me@evil", ""),
        ("x" * 61, ""),
        ("", ""),
    ],
)
def test_a_name_that_a_letter_should_not_carry_to_strangers_is_left_out(typed: str, said: str) -> None:
    assert person_name(typed) == said


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("Jazz & Soca", "Jazz & Soca"),
        ("Doors 19:30, 12.06.2027, 2.0 for 1", "Doors 19:30, 12.06.2027, 2.0 for 1"),
        ("J. R. Day: live...", "J. R. Day: live..."),
        ("Pay at https://evil.example/now", "Pay at https: //evil. example/now"),
        ("www.evil.example", "www. evil. example"),
        ("EVIL.COM", "EVIL. COM"),
        ("http://192.0.2.1/", "http: //192. 0. 2. 1/"),
        ("me@evil.example", "me@ evil. example"),
        ("mailto:me", "mailto: me"),
        ("tel:123", "tel: 123"),
        ("evil\uff0ecom evil\u3002com evil\u2024com", "evil\uff0e com evil\u3002 com evil\u2024 com"),
        ("münchen.de", "münchen. de"),
        ("\\\\server\\share", "\\ \\server\\share"),
        ("Two\r\nlines\u2028three", "Two lines three"),
        ("開演。終演", "開演。終演"),
    ],
)
def test_a_title_is_one_line_and_no_link(typed: str, said: str) -> None:
    assert title(typed) == said
    assert title(said) == said


# What mail programs make a link of, roughly: a scheme with something behind it, an address, a host with a known ending.
LINK = re.compile(
    r"\b(https?|ftp|file|mailto|tel|sms):\S|\w@\w|\w[.\u2024\uff0e](com|net|example|de)\b|\d\.\d+\.\d+\.\d",
    re.IGNORECASE,
)
PIECES = [
    "https",
    "mailto",
    ":",
    "//",
    "www",
    ".",
    "evil",
    "com",
    "example",
    "@",
    "me",
    " ",
    "192",
    "0",
    "\n",
    "\uff0e",
    "-",
    "(",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_no_title_has_a_link_in_it(typed: str) -> None:
    assert not LINK.search(title(typed))
    assert re.sub(r"\s", "", title(typed)) == re.sub(r"\s", "", typed)


def test_no_letter_makes_a_link_of_what_others_typed(renderer: Renderer) -> None:
    for letter, facts, _said in SAMPLES:
        rendered = renderer.render(letter, BOB, Content(facts))
        assert not LINK.search(rendered.text.replace("Hello Bob:", "")), letter


def test_text_is_kept_but_for_what_controls() -> None:
    assert clean("é 中 \U0001f3b7\tx\x1b[31m\ue000\r\ny") == "é 中 \U0001f3b7x[31m\ny"


@pytest.mark.parametrize(
    ("start", "end", "zone", "said"),
    [
        (None, None, "America/Antigua", ""),
        (("Monday, 1 May 2034", "20:00", -240), None, "America/Antigua", "20:00 (Antigua time, UTC−4)"),
        (("D", "20:00", 330), ("D", "23:30", 330), "Asia/Kolkata", "D, 20:00 to 23:30 (Kolkata time, UTC+5:30)"),
        (("D", "20:00", 0), ("E", "01:00", 0), "UTC", "D, 20:00 to E, 01:00 (UTC)"),
        (("D", "20:00", 0), ("D", "20:00", 0), "Etc/GMT", "D, 20:00 (UTC)"),
        (("D", "02:30", 120), ("D", "02:30", 60), "Europe/Berlin", "to 02:30 (Berlin time, UTC+2, at the end UTC+1)"),
        (("D", "08:00", -180), None, "America/Argentina/Buenos_Aires", "D, 08:00 (Buenos Aires time, UTC−3)"),
    ],
)
def test_a_time_says_whose_it_is(
    start: tuple[str, str, int] | None, end: tuple[str, str, int] | None, zone: str, said: str
) -> None:
    assert moments(start, end, zone).endswith(said)
    assert zone_name("Etc/GMT+3", -180) == "UTC−3"


def test_places_are_told_apart_by_their_points_alone_where_words_are_the_same() -> None:
    here = replace(JAZZ, longitude=179.999, latitude=-17)
    there = replace(here, longitude=-179.999)
    one, other = tell_apart(here, there)
    assert (one.point, other.point) == (" (17.0000° S, 179.9990° E)", " (17.0000° S, 179.9990° W)")
    near = replace(here, longitude=-179.9999, latitude=-17)  # around the edge of the map
    assert tell_apart(replace(here, longitude=179.9998), near) == (replace(here, longitude=179.9998), near)
    assert tell_apart(here, OPEN) == (here, OPEN)


def test_money_is_said_with_its_currency() -> None:
    assert [money(cents, "USD") for cents in (5, 693, 123456789)] == ["0.05 USD", "6.93 USD", "1,234,567.89 USD"]
