"""What a ticket's code carries: every claim survives the way through it, nothing but what was signed is believed."""

import segno
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ticketing.tickets.keys import key_id
from ticketing.tickets.payloads import Claim, is_payload, is_signed, parse, sign
from ticketing.tickets.rules import ALPHABET

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
KEY = key_id(PUBLIC)
KEYS = {KEY: PUBLIC}
CARRIED = ALPHABET + "-."

letters = st.text(ALPHABET, min_size=6, max_size=6)
serials = st.builds("{}-{}{}".format, letters, letters, letters)
claims = st.builds(Claim, serials, st.integers(1, 2**53 - 1), st.integers(1, 253_402_300_799))


@given(claims)
def test_a_claim_survives_the_way_through_a_code(claim: Claim) -> None:
    text = sign(claim, KEY, PRIVATE)
    for scanned in (text, text.lower(), f" {text}\n"):
        read = parse(scanned)
        assert read is not None
        assert is_payload(scanned)
        assert read.claim == claim
        assert is_signed(read, KEYS)
        assert not is_signed(read, {})
        assert not is_signed(read, {KEY: bytes(32)})


def test_the_longest_code_has_modules_that_a_printed_page_shows() -> None:
    longest = Claim("ZZZZZZ-ZZZZ99999999", 2**53 - 1, 253_402_300_799)
    code = segno.make_qr(sign(longest, KEY, PRIVATE), error="m")
    assert (code.mode, code.symbol_size(border=0)) == ("alphanumeric", (45, 45))


@given(claims, st.data())
def test_no_letter_can_be_changed_added_or_dropped(claim: Claim, data: st.DataObject) -> None:
    text = sign(claim, KEY, PRIVATE)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(CARRIED.replace(text[place], "")))
    added = data.draw(st.sampled_from(CARRIED))
    for changed in (
        text[:place] + other + text[place + 1 :],
        text[:place] + text[place + 1 :],
        text[:place] + added + text[place:],
    ):
        read = parse(changed)
        assert read is None or not is_signed(read, KEYS), changed


@given(claims, claims)
def test_a_signature_is_worth_nothing_on_another_claim(one: Claim, other: Claim) -> None:
    signature = sign(one, KEY, PRIVATE).rpartition(".")[2]
    mixed = f"{sign(other, KEY, PRIVATE).rpartition('.')[0]}.{signature}"
    read = parse(mixed)
    assert read is not None
    assert is_signed(read, KEYS) is (one == other)


@given(st.one_of(st.text(), st.text(CARRIED).map("TK1.{}".format), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_whatever_is_scanned_is_read_without_a_crash(scanned: str) -> None:
    read = parse(scanned)
    assert read is None or not is_signed(read, KEYS)
