"""What is refused says what to do: `details` in every 400 and 409, a sentence for people under each name."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import ticketing
from conftest import Client
from ticketing.admissions.errors import TooManyTokens
from ticketing.app import OPERATIONS
from ticketing.events.errors import TooManyPrices, TooManySections
from ticketing.hosts.errors import TooManyInvitations
from ticketing.web.errors import (
    LONGEST_QUOTE,
    Conflict,
    Explained,
    Invalid,
    InvalidValues,
    Missing,
    Refusal,
    Taken,
    TooLarge,
    about,
)
from ticketing.web.forms import BadValue, Field
from ticketing.web.paging import Filter, UnknownFilters, UnknownSort

for _module in pkgutil.walk_packages(ticketing.__path__, "ticketing."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)

HOSTILE = [
    None,
    True,
    -1,
    1.5,
    10**30,
    float("nan"),
    "",
    " ",
    "\x00",
    "x" * 30_000,
    "ÿ",
    [],
    [[]],
    {},
    {"x": -1},
    object(),
]

# The ones that are told what they are about.
TOLD: dict[type[Explained], tuple[Any, ...]] = {
    Explained: ("No.", about("name", "is no name")),
    Invalid: ("No.", about("name", "is no name")),
    Conflict: ("No.", about("name", "is no name")),
    Missing: (about("name", "required: a name"),),
    InvalidValues: (about("name", "is no name"),),
    Taken: ("region", {"name": "Saint John's"}),
    TooLarge: (2**20,),
    UnknownFilters: (["colour"], ["name"]),
    UnknownSort: ("colour", ["alphabetical"]),
    TooManySections: (200,),
    TooManyPrices: (50,),
    TooManyTokens: (200,),
    TooManyInvitations: (50,),
}


def every(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for one in kind.__subclasses__():
        yield one
        yield from every(one)


REFUSALS = [one for one in every(Refusal) if one.__module__.startswith("ticketing")]
FIELDS = [
    pytest.param(field, id=f"{operation.id}-{field.name}")
    for operation in OPERATIONS
    if operation.form
    for field in operation.form.fields
]


def why_not(field: Field, value: Any) -> str | None:
    try:
        field.kind.parse(value)
    except BadValue as bad:
        return bad.sentence
    return None


FILTERS = [
    pytest.param(one, id=f"{operation.id}-{name}")
    for operation in OPERATIONS
    if operation.listing
    for name, one in operation.listing.filters.items()
]


@pytest.mark.parametrize("kind", [one for one in REFUSALS if one.status in (400, 409)], ids=lambda one: one.__name__)
def test_a_400_or_409_says_what_to_do(kind: type[Refusal]) -> None:
    assert issubclass(kind, Explained)
    body = kind(*TOLD.get(kind, ())).body()
    assert set(body) == {"error", "message", "details"}
    assert body["error"] == body["message"]
    for name, sentence in body["details"].items():
        assert name
        assert 5 < len(sentence) < 200
        assert not sentence.endswith(".")


def test_no_refusal_can_be_declared_or_made_without_details() -> None:
    with pytest.raises(TypeError, match="Unexplained"):

        class Unexplained(Conflict):
            text = "No."

    with pytest.raises(TypeError):
        Conflict("No.")


@pytest.mark.parametrize("kind", [one for one in REFUSALS if one.status in (401, 403, 404, 412)], ids=str)
def test_the_bodies_that_the_contract_quotes_keep_their_keys(kind: type[Refusal]) -> None:
    assert not kind.details


@pytest.mark.parametrize("field", FIELDS)
def test_a_value_that_is_refused_is_explained_in_few_words(field: Field) -> None:
    assert 5 < len(field.kind.expects) < 200
    sentences = [sentence for value in HOSTILE if (sentence := why_not(field, value)) is not None]
    assert sentences or field.name in ("banner", "thumbnail")  # which are looked at elsewhere
    for sentence in sentences:
        assert 5 < len(sentence) < 250


@pytest.mark.parametrize("one", FILTERS)
def test_a_filter_says_what_it_expects(one: Filter) -> None:
    assert 3 < len(one.expects) < 200


async def test_what_is_missing_is_asked_for(administrator: Client) -> None:
    answer = await administrator.post("/venues", name="", longitude=1)
    assert (
        answer.error
        == "The following arguments are required, but have not been supplied: name, region, address, latitude."
    )
    assert answer["details"] == {
        "name": "required: text of 1 to 200 characters",
        "region": "required: an id, such as 17325458293736",
        "address": "required: text of 1 to 1000 characters",
        "latitude": "required: a number from -90 to 90",
    }


async def test_what_is_invalid_is_explained(administrator: Client) -> None:
    answer = await administrator.post(
        "/venues", name="x" * 201, region="1", address="A", longitude=181, latitude="north"
    )
    assert answer.error == "The following arguments have invalid values: name, region, longitude, latitude."
    assert answer["details"] == {
        "name": "longer than 200 characters",
        "region": "names nothing that exists",
        "longitude": "must be a number from -180 to 180",
        "latitude": "must be a number from -90 to 90",
    }


async def test_a_conflict_says_which_name_is_taken(administrator: Client) -> None:
    name = "Nowhere " + "w" * 150
    assert (await administrator.post("/regions", name=name, country="Barbados")).status == 201
    answer = await administrator.post("/regions", name=name, country="Barbados")
    assert (answer.status, answer.error) == (
        409,
        "The following arguments conflict with those of another region: name.",
    )
    assert answer["details"] == {"name": f'another region has "{name[:LONGEST_QUOTE]}..." already'}


async def test_lists_tell_what_they_know(administrator: Client) -> None:
    answer = await administrator.get("/regions", colour="blue", sort="")
    assert answer["details"] == {"colour": "no filter of this list: it has active"}
    answer = await administrator.get("/regions", sort="colour")
    assert list(answer["details"]) == ["sort"]
    answer = await administrator.get("/regions", page="one", records=501, order="up", active="maybe")
    assert answer["details"] == {
        "page": "must be a whole number",
        "records": "must be a whole number from 1 to 500",
        "order": "must be asc or desc",
        "active": "must be true or false",
    }


async def test_a_body_that_is_none_is_explained(administrator: Client) -> None:
    for body in (b"{", b"[]", b"\xff"):
        answer = await administrator.send("POST", "/regions", content=body)
        assert (answer.status, answer["details"]) == (400, {"body": "must be a JSON object in UTF-8"})
    answer = await administrator.send("POST", "/regions", content=b"x" * (2**20 + 1))
    assert (answer.status, answer.body["details"]) == (413, {"body": "larger than 1 MiB"})
