"""Guessing the codes of gates."""

import pytest

from conftest import SECRET, Client
from makers import make_event
from ticketing.settings import Settings


@pytest.fixture(scope="module")
def settings(database: str) -> Settings:
    return Settings(database_url=database, secret=SECRET, rate_limits="on", wrong_codes=3, pool_size=8)


async def test_an_address_guesses_a_few_codes_and_is_stopped(
    alice: Client, bob: Client, administrator: Client, public: Client
) -> None:
    event = await make_event(alice, administrator)
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    visitor = Client(public.http, (await administrator.post("/integrations", name="A page", access="public"))["key"])
    for guesser, other in ((public, visitor), (bob, bob)):
        for _ in range(5):
            assert (await guesser.get(f"/tokens/{token['code']}")).status == 200
        for code in ("AAAAAAAA", "short", "%00"):
            assert (await guesser.get(f"/tokens/{code}")).status == 404
        for code in ("BBBBBBBB", token["code"]):
            stopped = await other.get(f"/tokens/{code}")
            seconds = stopped.headers["Retry-After"]
            assert (stopped.status, stopped.error) == (
                429,
                f"Too many requests. Please try again in {seconds} seconds.",
            )
            limit = [stopped.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")]
            assert limit == ["3", "0", seconds]
        # Who is signed in at the same address is not stopped for it.
        assert (await alice.get(f"/tokens/{token['code']}")).status == 200
