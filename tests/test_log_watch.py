"""The reader of the log sees what it is there to see."""

import secrets

import pytest

import log_watch


@pytest.mark.parametrize(
    "line",
    [
        '{"event":"mail.failed","to":"alice@example.com"}',
        '{"event":"payment.failed","detail":"4111111111111111 was refused"}',
        '{"event":"payment.failed","detail":"4111 1111 1111 1111"}',
        '{"event":"request.crashed","exception":"Key (lower(email))=(bob.b+tickets@mail.example.org) already exists."}',
    ],
)
def test_it_sees_addresses_and_cards(line: str) -> None:
    assert log_watch.find_leaks(line)


def test_it_sees_keys_and_usernames() -> None:
    key = secrets.token_hex(16)
    log_watch.keep_secret(key, "marvin4711")
    assert log_watch.find_leaks(f'{{"event":"request","key":"{key}"}}') == {key}
    assert log_watch.find_leaks('{"event":"signed in","who":"marvin4711"}') == {"marvin4711"}


def test_numbers_ids_and_times_are_no_secrets() -> None:
    line = (
        '{"method":"POST","operation":"place_order","caller":"AL-49E470C3","status":201,"ms":1.9,"event":"request",'
        '"request":"d5854d8e5bca4f01","level":"info","timestamp":"2026-11-24T06:47:00.645319+00:00","id":489989902499584}'
    )
    assert not log_watch.find_leaks(line)
