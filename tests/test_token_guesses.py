"""Guessing the codes of gates."""

import pytest

from conftest import SECRET, Client
from makers import make_event
from ticketing.settings import Settings


@pytest.fixture(scope="module")
def settings(database: str) -> Settings:
    return Settings(database_url=database, secret=SECRET, rate_limits="on", wrong_codes=3, pool_size=8)


async def test_an_address_guesses_a_few_codes_and_is_stopped(
    alice: Client, administrator: Client, public: Client
) -> None:
    event = await make_event(alice, administrator)
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    for _ in range(5):
        assert (await public.get(f"/tokens/{token['code']}")).status == 200
    for code in ("AAAAAAAA", "short", "%00"):
        assert (await public.get(f"/tokens/{code}")).status == 404
    for code in ("BBBBBBBB", token["code"]):
        stopped = await alice.get(f"/tokens/{code}")
        assert stopped.status == 429
        assert stopped.error == f"Too many requests. Please try again in {stopped.headers['retry-after']} seconds."
