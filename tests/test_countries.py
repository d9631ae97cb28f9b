"""Countries: the names that `country` members take."""

from conftest import Client
from makers import make_region
from ticketing.countries.names import NAMES


async def test_anybody_reads_the_countries(public: Client) -> None:
    answer = await public.get("/countries")
    assert (answer.status, list(answer.body)) == (200, ["countries"])
    assert answer["countries"] == list(NAMES)
    assert {"Antigua and Barbuda", "Vietnam"} <= set(answer["countries"])


async def test_a_listed_country_is_taken_by_a_form(public: Client, administrator: Client) -> None:
    last = (await public.get("/countries"))["countries"][-1]
    assert (await make_region(administrator, country=last))["country"] == last
